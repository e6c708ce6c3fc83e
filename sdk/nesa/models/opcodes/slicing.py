"""Slice: `y` holds the places `start <= i < stop` of one axis of `x`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places, coordinates, flat_index
from nesa.protocol.edges import EdgeType


class Slice:
    """Attributes (axis, start, stop), none of them negative, step 1. dtype and range stay."""

    code = Opcode.SLICE
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The input's dtype and range, shorter along the axis; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=3, parameters=0)
        (axis, start, stop), edge = row.attributes, inputs[0]
        expect(0 <= axis < len(edge.shape), row, f"axis {axis} does not exist")
        expect(0 <= start < stop <= edge.shape[axis], row, f"[{start}, {stop}) is not in the axis")
        shape = (*edge.shape[:axis], stop - start, *edge.shape[axis + 1 :])
        return EdgeType(edge.dtype, shape, edge.low, edge.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        axis, start, stop = row.attributes
        return tensors[0][(slice(None),) * axis + (slice(start, stop),)]

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Slice with constant bounds."""
        axis, start, stop = (
            writer.constant(np.array([place], np.int64)) for place in row.attributes
        )
        return writer.node("Slice", [names[0], start, stop, axis])

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """A view takes none."""
        return 0

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The element `start` places further on along the axis."""
        axis, start, _ = row.attributes
        place = list(coordinates(row.output_type.shape, element))
        place[axis] += start
        return ((Places(0, flat_index(inputs[0].shape, place)),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The operand."""
        return columns[0][0]
