"""DivideSearch: `y = max{r in [0, 2**bits) : r*x <= 2**k}`, the reciprocal of x times 2**k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, largest_magnitude
from nesa.models.opcodes.operands import Column, Fold, Places
from nesa.models.opcodes.search import (
    ROWS_PER_BIT,
    SearchAttributes,
    searched_type,
    write_found,
    write_quotient,
    write_search,
)
from nesa.protocol.edges import EdgeType


class DivideSearch:
    """`floor(2**k / x)`, at most `2**bits - 1`, which is also the result for x <= 0.

    Attributes (k, bits) with k in [0, 52] and bits in [1, 24]; `x` of any shape. Output
    int32. One element is judged by `y*x <= 2**k`, and `(y + 1)*x > 2**k` or `y = 2**bits - 1`.
    """

    code = Opcode.DIVIDE_SEARCH
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the results at both ends; see `Operator.infer`."""
        return searched_type(row, inputs, lambda ends: self.reference(row, (ends,)))

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        search, divisor = SearchAttributes(*row.attributes), tensors[0]
        quotient = np.minimum(search.limit // np.maximum(divisor, 1), search.largest)
        return np.where(divisor <= 0, search.largest, quotient)

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """One division in float64; see `write_quotient` for why its floor is exact."""
        limit = SearchAttributes(*row.attributes).limit
        quotient = write_quotient(inputs[0], names[0], limit, writer)
        return write_found(row, inputs[0], names[0], quotient, writer)

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """A search bit by bit: ezkl knows no division, and a bare one has two valid quotients."""

        def product(trial: str, divisor: str) -> str:
            return writer.node("Mul", [trial, divisor])

        return write_search(row, inputs[0], names[0], writer, product)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Differences between the product of a trial and the limit."""
        search = SearchAttributes(*row.attributes)
        return max(search.largest * largest_magnitude(inputs[0]), search.limit + 1)

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Those of one step, times bits and elements."""
        return row.output_type.elements * row.attributes[1] * ROWS_PER_BIT

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The divisor."""
        return ((Places(0, element),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """See the head of the class."""
        ((divisor,),) = columns
        search = SearchAttributes(*row.attributes)
        return search.largest if divisor <= 0 else min(search.limit // divisor, search.largest)
