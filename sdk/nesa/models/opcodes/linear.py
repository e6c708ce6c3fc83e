"""Linear: `y[.., n] = b[n] + sum_k w[n, k] * x[.., k]`, the accumulators of a dense layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Integers, Opcode, ParameterKind, Row
from nesa.models.opcodes.dot_product import dot, expect_exact_sums, sum_type
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Places
from nesa.protocol.edges import EdgeType


class Linear:
    """Dense layer without its rescale.

    Input `x` of any rank >= 2, last axis K. Weights int8 [N, K] in [-127, 127], biases int32 [N].
    Attributes (K, N). Output int32, last axis N.

    Bound: `max_n(|b[n]| + sum_k |w[n, k]| * max|x|) < 2**24`, so a float32 GEMM is exact.
    """

    code = Opcode.LINEAR
    unprovable = ""
    fold = Fold.SUM

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the worst-case range; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=2, parameters=2)
        operands, channels = row.attributes
        weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
        expect(weights.shape == (channels, operands), row, "weights must be [N, K]")
        expect(biases.shape == (channels,), row, "biases must be [N]")
        shape = inputs[0].shape
        expect(len(shape) >= 2 and shape[-1] == operands, row, f"last axis must be {operands}")
        expect_exact_sums(row, inputs[0])
        return sum_type(row, inputs[0], (*shape[:-1], channels))

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
        return tensors[0] @ weights.T + biases

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """MatMul and Add in float32."""
        weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
        matrix = writer.constant(weights.T.astype(np.float32))
        product = writer.node("MatMul", [names[0], matrix])
        return writer.node("Add", [product, writer.constant(biases.astype(np.float32))])

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """One row for two products, and one for every sum."""
        operands, _ = row.attributes
        return row.output_type.elements * (operands // 2 + 2)

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """Activations and weights in step, and the bias of the channel."""
        size, channels = row.attributes
        place, channel = divmod(element, channels)
        return (
            (Places(0, place * size, 1, size),),
            (Places(ParameterKind.WEIGHTS, channel * size, 1, size),),
            (Places(ParameterKind.BIASES, channel),),
        )

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The sum of the products and of the bias."""
        return dot(*columns)
