"""MaxPool: the largest value of each window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nesa.models.graph import Integers, Opcode, Row
from nesa.models.opcodes.interface import NodeWriter
from nesa.models.opcodes.operands import Column, Fold
from nesa.models.opcodes.window import PoolAttributes, pooled_shape, window_runs, windows
from nesa.protocol.edges import EdgeType

_ROWS_PER_COMPARISON: Final = 30


class MaxPool:
    """`y[0, c, i, j] = max_{u, v} x[0, c, i*sh + u, j*sw + v]`.

    Input [1, C, H, W]; dtype and range stay. There is no padding: ezkl pads with 0, ONNX with
    minus infinity. Attributes (C, H, W, kh, kw, sh, sw).
    """

    code = Opcode.MAX_POOL
    unprovable = ""
    fold = Fold.LARGEST

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The input's dtype and range; see `Operator.infer`."""
        edge = inputs[0]
        return EdgeType(edge.dtype, pooled_shape(row, inputs), edge.low, edge.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the class."""
        largest: Integers = windows(tensors[0], PoolAttributes(*row.attributes)).max(axis=-1)
        return largest

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """MaxPool."""
        pool = PoolAttributes(*row.attributes)
        return writer.node(
            "MaxPool",
            names,
            kernel_shape=[pool.kernel_height, pool.kernel_width],
            pads=[0, 0, 0, 0],
            strides=[pool.stride_height, pool.stride_width],
        )

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Differences of two values."""
        return inputs[0].high - inputs[0].low

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """One comparison for every operand."""
        pool = PoolAttributes(*row.attributes)
        operands = pool.kernel_height * pool.kernel_width
        return row.output_type.elements * operands * _ROWS_PER_COMPARISON

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The window."""
        return (window_runs(PoolAttributes(*row.attributes), element),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The largest operand."""
        return max(columns[0])
