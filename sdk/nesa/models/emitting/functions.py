"""Functions of one number: tables, or embeddings of one column for the model's indices."""

from __future__ import annotations

from typing import Final

import numpy as np

from nesa.models.elementwise import Function
from nesa.models.emitting.emission import WIDE_HIGH, Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.opcodes.lookup import ENTRIES
from nesa.models.quantise import Floats, Scaling, activation_scaling, quantise
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

FINENESS: Final = 64
"""Places between two whole numbers where a function is compared with a Relu."""

LOPSIDED: Final = 0.9
"""Part of a two-sided range that a function has to leave unused before it gets an offset."""


def emit(emission: Emission, layer: Layer) -> None:
    """A line changes the scale only; indices have an embedding; all the rest is a table."""
    function = layer.function
    if function is None:
        raise InvalidModel(f"{layer.name} is not a function")
    held = emission.held[layer.source]
    line = None if function.takes_integers else function.line()
    if line is not None and line[0] > 0:
        slope, offset = line
        emission.held[layer.target] = Held(
            held.value, held.scale * slope, held.offset * slope + offset
        )
    elif function.takes_integers:
        _column(emission, layer)
    elif emission.edge(layer.source).dtype is DType.INT16 and emission.bends(layer):
        _bend(emission, layer)
    else:
        _table(emission, layer)


def _table(emission: Emission, layer: Layer) -> None:
    assert layer.function is not None
    held = emission.byte(layer.source)
    edge = emission.builder.type_of(held.value)
    results = layer.function(np.arange(edge.low, edge.high + 1) * held.step)
    if not np.isfinite(results).all():
        raise InvalidModel(f"{layer.name} is not finite over the whole range of its input")
    scaling, offset = _scaling(emission, layer, results)
    bias = -edge.dtype.bounds[0]
    entries = np.zeros(ENTRIES, np.int64)
    entries[edge.low + bias : edge.high + bias + 1] = quantise(results - offset, scaling)
    parameter = Parameter(ParameterKind.ENTRIES, entries)
    declared = scaling.edge(edge.shape)
    value = emission.builder.add(Opcode.TABLE, [held.value], (bias,), [parameter], declared)
    emission.held[layer.target] = Held(value, scaling.scale, offset)


def _bend(emission: Emission, layer: Layer) -> None:
    """A function that is nearly a Relu, in int16: the Relu, and a table of the difference.

    Single numbers of a residual stream are a hundred times larger than the rest; a table of 256
    steps that reaches them is too coarse for all others.
    """
    assert layer.function is not None
    held = emission.plain(layer.source)
    reach = _reach(layer.function, held.step)
    near = Scaling(DType.INT8, -127, 127, reach / 127)
    byte = emission.rescaled(held, near)
    reals = np.arange(-127, 128) * byte.step
    steps = np.rint((layer.function(reals) - np.maximum(reals, 0)) / held.step).astype(np.int64)
    entries = np.zeros(ENTRIES, np.int64)
    lift = -int(steps.min())  # so that nothing is negative, and dense layers get 255 steps
    steps += lift
    entries[1:] = steps
    parameter = Parameter(ParameterKind.ENTRIES, entries)
    shape = emission.builder.type_of(byte.value).shape
    declared = EdgeType(DType.INT16, shape, int(steps.min()), int(steps.max()))
    table = emission.builder.add(Opcode.TABLE, [byte.value], (128,), [parameter], declared)
    positive = Scaling(DType.INT16, 0, WIDE_HIGH, held.step)
    pair = emission.rescaled(held, positive), Held(table, held.step)
    bent = emission.added(pair, (1, 1), positive)
    emission.held[layer.target] = Held(bent.value, bent.scale, -lift * held.step)


def _reach(function: Function, step: float) -> float:
    """How far from zero the function and a Relu still differ by half a step."""
    reals = np.arange(1, 20 * FINENESS + 1) / FINENESS
    apart = np.maximum(np.abs(function(-reals)), np.abs(function(reals) - reals))
    far = reals[apart > step / 2]
    return float(far.max()) if far.size else 1 / FINENESS


def _scaling(emission: Emission, layer: Layer, results: Floats) -> tuple[Scaling, float]:
    """Scaling and offset; where only dense layers read a lopsided function, 255 steps span it."""
    if _is_whole(results):
        return Scaling(DType.INT16, int(results.min()), int(results.max()), 1.0), 0.0
    if emission.is_wide(layer.target):
        peak = float(np.abs(results).max()) or 1.0
        return Scaling(DType.INT16, -WIDE_HIGH, WIDE_HIGH, peak / WIDE_HIGH), 0.0
    low, high = float(results.min()), float(results.max())
    kinds = {reader.kind for reader in emission.followers(layer.target)}
    lopsided = low < 0 and high - low < LOPSIDED * 2 * max(high, -low)
    if lopsided and kinds == {"Gemm"}:
        return Scaling(DType.UINT8, 0, 255, (high - low) / 255), low
    return activation_scaling(results, 100.0), 0.0


def _column(emission: Emission, layer: Layer) -> None:
    """A function of the model's indices: an embedding with one column."""
    assert layer.function is not None
    edge = emission.edge(layer.source)
    results = layer.function(np.arange(edge.high + 1, dtype=np.float64))
    if not np.isfinite(results).all():
        raise InvalidModel(f"{layer.name} is not finite for every index")
    step = 1.0 if _is_whole(results) else float(np.abs(results).max()) / 127
    column = np.rint(results / step).astype(np.int64).reshape(-1, 1)
    parameter = Parameter(ParameterKind.WEIGHTS, column)
    source = emission.held[layer.source].value
    value = emission.builder.add(Opcode.EMBEDDING, [source], (len(column), 1), [parameter])
    shaped = emission.builder.reshaped(value, emission.shape(layer.target))
    emission.held[layer.target] = Held(shaped, step)


def _is_whole(results: Floats) -> bool:
    return bool(np.abs(results).max() <= 127 and np.all(np.abs(results - np.rint(results)) < 1e-6))
