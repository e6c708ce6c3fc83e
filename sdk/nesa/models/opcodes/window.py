"""What MaxPool and SumPool share: a window that slides over each channel without padding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nesa.models.graph import Integers, Row
from nesa.models.opcodes.interface import expect, expect_shape
from nesa.models.opcodes.operands import Column, Places, coordinates
from nesa.protocol.edges import EdgeType


class PoolAttributes(NamedTuple):
    """Attributes of a pooling row in their order; the first three repeat the input's shape."""

    channels: int
    height: int
    width: int
    kernel_height: int
    kernel_width: int
    stride_height: int
    stride_width: int

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        tall, wide = self.height - self.kernel_height, self.width - self.kernel_width
        return tall // self.stride_height + 1, wide // self.stride_width + 1


def pooled_shape(row: Row, inputs: tuple[EdgeType, ...]) -> tuple[int, ...]:
    """Shape of the output of a pooling row.

    Raises:
        InvalidModel: the attributes do not fit the input.
    """
    expect_shape(row, inputs, arity=1, attributes=7, parameters=0)
    window, shape = PoolAttributes(*row.attributes), inputs[0].shape
    expect(shape == (1, *window[:3]), row, f"input shape {shape} is not (1, C, H, W)")
    expect(min(window) >= 1, row, "kernel and strides must be positive")
    expect(min(window.output_size) >= 1, row, "the kernel is larger than the input")
    return 1, window.channels, *window.output_size


def windows(tensor: Integers, attributes: PoolAttributes) -> Integers:
    """The operands of every window: [1, C, H', W', kernel_height * kernel_width]."""
    kernel = (attributes.kernel_height, attributes.kernel_width)
    strides = (attributes.stride_height, attributes.stride_width)
    views = sliding(tensor, kernel, strides)
    return views.reshape(*views.shape[:4], -1)


def sliding(tensor: Integers, kernel: tuple[int, int], strides: tuple[int, int]) -> Integers:
    """Windows over the last two axes: [.., H, W] gives [.., H', W', kernel height, width]."""
    height, width = kernel
    tall = (tensor.shape[-2] - height) // strides[0] + 1
    wide = (tensor.shape[-1] - width) // strides[1] + 1
    rows = np.arange(tall)[:, None] * strides[0] + np.arange(height)
    columns = np.arange(wide)[:, None] * strides[1] + np.arange(width)
    return tensor[..., rows[:, None, :, None], columns[None, :, None, :]]


def window_runs(pool: PoolAttributes, element: int) -> Column:
    """The operands of one window of input 0, a run for each of its rows."""
    channel, i, j = coordinates((pool.channels, *pool.output_size), element)
    top, left = i * pool.stride_height, j * pool.stride_width
    lines = (channel * pool.height + top + u for u in range(pool.kernel_height))
    return tuple(Places(0, line * pool.width + left, 1, pool.kernel_width) for line in lines)
