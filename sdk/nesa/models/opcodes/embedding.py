"""Embedding: `y[.., e] = w[x[..], e]`, one row of constants for every index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from nesa.models.graph import Integers, Opcode, ParameterKind, Row
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places, Selected
from nesa.protocol.edges import MAX_RANK, DType, EdgeType

_ROWS_PER_ELEMENT: Final = 10


class Embedding:
    """Input `x` of rank <= 4 with the range [0, V - 1] exactly, so no index can miss its row.

    Weights int8 [V, E]. Attributes (V, E). Output int8 with the range of the weights and an axis
    E behind those of `x`; its element `(i, e)` reads `x` at `i` and the weights at `x*E + e`.
    """

    code = Opcode.EMBEDDING
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int8 with the range of the weights; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=2, parameters=1)
        edge, (entries, width) = inputs[0], row.attributes
        weights = row.parameter(ParameterKind.WEIGHTS)
        expect(weights.shape == (entries, width), row, "weights must be [V, E]")
        within = (edge.low, edge.high) == (0, entries - 1)
        expect(within, row, f"indices must be in [0, {entries - 1}], not [{edge.low}, {edge.high}]")
        expect(len(edge.shape) < MAX_RANK, row, f"the rank must be below {MAX_RANK}")
        low, high = int(weights.min()), int(weights.max())
        return EdgeType(DType.INT8, (*edge.shape, width), low, high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module; only the rows that are looked up are widened."""
        return row.held(ParameterKind.WEIGHTS)[tensors[0]].astype(np.int64)

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Gather of int8 rows, a quarter of the file, and a cast behind it."""
        weights = writer.constant(row.parameter(ParameterKind.WEIGHTS).astype(np.int8))
        index = writer.node("Cast", [names[0]], to=TensorProto.INT64)
        rows = writer.node("Gather", [weights, index], axis=0)
        return writer.node("Cast", [rows], to=TensorProto.FLOAT)

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Gather of float32 rows."""
        weights = writer.constant(row.parameter(ParameterKind.WEIGHTS).astype(np.float32))
        index = writer.node("Cast", [names[0]], to=TensorProto.INT64)
        return writer.node("Gather", [weights, index], axis=0)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Measured rows of one look-up, times the elements."""
        return row.output_type.elements * _ROWS_PER_ELEMENT

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The index and the constant that it selects."""
        width = row.attributes[1]
        index, place = divmod(element, width)
        return (Places(0, index),), (Selected(ParameterKind.WEIGHTS, width, place),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The constant."""
        return columns[1][0]
