"""Concat: tensors of one dtype behind each other along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, carrier, expect
from nesa.models.opcodes.operands import Column, Fold, Places, coordinates, flat_index
from nesa.protocol.edges import EdgeType

MAX_INPUTS: Final = 16
"""A judge is given the digests of all of them."""


class Concat:
    """Attributes (axis). At least two inputs of equal dtype; the range covers all of theirs."""

    code = Opcode.CONCAT
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The joint dtype and range, longer along the axis; see `Operator.infer`."""
        expect(len(inputs) >= 2 and not row.parameters, row, "several inputs and no parameters")
        expect(len(inputs) <= MAX_INPUTS, row, f"more than {MAX_INPUTS} inputs")
        expect(len(row.attributes) == 1, row, "the axis is the only attribute")
        axis, first = row.attributes[0], inputs[0]
        expect(0 <= axis < len(first.shape), row, f"axis {axis} does not exist")
        expect(all(edge.dtype is first.dtype for edge in inputs), row, "dtypes must be equal")
        around = {(edge.shape[:axis], edge.shape[axis + 1 :]) for edge in inputs}
        expect(len(around) == 1, row, "shapes must agree but for the axis")
        length = sum(edge.shape[axis] for edge in inputs)
        shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
        low, high = min(edge.low for edge in inputs), max(edge.high for edge in inputs)
        return EdgeType(first.dtype, shape, low, high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        return np.concatenate(tensors, axis=row.attributes[0])

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Concat."""
        wanted = carrier(row.output_type)
        pairs = zip(names, inputs, strict=True)
        alike = [writer.cast(name, carrier(edge), wanted) for name, edge in pairs]
        return writer.node("Concat", alike, axis=row.attributes[0])

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """A view takes none."""
        return 0

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The element of the input that covers its place along the axis."""
        axis = row.attributes[0]
        place = list(coordinates(row.output_type.shape, element))
        source = 0
        while place[axis] >= inputs[source].shape[axis]:
            place[axis] -= inputs[source].shape[axis]
            source += 1
        return ((Places(source, flat_index(inputs[source].shape, place)),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The operand."""
        return columns[0][0]
