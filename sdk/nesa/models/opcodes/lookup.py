"""Table: `y = entries[x - least value of the input's dtype]`, any function of one byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from nesa.models.graph import Integers, Opcode, ParameterKind, Row
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places, Selected
from nesa.models.opcodes.rescale import MANY_ELEMENTS
from nesa.protocol.edges import DType, EdgeType

ENTRIES: Final = 256
_CIRCUIT_ROWS: Final = 27


class Lookup:
    """Table of 256 entries, one for every value of a byte.

    Input int8 (entry `x + 128`) or uint8 (entry `x`). Entries int16 [256]; those that the input's
    range cannot reach must be 0, so that one function has one table. Attributes (offset), 128 or
    0. Output: the declared dtype with the range of the entries that can be reached.
    """

    code = Opcode.TABLE
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The declared dtype with the range of the reachable entries; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=1, parameters=1)
        edge = inputs[0]
        expect(edge.dtype in (DType.INT8, DType.UINT8), row, "the input must be int8 or uint8")
        offset = -edge.dtype.bounds[0]
        expect(row.attributes == (offset,), row, f"the offset must be {offset}")
        entries = row.parameter(ParameterKind.ENTRIES)
        expect(entries.shape == (ENTRIES,), row, f"{ENTRIES} entries are needed")
        reached = np.zeros(ENTRIES, np.bool_)
        reached[edge.low + offset : edge.high + offset + 1] = True
        expect(not entries[~reached].any(), row, "entries that cannot be reached must be 0")
        low, high = int(entries[reached].min()), int(entries[reached].max())
        return EdgeType(row.output_type.dtype, edge.shape, low, high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        entries: Integers = row.parameter(ParameterKind.ENTRIES)[tensors[0] + row.attributes[0]]
        return entries

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """GatherElements over all elements in a line, four times as fast as Gather.

        The index cannot leave the table because the input's range is checked. Small tensors take
        the form for ezkl, as files already published do.
        """
        if row.output_type.elements < MANY_ELEMENTS:
            return self.lower_ezkl(row, inputs, names, writer)
        line = writer.reshape(names[0], (-1,))
        index = writer.integers(line, row.attributes[0], TensorProto.INT32)
        entries = row.parameter(ParameterKind.ENTRIES)
        constant = writer.constant(entries.astype(np.float32))
        found = writer.node("GatherElements", [constant, index], axis=0)
        writer.looked_up[found] = entries, index
        return writer.reshape(found, row.output_type.shape)

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Gather; the index cannot leave the table because the input's range is checked."""
        offset = writer.constant(np.array(row.attributes[0], np.float32))
        shifted = writer.node("Add", [names[0], offset])
        index = writer.node("Cast", [shifted], to=TensorProto.INT64)
        entries = row.parameter(ParameterKind.ENTRIES).astype(np.float32)
        return writer.node("Gather", [writer.constant(entries), index], axis=0)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Measured rows of one look-up, times the elements."""
        return row.output_type.elements * _CIRCUIT_ROWS + ENTRIES

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The index and the entry that it selects."""
        return (Places(0, element),), (Selected(ParameterKind.ENTRIES, 1, row.attributes[0]),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The entry."""
        return columns[1][0]
