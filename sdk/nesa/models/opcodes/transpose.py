"""Transpose: axis `i` of the output is axis `attributes[i]` of the input."""

from __future__ import annotations

from collections.abc import Sequence

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, expect
from nesa.models.opcodes.operands import Column, Fold, Places, coordinates, flat_index
from nesa.protocol.edges import EdgeType


class Transpose:
    """Attributes are a permutation of the axes. dtype and range stay."""

    code = Opcode.TRANSPOSE
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The input's dtype and range with permuted axes; see `Operator.infer`."""
        expect(len(inputs) == 1 and not row.parameters, row, "one input and no parameters")
        edge = inputs[0]
        axes = tuple(range(len(edge.shape)))
        expect(tuple(sorted(row.attributes)) == axes, row, f"axes must be some order of {axes}")
        shape = tuple(edge.shape[axis] for axis in row.attributes)
        return EdgeType(edge.dtype, shape, edge.low, edge.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        return tensors[0].transpose(row.attributes)

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Transpose."""
        return writer.node("Transpose", names, perm=row.attributes)

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """A view takes none."""
        return 0

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The element whose coordinates are permuted back."""
        place = coordinates(row.output_type.shape, element)
        source = [place[row.attributes.index(axis)] for axis in range(len(place))]
        return ((Places(0, flat_index(inputs[0].shape, source)),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The operand."""
        return columns[0][0]
