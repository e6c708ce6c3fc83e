"""RootSearch: `y = max{r in [0, 2**bits) : r**2 * x <= 2**k}`, the reciprocal root of x."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

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


class RootSearch:
    """`floor(sqrt(2**k / x))`, at most `2**bits - 1`, which is also the result for x <= 0.

    Attributes (k, bits) with k in [0, 52] and bits in [1, 24]; `x` of any shape. Output
    int32. One element is judged by `y**2 * x <= 2**k`, and `(y + 1)**2 * x > 2**k` or
    `y = 2**bits - 1`.
    """

    code = Opcode.ROOT_SEARCH
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the results at both ends; see `Operator.infer`."""
        return searched_type(row, inputs, lambda ends: self.reference(row, (ends,)))

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module; `r**2 * x <= 2**k` is `r <= isqrt(floor(2**k / x))`."""
        search, radicand = SearchAttributes(*row.attributes), tensors[0]
        quotients = (search.limit // np.maximum(radicand, 1)).reshape(-1).tolist()
        roots = np.array([isqrt(number) for number in quotients]).reshape(radicand.shape)
        return np.where(radicand <= 0, search.largest, np.minimum(roots, search.largest))

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """The floor of the root of `floor(2**k / x)`, both in float64.

        Results matter below 2**24 only; there the root of a number below n**2 lies below n by
        2**-49 of it or more, and IEEE 754 rounds it by less than 2**-53.
        """
        limit = SearchAttributes(*row.attributes).limit
        quotient = write_quotient(inputs[0], names[0], limit, writer)
        root = writer.node("Floor", [writer.node("Sqrt", [quotient])])
        return write_found(row, inputs[0], names[0], root, writer)

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """A search bit by bit; the square of a trial is below 2**48 and so exact."""

        def product(trial: str, radicand: str) -> str:
            return writer.node("Mul", [writer.node("Mul", [trial, trial]), radicand])

        return write_search(row, inputs[0], names[0], writer, product)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Differences between the product of a squared trial and the limit."""
        search = SearchAttributes(*row.attributes)
        return max(search.largest**2 * largest_magnitude(inputs[0]), search.limit + 1)

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Those of one step, times bits and elements."""
        return row.output_type.elements * row.attributes[1] * ROWS_PER_BIT

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The radicand."""
        return ((Places(0, element),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """See the head of the class."""
        ((radicand,),) = columns
        search = SearchAttributes(*row.attributes)
        if radicand <= 0:
            return search.largest
        return min(isqrt(search.limit // radicand), search.largest)
