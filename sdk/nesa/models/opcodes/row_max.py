"""RowMax: `y[.., 0] = max_j x[.., j]`, the largest value of the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places
from nesa.protocol.edges import EdgeType

_ROWS_PER_OPERAND: Final = 16


class RowMax:
    """Attributes (N), the size of the last axis. dtype and range stay, last axis 1; row `r` reads
    `x` at `r*N + j`.
    """

    code = Opcode.ROW_MAX
    unprovable = ""
    fold = Fold.LARGEST

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The input's dtype and range; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=1, parameters=0)
        edge, size = inputs[0], row.attributes[0]
        expect(edge.shape[-1] == size, row, f"last axis is {edge.shape[-1]}, not {size}")
        return EdgeType(edge.dtype, (*edge.shape[:-1], 1), edge.low, edge.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        largest: Integers = tensors[0].max(axis=-1, keepdims=True)
        return largest

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """ReduceMax."""
        return writer.node("ReduceMax", names, axes=[len(inputs[0].shape) - 1], keepdims=1)

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Differences of two values."""
        return inputs[0].high - inputs[0].low

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Measured rows of one comparison, times the operands."""
        return inputs[0].elements * _ROWS_PER_OPERAND

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The row."""
        size = row.attributes[0]
        return ((Places(0, element * size, 1, size),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The largest operand."""
        return max(columns[0])
