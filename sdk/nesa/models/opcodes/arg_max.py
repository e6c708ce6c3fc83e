"""ArgMax: where the largest value of the last axis stands; the lowest place when several do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places
from nesa.protocol.edges import DType, EdgeType

LONGEST: Final = 2**15 - 1
_ROWS_PER_OPERAND: Final = 100


class ArgMax:
    """`y[.., 0] = min{i : x[.., i] = max_j x[.., j]}`.

    Attributes (size of the last axis), at most 32767. Output int16, last axis 1.
    """

    code = Opcode.ARG_MAX
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int16 in [0, size - 1]; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=1, parameters=0)
        shape, size = inputs[0].shape, row.attributes[0]
        expect(shape[-1] == size, row, f"last axis is {shape[-1]}, not {size}")
        expect(size <= LONGEST, row, f"last axis is longer than {LONGEST}")
        return EdgeType(DType.INT16, (*shape[:-1], 1), 0, size - 1)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the class."""
        places: Integers = np.argmax(tensors[0], axis=-1, keepdims=True).astype(np.int64)
        return places

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """ArgMax, which takes the lowest place, and a cast."""
        axis = len(inputs[0].shape) - 1
        place = writer.node("ArgMax", names, axis=axis, keepdims=1, select_last_index=0)
        return writer.node("Cast", [place], to=TensorProto.FLOAT)

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Differences of two values."""
        return inputs[0].high - inputs[0].low

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Roughly one sort of the operands."""
        return inputs[0].elements * _ROWS_PER_OPERAND

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The row; one operand that beats the claimed place refutes a claim."""
        size = row.attributes[0]
        return ((Places(0, element * size, 1, size),),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The lowest place of the largest operand."""
        (values,) = columns
        return values.index(max(values))
