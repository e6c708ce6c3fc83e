"""Turns the attributes of float layers into those of rows, every default filled in."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.models.floats import Layer
from nesa.models.opcodes.conv import ConvAttributes
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel


@dataclass(frozen=True, slots=True)
class Sliding:
    """How a window slides over one axis: `begin` and `end` places of padding make it fit."""

    size: int
    kernel: int
    stride: int
    begin: int
    end: int
    count: int

    def cells(self, begin: int, end: int) -> list[int]:
        """How many places of each window lie on the axis, so much padding counted as part of it."""
        starts = [place * self.stride - self.begin for place in range(self.count)]
        ends = [min(start + self.kernel, self.size + end) for start in starts]
        return [last - max(start, -begin) for start, last in zip(starts, ends, strict=True)]


def sliding(layer: Layer, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[Sliding, ...]:
    """The windows of a Conv or pool along height and width, its shapes being known.

    Raises:
        InvalidModel: the input is not [1, C, H, W], or the layer dilates.
    """
    if len(before) != 4:
        raise InvalidModel(f"{layer.name} needs an input [1, C, H, W]")
    if set(layer.integers("dilations", (1, 1))) != {1}:
        raise InvalidModel(f"{layer.name} must not dilate")
    kernel = layer.integers("kernel_shape", before[2:])
    if layer.weights is not None:
        kernel = tuple(int(size) for size in layer.weights.shape[2:])
    strides, pads = layer.integers("strides", (1, 1)), layer.integers("pads", (0, 0, 0, 0))
    found = []
    for axis in (0, 1):
        size, count = before[2 + axis], after[2 + axis]
        needed = (count - 1) * strides[axis] + kernel[axis]
        begin = _begin(layer, pads[axis], max(needed - size, 0))
        end = max(needed - size - begin, 0)
        found.append(Sliding(size, kernel[axis], strides[axis], begin, end, count))
    return tuple(found)


def conv_attributes(layer: Layer, edge: EdgeType, after: tuple[int, ...]) -> ConvAttributes:
    """Those of a Conv over an input of type `edge` to an output of shape `after`.

    Raises:
        InvalidModel: the input is not [1, C, H, W].
    """
    tall, wide = sliding(layer, edge.shape, after)
    groups, channels = int(layer.number("group", 1)), edge.shape[1]
    return conv_of(channels, groups, tall, wide)


def conv_of(channels: int, groups: int, tall: Sliding, wide: Sliding) -> ConvAttributes:
    """Those of a Conv whose windows slide like that."""
    size, kernel = (tall.size, wide.size), (tall.kernel, wide.kernel)
    pads = (tall.begin, wide.begin, tall.end, wide.end)
    return ConvAttributes(channels, *size, groups, *kernel, tall.stride, wide.stride, *pads)


def _begin(layer: Layer, given: int, total: int) -> int:
    """Padding in front, where `total` is needed on both sides together."""
    match layer.attributes.get("auto_pad", b"NOTSET"):
        case b"SAME_UPPER":
            return total // 2
        case b"SAME_LOWER":
            return total - total // 2
        case b"VALID":
            return 0
        case _:
            return given
