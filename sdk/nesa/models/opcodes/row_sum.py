"""RowSum: `y[.., 0] = sum_j x[.., j]`, the sum over the last axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, carrier, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places
from nesa.models.opcodes.wide_sum import sum_of
from nesa.protocol.edges import EdgeType


class RowSum:
    """Attributes (N), the size of the last axis. Output int32, last axis 1; row `r` reads `x` at
    `r*N + j`.

    Bound: `N * max|x| < 2**31`; from 2**24 on the sums are float64.
    """

    code = Opcode.ROW_SUM
    unprovable = ""
    fold = Fold.SUM

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the worst-case range; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=1, parameters=0)
        edge, size = inputs[0], row.attributes[0]
        expect(edge.shape[-1] == size, row, f"last axis is {edge.shape[-1]}, not {size}")
        return sum_of(row, size, edge.low, edge.high, (*edge.shape[:-1], 1))

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        sums: Integers = tensors[0].sum(axis=-1, keepdims=True)
        return sums

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """ReduceSum in the element type of the sums."""
        terms = writer.cast(names[0], carrier(inputs[0]), carrier(row.output_type))
        axis = writer.constant(np.array([len(inputs[0].shape) - 1], np.int64))
        return writer.node("ReduceSum", [terms, axis], keepdims=1)

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """One row for two terms, and one for every sum."""
        return row.output_type.elements * (row.attributes[0] // 2 + 2)

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The row."""
        size = row.attributes[0]
        return ((Places(0, element * size, 1, size),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The sum of the operands."""
        return sum(columns[0])
