"""Reshape: the same elements in C order under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, expect
from nesa.models.opcodes.operands import Column, Fold, Places
from nesa.protocol.edges import EdgeType


class Reshape:
    """Attributes are the new shape, every size given. dtype and range stay."""

    code = Opcode.RESHAPE
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The input's dtype and range under the new shape; see `Operator.infer`."""
        expect(len(inputs) == 1 and not row.parameters, row, "one input and no parameters")
        edge = inputs[0]
        same = math.prod(row.attributes) == edge.elements and min(row.attributes, default=0) > 0
        expect(same, row, f"shape {row.attributes} does not hold {edge.elements} elements")
        return EdgeType(edge.dtype, row.attributes, edge.low, edge.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        return tensors[0].reshape(row.attributes)

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Reshape."""
        return writer.reshape(names[0], row.attributes)

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """A view takes none."""
        return 0

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The element at the same flat index."""
        return ((Places(0, element),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The operand."""
        return columns[0][0]
