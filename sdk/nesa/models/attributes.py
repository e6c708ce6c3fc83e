"""Turns the attributes of float layers into those of rows, every default filled in."""

from __future__ import annotations

import math

from nesa.models.floats import Layer
from nesa.models.opcodes.conv import ConvAttributes
from nesa.models.opcodes.window import PoolAttributes
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel


def conv_attributes(layer: Layer, edge: EdgeType) -> ConvAttributes:
    """Those of a Conv over an input of type `edge`.

    Raises:
        InvalidModel: the input is not [1, C, H, W].
    """
    if layer.weights is None or len(edge.shape) != 4:
        raise InvalidModel(f"{layer.name} needs an input [1, C, H, W]")
    top, left, bottom, right = layer.integers("pads", (0, 0, 0, 0))
    tall, wide = layer.integers("strides", (1, 1))
    _, channels, height, width = edge.shape
    kernel = (int(layer.weights.shape[2]), int(layer.weights.shape[3]))
    groups = int(layer.number("group", 1))
    pads = (top, left, bottom, right)
    return ConvAttributes(channels, height, width, groups, *kernel, tall, wide, *pads)


def pool_attributes(layer: Layer, edge: EdgeType) -> PoolAttributes:
    """Those of a MaxPool, AveragePool or GlobalAveragePool over an input of type `edge`.

    Raises:
        InvalidModel: the input is not [1, C, H, W], or the layer pads, rounds up or dilates.
    """
    if len(edge.shape) != 4:
        raise InvalidModel(f"{layer.name} needs an input [1, C, H, W]")
    _, channels, height, width = edge.shape
    if layer.kind == "GlobalAveragePool":
        return PoolAttributes(channels, height, width, height, width, 1, 1)
    padded = any(layer.integers("pads", (0,))) or layer.number("ceil_mode", 0)
    dilated = set(layer.integers("dilations", (1, 1))) != {1}
    if padded or dilated or layer.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise InvalidModel(f"{layer.name} must not pad, round up or dilate")
    kernel, strides = layer.integers("kernel_shape", ()), layer.integers("strides", (1, 1))
    return PoolAttributes(channels, height, width, kernel[0], kernel[1], strides[0], strides[1])


def reshape_attributes(layer: Layer, edge: EdgeType) -> tuple[int, ...]:
    """The shape that a Flatten or Reshape gives, every size worked out."""
    if layer.kind == "Flatten":
        axis = int(layer.number("axis", 1))
        head = math.prod(edge.shape[:axis])
        return head, edge.elements // head
    sizes = list(layer.integers("shape", ()))
    if layer.number("allowzero", 0) == 0:
        sizes = [edge.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    known = math.prod(size for size in sizes if size != -1)
    return tuple(edge.elements // known if size == -1 else size for size in sizes)
