"""Conv: the accumulators of a two-dimensional convolution, grouped, strided and zero-padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nesa.models.graph import Integers, Opcode, ParameterKind, Row
from nesa.models.opcodes.dot_product import dot, expect_exact_sums, sum_type
from nesa.models.opcodes.interface import NodeWriter, expect, expect_shape
from nesa.models.opcodes.operands import Column, Fold, Padding, Places, Run, coordinates
from nesa.models.opcodes.window import sliding
from nesa.protocol.edges import EdgeType


class ConvAttributes(NamedTuple):
    """Attributes of a Conv row in their order; the first three repeat the input's shape."""

    channels: int
    height: int
    width: int
    groups: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int
    pad_top: int
    pad_left: int
    pad_bottom: int
    pad_right: int

    @property
    def operands(self) -> int:
        """Operands of one dot product."""
        return self.channels // self.groups * self.kernel_height * self.kernel_width

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        tall = self.height + self.pad_top + self.pad_bottom - self.kernel_height
        wide = self.width + self.pad_left + self.pad_right - self.kernel_width
        return tall // self.stride_height + 1, wide // self.stride_width + 1


class Conv:
    """Convolution without its rescale.

    `y[0, n, i, j] = b[n] + sum_{c, u, v} w[n, (c, u, v)] * x[0, g*C/G + c, i*sh + u - pt,
    j*sw + v - pl]` with `g = n // (N/G)`; places outside `x` count as the integer 0.
    Input [1, C, H, W]. Weights int8 [N, C/G * kh * kw] in the order (c, u, v), biases int32 [N].
    Output int32 [1, N, H', W']. Dilation does not exist.

    Bound: that of Linear, `max_n(|b[n]| + sum |w[n]| * max|x|) < 2**24`.
    """

    code = Opcode.CONV
    unprovable = ""
    fold = Fold.SUM

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """int32 with the worst-case range; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=12, parameters=2)
        window = ConvAttributes(*row.attributes)
        weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
        _expect_window(row, window, inputs[0])
        channels = weights.shape[0]
        expect(weights.shape == (channels, window.operands), row, "weights must be [N, C/G*kh*kw]")
        expect(biases.shape == (channels,), row, "biases must be [N]")
        expect(channels % window.groups == 0, row, "groups must divide the output channels")
        edge = _with_zero(inputs[0], window)
        expect_exact_sums(row, edge)
        return sum_type(row, edge, (1, channels, *window.output_size))

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the class."""
        window = ConvAttributes(*row.attributes)
        weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
        patches = patches_of(tensors[0][0], window)
        grouped = weights.reshape(window.groups, -1, window.operands)
        sums = np.einsum("gnk,gkp->gnp", grouped, patches)
        result: Integers = sums.reshape(1, -1, *window.output_size) + biases[:, None, None]
        return result

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Conv in float32."""
        window = ConvAttributes(*row.attributes)
        weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
        kernel = (-1, window.channels // window.groups, window.kernel_height, window.kernel_width)
        constants = [
            writer.constant(weights.reshape(kernel).astype(np.float32)),
            writer.constant(biases.astype(np.float32)),
        ]
        return writer.node(
            "Conv",
            [names[0], *constants],
            dilations=[1, 1],
            group=window.groups,
            kernel_shape=kernel[2:],
            pads=[window.pad_top, window.pad_left, window.pad_bottom, window.pad_right],
            strides=[window.stride_height, window.stride_width],
        )

    lower_ezkl = lower_ort

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Nothing is split into digits."""
        return 0

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """One row for two products, and one for every sum."""
        return row.output_type.elements * (ConvAttributes(*row.attributes).operands // 2 + 2)

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The window, padding included, the channel's weights in step, and its bias."""
        window = ConvAttributes(*row.attributes)
        _, channels, *size = row.output_type.shape
        channel, *corner = coordinates((channels, *size), element)
        group = channel // (channels // window.groups)
        weights = Places(ParameterKind.WEIGHTS, channel * window.operands, 1, window.operands)
        return (
            _window_runs(window, group, corner[0], corner[1]),
            (weights,),
            (Places(ParameterKind.BIASES, channel),),
        )

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The sum of the products and of the bias."""
        return dot(*columns)


def _expect_window(row: Row, window: ConvAttributes, edge: EdgeType) -> None:
    expect(edge.shape == (1, *window[:3]), row, f"input shape {edge.shape} is not (1, C, H, W)")
    expect(min(window[:8]) >= 1, row, "groups, kernel and strides must be positive")
    expect(min(window[8:]) >= 0, row, "pads must not be negative")
    expect(window.channels % window.groups == 0, row, "groups must divide the input channels")
    pads_fit = max(window.pad_top, window.pad_bottom) < window.kernel_height
    expect(pads_fit, row, "vertical pads must be smaller than the kernel")
    pads_fit = max(window.pad_left, window.pad_right) < window.kernel_width
    expect(pads_fit, row, "horizontal pads must be smaller than the kernel")
    expect(min(window.output_size) >= 1, row, "the kernel is larger than the padded input")


def _with_zero(edge: EdgeType, window: ConvAttributes) -> EdgeType:
    """Range of the operands: padding adds the integer 0 to it."""
    if not any(window[8:]):
        return edge
    return EdgeType(edge.dtype, edge.shape, min(edge.low, 0), max(edge.high, 0))


def patches_of(image: Integers, window: ConvAttributes) -> Integers:
    """Operands of every dot product: [groups, operands, places]."""
    pads = ((0, 0), (window.pad_top, window.pad_bottom), (window.pad_left, window.pad_right))
    kernel = (window.kernel_height, window.kernel_width)
    strides = (window.stride_height, window.stride_width)
    ordered = sliding(np.pad(image, pads), kernel, strides).transpose(0, 3, 4, 1, 2)
    return ordered.reshape(window.groups, window.operands, -1)


def _window_runs(window: ConvAttributes, group: int, i: int, j: int) -> Column:
    """The operands of output place (i, j) in the order (c, u, v), padding included."""
    each = window.channels // window.groups
    top, left = i * window.stride_height - window.pad_top, j * window.stride_width - window.pad_left
    runs: list[Run] = []
    for channel in range(group * each, (group + 1) * each):
        for line in range(top, top + window.kernel_height):
            runs += _line_runs(window, channel, line, left)
    return tuple(runs)


def _line_runs(window: ConvAttributes, channel: int, line: int, left: int) -> list[Run]:
    """`kernel_width` operands from (line, left) on, either of which may lie outside."""
    width = window.kernel_width
    if not 0 <= line < window.height:
        return [Padding(width)]
    first, stop = max(left, 0), min(left + width, window.width)
    start = (channel * window.height + line) * window.width + first
    before, behind = first - left, left + width - stop
    runs = (Padding(before), Places(0, start, 1, stop - first), Padding(behind))
    return [run for run in runs if run.count > 0]
