"""Sums, differences, products and quotients of tensors, and of tensors with constants."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from nesa.models.compositions import scaled
from nesa.models.emitting import dense
from nesa.models.emitting.emission import Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Opcode
from nesa.protocol.errors import InvalidModel

CONSTANT_HIGH: Final = 1023
"""Steps of the largest number of a constant tensor that another is multiplied by."""

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
    if math.prod(shapes[0]) < math.prod(shapes[1]):
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
    signs = (-1, 1) if sign < 0 and layer.constant_first else (1, sign)
    if constant.shape[-1:] == (constant.size,) and signs[0] > 0:
        offset = held.offset + sign * constant.reshape(-1)
        emission.held[layer.target] = Held(held.value, held.scale, offset)
        return
    scaling = emission.scaling(layer.target)
    pair = emission.plain(layer.source), emission.constant(constant, scaling.scale)
    emission.held[layer.target] = emission.added(pair, signs, scaling)


def _multiply_constant(emission: Emission, layer: Layer) -> None:
    """A constant for each channel costs nothing; one for each map is a convolution of one pixel."""
    held, constant = emission.held[layer.source], layer.constants[0].astype(np.float64)
    shape = emission.shape(layer.source)
    if constant.shape[-1:] == (constant.size,):
        gains = constant.reshape(-1)
        emission.held[layer.target] = Held(held.value, held.scale * gains, held.offset * gains)
    elif len(shape) == 4 and constant.shape[-3:] == (shape[1], 1, 1):
        weights, biases = constant.reshape(-1, 1, 1, 1), np.zeros(shape[1])
        attributes = {"group": shape[1]}
        dense.emit(
            emission,
            replace(layer, kind="Conv", attributes=attributes, weights=weights, biases=biases),
        )
    else:
        step = float(np.abs(constant).max() or 1.0) / CONSTANT_HIGH
        source = emission.plain(layer.source)
        value = _products(emission, layer, source, emission.constant(constant, step))
        emission.settle(layer.target, value, source.step * step)


def _products(emission: Emission, layer: Layer, first: Held, second: Held) -> int:
    """Every number of `first` times its number in `second`, or times that of its run."""
    shapes = [emission.builder.type_of(held.value).shape for held in (first, second)]
    try:
        joint = tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise InvalidModel(f"{layer.name} multiplies shapes {shapes[0]} and {shapes[1]}") from error
    value, factors = first.value, second.value
    if shapes[0] != joint:
        value = emission.repeated(value, joint)
    own = (*[1] * (len(joint) - len(shapes[1])), *shapes[1])
    runs = max((axis + 1 for axis, size in enumerate(own) if size != 1), default=0)
    if own[:runs] != joint[:runs]:
        factors = emission.repeated(factors, joint)
    return scaled(emission.builder, value, factors)
