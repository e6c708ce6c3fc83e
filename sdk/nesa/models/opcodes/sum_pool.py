"""SumPool: the sum of each window; with a Rescale behind it, an average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import EXACT_FLOAT32, Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter, expect, largest_magnitude
from nesa.models.opcodes.operands import Column, Fold
from nesa.models.opcodes.window import PoolAttributes, pooled_shape, window_runs, windows
from nesa.protocol.edges import DType, EdgeType


class SumPool:
    """`y[0, c, i, j] = sum_{u, v} x[0, c, i*sh + u, j*sw + v]`.

    Input [1, C, H, W], no padding. Attributes (C, H, W, kh, kw, sh, sw). Output int32.

    Bound: `kh * kw * max|x| < 2**24`.
    """

    code = Opcode.SUM_POOL
    unprovable = ""
    fold = Fold.SUM

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the worst-case range; see `Operator.infer`."""
        shape, edge = pooled_shape(row, inputs), inputs[0]
        pool = PoolAttributes(*row.attributes)
        operands = pool.kernel_height * pool.kernel_width
        worst = operands * largest_magnitude(edge)
        expect(worst < EXACT_FLOAT32, row, f"worst-case sum {worst} is not below 2**24")
        return EdgeType(DType.INT32, shape, operands * edge.low, operands * edge.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the class."""
        sums: Integers = windows(tensors[0], PoolAttributes(*row.attributes)).sum(axis=-1)
        return sums

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """A Conv of ones, one group for each channel: AveragePool differs in ezkl."""
        pool = PoolAttributes(*row.attributes)
        kernel = (pool.kernel_height, pool.kernel_width)
        ones = writer.constant(np.ones((pool.channels, 1, *kernel), np.float32))
        return writer.node(
            "Conv",
            [names[0], ones],
            dilations=[1, 1],
            group=pool.channels,
            kernel_shape=kernel,
            pads=[0, 0, 0, 0],
            strides=[pool.stride_height, pool.stride_width],
        )

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """One row for two operands, and one for every sum."""
        pool = PoolAttributes(*row.attributes)
        operands = pool.kernel_height * pool.kernel_width
        return row.output_type.elements * (operands // 2 + 2)

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The window."""
        return (window_runs(PoolAttributes(*row.attributes), element),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The sum of the operands."""
        return sum(columns[0])
