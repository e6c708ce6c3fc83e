"""Sums, differences, products and quotients of tensors, and of tensors with constants."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nesa.models.compositions import scaled
from nesa.models.emitting import dense
from nesa.models.emitting.emission import Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Opcode
from nesa.models.quantise import Scaling
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel

RECIPROCAL_BITS: Final = 15


def add(emission: Emission, layer: Layer) -> None:
    """Two tensors at a common scale, or a tensor and a constant; also their difference."""
    sign = -1 if layer.kind == "Sub" else 1
    if layer.constants:
        _add_constant(emission, layer, sign)
        return
    target, scaling = dense.activation(emission, layer)
    pair = emission.plain(layer.sources[0]), emission.plain(layer.sources[1])
    emission.held[target] = emission.added(pair, (1, sign), scaling)


def multiply(emission: Emission, layer: Layer) -> None:
    """Two tensors, one of which may hold one number for each row; or a tensor and a constant."""
    if layer.constants:
        _multiply_constant(emission, layer)
        return
    first, second = (emission.plain(name) for name in layer.sources)
    shapes = [emission.builder.type_of(held.value).shape for held in (first, second)]
    if shapes[0][-1] == 1 and shapes[1][-1] != 1:
        first, second = second, first
    value = _products(emission, layer, first, second)
    emission.settle(layer.target, value, first.step * second.step)


def divide(emission: Emission, layer: Layer) -> None:
    """Every row by a number of its own, by the search for the reciprocal."""
    if layer.constants or len(layer.sources) != 2:
        raise InvalidModel(f"{layer.name} must divide by numbers, or rows by tensors")
    top, bottom = (emission.plain(name) for name in layer.sources)
    edge = emission.builder.type_of(bottom.value)
    if edge.low < 0:
        raise InvalidModel(f"{layer.name} must divide by what cannot be negative")
    attributes = (RECIPROCAL_BITS, RECIPROCAL_BITS)
    inverse = emission.builder.add(Opcode.DIVIDE_SEARCH, [bottom.value], attributes)
    value = _products(emission, layer, top, Held(inverse, 1.0))
    emission.settle(layer.target, value, top.step / bottom.step / 2**RECIPROCAL_BITS)


def _add_constant(emission: Emission, layer: Layer, sign: int) -> None:
    """A constant for each channel costs nothing until somebody needs it in the integers."""
    held, constant = emission.held[layer.source], layer.constants[0].astype(np.float64)
    if sign < 0 and layer.constant_first:
        raise InvalidModel(f"{layer.name} must subtract the constant, not from it")
    if constant.shape[-1:] == (constant.size,):
        offset = held.offset + sign * constant.reshape(-1)
        emission.held[layer.target] = Held(held.value, held.scale, offset)
        return
    scaling = emission.scaling(layer.target)
    pair = emission.plain(layer.source), emission.constant(constant, scaling.scale)
    emission.held[layer.target] = emission.added(pair, (1, sign), scaling)


def _multiply_constant(emission: Emission, layer: Layer) -> None:
    held, constant = emission.held[layer.source], layer.constants[0].astype(np.float64)
    if constant.shape[-1:] != (constant.size,):
        raise InvalidModel(f"{layer.name} must multiply by one constant for each channel")
    gains = constant.reshape(-1)
    emission.held[layer.target] = Held(held.value, held.scale * gains, held.offset * gains)


def _products(emission: Emission, layer: Layer, first: Held, second: Held) -> int:
    """Every number of `first` times its number in `second`, or times that of its row."""
    shapes = [emission.builder.type_of(held.value).shape for held in (first, second)]
    joint = tuple(np.broadcast_shapes(*shapes))
    per_row = shapes[1][-1] == 1 and math.prod(shapes[1]) == math.prod(joint[:-1])
    if shapes[0] != joint or not (per_row or shapes[1] == joint):
        raise InvalidModel(f"{layer.name} multiplies shapes {shapes[0]} and {shapes[1]}")
    return scaled(emission.builder, first.value, second.value)
