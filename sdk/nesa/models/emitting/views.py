"""Layers that move numbers: views, parts, joints, embeddings, the largest place."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from nesa.models.emitting.emission import Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Integers, Opcode, Parameter, ParameterKind
from nesa.models.quantise import Scaling
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel

FINE: Final = 63
"""One step of the coarse embedding table is that many of the fine one."""


def view(emission: Emission, layer: Layer) -> None:
    """Flatten, Reshape, Squeeze, Unsqueeze, Expand, Identity, Dropout."""
    held = _movable(emission, layer)
    shape = emission.shape(layer.target)
    if emission.builder.type_of(held.value).elements == math.prod(shape):
        value = emission.builder.reshaped(held.value, shape)
    else:
        value = emission.repeated(held.value, shape)
    emission.held[layer.target] = Held(value, held.scale, held.offset)


def transpose(emission: Emission, layer: Layer) -> None:
    """Transpose."""
    held = _movable(emission, layer)
    rank = len(emission.shape(layer.source))
    order = layer.integers("perm", tuple(reversed(range(rank))))
    value = emission.builder.add(Opcode.TRANSPOSE, [held.value], order)
    emission.held[layer.target] = Held(value, held.scale, held.offset)


def part(emission: Emission, layer: Layer) -> None:
    """Slice with constant bounds, and the parts of a Split."""
    held, shape = emission.plain(layer.source), emission.shape(layer.source)
    value = held.value
    for axis, start, stop in _bounds(layer, shape):
        value = emission.builder.add(Opcode.SLICE, [value], (axis, start, stop))
    emission.held[layer.target] = Held(value, held.step)


def join(emission: Emission, layer: Layer) -> None:
    """Concat, every tensor at the coarsest of their scales."""
    held = [emission.byte(name) for name in layer.sources]
    step = max(item.step for item in held)
    signed = any(emission.builder.type_of(item.value).low < 0 for item in held)
    wanted = Scaling(DType.INT8, -127, 127, step) if signed else Scaling(DType.UINT8, 0, 255, step)
    if signed and any(emission.builder.type_of(item.value).high > 127 for item in held):
        wanted = Scaling(DType.INT8, -127, 127, step * 255 / 127)
    values = [_alike(emission, item, wanted) for item in held]
    axis = int(layer.number("axis", 0)) % len(emission.shape(layer.target))
    value = emission.builder.joined(values, axis)
    emission.held[layer.target] = Held(value, wanted.scale)


def gather(emission: Emission, layer: Layer) -> None:
    """Rows of a constant table, or one place of an axis."""
    if layer.source == emission.model.source and emission.model.takes_indices:
        _embed(emission, layer)
        return
    if not layer.constants or layer.constants[0].size != 1:
        raise InvalidModel(f"{layer.name} must look up rows of a constant, or one place of an axis")
    held, shape = emission.plain(layer.source), emission.shape(layer.source)
    axis = int(layer.number("axis", 0)) % len(shape)
    place = int(layer.constants[0].reshape(-1)[0]) % shape[axis]
    value = emission.builder.add(Opcode.SLICE, [held.value], (axis, place, place + 1))
    value = emission.builder.reshaped(value, emission.shape(layer.target))
    emission.held[layer.target] = Held(value, held.step)


def place_of_largest(emission: Emission, layer: Layer) -> None:
    """ArgMax over the last axis, as the last layer."""
    held = emission.plain(layer.source)
    shape = emission.builder.type_of(held.value).shape
    axis = int(layer.number("axis", 0)) % len(shape)
    if axis != len(shape) - 1 or layer.number("select_last_index", 0):
        raise InvalidModel(f"{layer.name} must take the first largest of the last axis")
    if layer.target != emission.model.target:
        raise InvalidModel(f"{layer.name} must be the last node")
    value = emission.builder.add(Opcode.ARG_MAX, [held.value], (shape[-1],))
    emission.held[layer.target] = Held(value, 1.0)


def _movable(emission: Emission, layer: Layer) -> Held:
    """The tensor with one number for scale and offset, which any move leaves alone."""
    held = emission.held[layer.source]
    alike = isinstance(held.scale, float) and np.ndim(held.offset) == 0
    return held if alike else emission.plain(layer.source)


def _bounds(layer: Layer, shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
    if layer.kind == "Split":
        axis = int(layer.number("axis", 0)) % len(shape)
        size = -(-shape[axis] // int(layer.number("parts", 1)))
        start = int(layer.number("start", layer.number("part", 0) * size))
        return [(axis, start, int(layer.number("stop", min(start + size, shape[axis]))))]
    starts, stops, *more = (np.asarray(item).reshape(-1) for item in layer.constants)
    axes = more[0] if more else np.arange(len(starts))
    if len(more) > 1 and set(more[1].tolist()) != {1}:
        raise InvalidModel(f"{layer.name} must take every place between its bounds")
    found = []
    for axis, start, stop in zip(axes, starts, stops, strict=True):
        place = int(axis) % len(shape)
        low, high, _ = slice(int(start), int(stop)).indices(shape[place])
        found.append((place, low, high))
    return found


def _alike(emission: Emission, held: Held, wanted: Scaling) -> int:
    edge = emission.builder.type_of(held.value)
    if edge.dtype is wanted.dtype and held.step == wanted.scale:
        return held.value
    return emission.rescaled(held, wanted).value


def _embed(emission: Emission, layer: Layer) -> None:
    """Two int8 tables, a coarse and a fine one, added to int16."""
    table = layer.constants[0].astype(np.float64)
    if table.ndim != 2 or layer.number("axis", 0):
        raise InvalidModel(f"{layer.name} must look up rows of a table")
    step = 2.0 ** math.ceil(math.log2(float(np.abs(table).max() or 1.0) / (127 * FINE)))
    steps = np.rint(table / step).astype(np.int64)
    coarse = np.rint(steps / FINE).astype(np.int64)
    pair = [_rows(emission, part) for part in (coarse, steps - coarse * FINE)]
    held = Held(pair[0], step * FINE), Held(pair[1], step)
    high = 128 * FINE
    wanted = Scaling(DType.INT16, -high, high, step)
    emission.held[layer.target] = emission.added(held, (1, 1), wanted)


def _rows(emission: Emission, table: Integers) -> int:
    parameter = Parameter(ParameterKind.WEIGHTS, table)
    return emission.builder.add(Opcode.EMBEDDING, [0], table.shape, [parameter])
