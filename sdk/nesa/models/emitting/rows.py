"""Layers that work along one axis: norms, softmax, sums and means, products of two tensors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from nesa.models.compositions import Written, layer_norm, rms_norm, softmax
from nesa.models.emitting.emission import WIDE_HEADROOM, WIDE_HIGH, Emission
from nesa.models.emitting.held import Held
from nesa.models.floats import Layer
from nesa.models.graph import Opcode
from nesa.models.quantise import Floats, Scaling
from nesa.models.simplifying.masks import HIDDEN, LEAST
from nesa.protocol.edges import DType
from nesa.protocol.errors import InvalidModel

SCORE_STEP: Final = 0.045
"""Least step of masked scores: 255 of them are as good as minus infinity to a softmax."""

LEAST_GAIN: Final = 1e-5
"""Gains smaller than this part of the largest are as good as none; training leaves such."""

LEAST_DEVIATION: Final = 0.5
"""Smallest deviation that is still made 1, as a part of the smallest on the calibration data."""


def normalise(emission: Emission, layer: Layer) -> None:
    """LayerNorm or RMSNorm over the last axis; gain and offset wait for whoever reads it."""
    axis, rank = int(layer.number("axis", -1)), len(emission.shape(layer.source))
    if axis not in (-1, rank - 1):
        raise InvalidModel(f"{layer.name} must normalise the last axis")
    held = emission.plain(layer.source)
    centred = emission.samples[layer.source]
    if layer.kind == "LayerNormalization":
        centred = centred - centred.mean(axis=-1, keepdims=True)
    deviations = np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    least = max(
        float(np.nanmin(deviations)) * LEAST_DEVIATION, math.sqrt(layer.number("epsilon", 1e-5))
    )
    peak = float(np.nanmax(np.abs(centred / np.maximum(deviations, least)))) or 1.0
    scaling = Scaling(DType.INT16, -WIDE_HIGH, WIDE_HIGH, peak * WIDE_HEADROOM / WIDE_HIGH)
    compose = layer_norm if layer.kind == "LayerNormalization" else rms_norm
    written = compose(emission.builder, held.value, least / held.step, scaling)
    gains, offsets = _affine(layer)
    emission.held[layer.target] = Held(written.value, written.scale * gains, offsets)


def attend(emission: Emission, layer: Layer) -> None:
    """Softmax over the last axis, what hides places from it taken in."""
    axis, rank = int(layer.number("axis", -1)), len(emission.shape(layer.source))
    if axis not in (-1, rank - 1):
        raise InvalidModel(f"{layer.name} must work along the last axis")
    held = emission.plain(layer.source)
    if len(layer.sources) > 1 or layer.constants:
        held = _masked(emission, layer, held)
    written = softmax(emission.builder, Written(held.value, held.step))
    emission.held[layer.target] = Held(written.value, written.scale)


def _masked(emission: Emission, layer: Layer, scores: Held) -> Held:
    """Scores minus so much, where a place is hidden, that it lies 255 steps below every other."""
    edge = emission.builder.type_of(scores.value)
    step = max(scores.step, SCORE_STEP)
    fixed = _fixed(layer)
    seen = np.where(fixed <= -HIDDEN, 0, fixed)
    low, high = edge.low * scores.step + seen.min(), edge.high * scores.step + seen.max()
    depth = math.ceil((high - low) / step) + 256
    masks = [_column(emission, name, depth * step) for name in layer.sources[1:]]
    if layer.constants:
        masks.append(emission.constant(np.where(fixed <= -HIDDEN, -depth * step, fixed), step))
    bottom = math.floor(low / step) - len(masks) * depth
    wanted = Scaling(DType.INT32, bottom, math.ceil(high / step), step)
    if bottom >= -WIDE_HIGH and wanted.high <= WIDE_HIGH:
        wanted = replace(wanted, dtype=DType.INT16)
    for mask in masks:
        scores = emission.added((scores, mask), (1, 1), wanted)
    return scores


def _fixed(layer: Layer) -> Floats:
    """The sum of the constants that are added to the scores."""
    parts = [np.maximum(item.astype(np.float64), LEAST) for item in layer.constants]
    total: Floats = np.add.reduce(parts) if parts else np.zeros(1)
    return total


def _column(emission: Emission, name: str, depth: float) -> Held:
    """A mask of the indices, its hidden places worth `depth`."""
    value = emission.held[name].value
    return Held(value, depth / max(-emission.builder.type_of(value).low, 1))


def multiply(emission: Emission, layer: Layer) -> None:
    """MatMul of two activations."""
    first, second = (emission.byte(name) for name in layer.sources)
    edges = [emission.builder.type_of(held.value) for held in (first, second)]
    attributes = (*edges[0].shape[-2:], edges[1].shape[-1])
    values = [first.value, second.value]
    try:
        sums = emission.builder.add(Opcode.MATMUL, values, attributes)
    except InvalidModel as error:
        raise InvalidModel(f"{layer.name}: {error}") from error
    emission.settle(layer.target, sums, first.step * second.step)


def reduce(emission: Emission, layer: Layer) -> None:
    """Sum or mean over axes."""
    held, shape = emission.plain(layer.source), emission.shape(layer.source)
    axes = layer.integers("axes", ())
    if layer.constants:
        axes = tuple(int(axis) for axis in layer.constants[0].reshape(-1))
    places = {axis % len(shape) for axis in axes or range(len(shape))}
    order = [place for place in range(len(shape)) if place not in places] + sorted(places)
    size = math.prod(shape[place] for place in places)
    value = held.value
    if order != list(range(len(shape))):
        value = emission.builder.add(Opcode.TRANSPOSE, [value], order)
    flat = emission.builder.reshaped(value, (math.prod(shape) // size, size))
    sums = emission.builder.add(Opcode.ROW_SUM, [flat], (size,))
    sums = emission.builder.reshaped(sums, emission.shape(layer.target))
    step = held.step / (size if layer.kind == "ReduceMean" else 1)
    edge = emission.builder.type_of(sums)
    if step == 1.0 and edge.low >= 0 and edge.high <= 255:  # counts, which are exact as they are
        emission.held[layer.target] = Held(sums, 1.0)
    else:
        emission.settle(layer.target, sums, step)


def _affine(layer: Layer) -> tuple[Floats, Floats]:
    gains = layer.constants[0].astype(np.float64).reshape(-1)
    least = float(np.abs(gains).max()) * LEAST_GAIN
    gains = np.where(np.abs(gains) < least, least, gains)
    offsets = np.zeros_like(gains)
    if len(layer.constants) > 1:
        offsets = layer.constants[1].astype(np.float64).reshape(-1)
    return gains, offsets
