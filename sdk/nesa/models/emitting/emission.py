"""What has been emitted so far: the table, and how each tensor of the model is held in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.compositions import Written, affine
from nesa.models.emitting.equalising import channel_scales
from nesa.models.emitting.held import Held
from nesa.models.floats import VIEWS, FloatModel, Layer
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.opcodes.rescale import HALVES_HIGH, MULTIPLIER_HIGH, MULTIPLIER_LOW
from nesa.models.quantise import (
    Floats,
    Scaling,
    activation_scaling,
    quantise_factor,
    quantise_factors,
    share_halves,
)
from nesa.protocol.edges import DType, EdgeType

WIDE_HIGH: Final = 32767
WIDE_HEADROOM: Final = 1.25
"""How far beyond the calibration the int16 range of a residual stream reaches."""

LAST_HEADROOM: Final = 1.5
COARSEST: Final = 60.0
"""How much coarser the steps of a value may be than those of a sum."""

SUM_HIGH: Final = 2**24 - 1

FEWEST_STEPS: Final = 6

NORMS: Final = frozenset({"LayerNormalization", "RMSNormalization"})
WIDE_READERS: Final = NORMS | {"Add", "Sub", "Mul", "Div", "ReduceMean", "ReduceSum"}
"""Kinds of layers that a model with a residual stream feeds with int16."""


class Emission:
    """The builder and the bookkeeping that every family of layers shares."""

    def __init__(
        self, model: FloatModel, samples: Mapping[str, Floats], scaling: Scaling, percentile: float
    ) -> None:
        self.model = model
        self.samples = samples
        self.percentile = percentile
        self.builder = TableBuilder([scaling.edge(model.input_shape)])
        self.held = {model.source: Held(0, scaling.scale)}
        self.keeps_stream = any(layer.kind in NORMS for layer in model.layers)
        self._followers: dict[str, list[Layer]] = {}
        for layer in model.layers:
            for source in layer.sources:
                self._followers.setdefault(source, []).append(layer)
        self._narrowed: dict[tuple[str, str], Held] = {}
        self._bending = {
            layer.target
            for layer in model.layers
            if layer.function is not None and layer.function.bends()
        }

    def followers(self, name: str) -> list[Layer]:
        """The layers that read tensor `name`."""
        return self._followers.get(name, [])

    def readers(self, name: str) -> list[Layer]:
        """The layers that read tensor `name`, seen through views."""
        found = []
        for layer in self.followers(name):
            found += self.readers(layer.target) if layer.kind in VIEWS else [layer]
        return found

    def is_last(self, name: str) -> bool:
        """Whether only views lie between the tensor and the model's output."""
        return all(
            layer.kind in VIEWS | {"ArgMax"} and self.is_last(layer.target)
            for layer in self.followers(name)
        )

    def is_wide(self, name: str) -> bool:
        """Whether the tensor belongs to a residual stream, which is held in int16."""
        return self.keeps_stream and any(
            reader.kind in WIDE_READERS or self.bends(reader) for reader in self.readers(name)
        )

    def bends(self, layer: Layer) -> bool:
        """Whether the layer is a function that is nearly a Relu."""
        return layer.target in self._bending

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the tensor, worked out on the calibration data."""
        return tuple(int(size) for size in self.samples[name].shape[1:])

    def edge(self, name: str) -> EdgeType:
        """Type of the value that holds the tensor."""
        return self.builder.type_of(self.held[name].value)

    def peak(self, name: str) -> float:
        """Largest magnitude of the tensor on the calibration data, padding left out."""
        return float(np.abs(self.shown(name)).max(initial=0.0)) or 1.0

    def shown(self, name: str) -> Floats:
        """The numbers of the tensor on the calibration data, padding left out, [n]."""
        values = self.samples[name]
        found: Floats = values[np.isfinite(values)]
        return found

    def scaling(self, name: str) -> Scaling:
        """How the tensor is to be held: int16 in a residual stream or at the end, else a byte."""
        if self.is_last(name):
            step = self.peak(name) * LAST_HEADROOM / WIDE_HIGH
            return Scaling(DType.INT16, -WIDE_HIGH, WIDE_HIGH, step)
        return self.wide_scaling(name) if self.is_wide(name) else self.byte_scaling(name)

    def wide_scaling(self, name: str) -> Scaling:
        """int16; what goes into a sum is held in steps that are 128ths of those of the sum.

        So the sum needs no multiplier that rounds, and its multipliers lie close together.
        """
        step = self.peak(name) * WIDE_HEADROOM / WIDE_HIGH
        for layer in self.readers(name):
            if layer.kind in ("Add", "Sub") and len(layer.sources) == 2:
                whole = self.wide_scaling(layer.target).scale
                step = whole * max(math.ceil(step / whole * 128), 64) / 128
                break
        return Scaling(DType.INT16, -WIDE_HIGH, WIDE_HIGH, step)

    def byte_scaling(self, name: str) -> Scaling:
        """How the tensor fits int8; it is one-sided only where its layer says so."""
        scaling = activation_scaling(self.shown(name), self.percentile)
        if scaling.dtype is DType.UINT8:  # by chance only: other rows may go below zero
            return Scaling(DType.INT8, -127, 127, scaling.scale * 255 / 127)
        return scaling

    def settle(self, name: str, value: int, scale: float) -> None:
        """Rescales accumulators, each worth `scale`, to how the tensor is to be held."""
        self.held[name] = self.rescaled(Held(value, scale), self.scaling(name))

    def rescaled(self, held: Held, wanted: Scaling) -> Held:
        """`held` in the dtype of `wanted`, in steps next to its, or coarser ones if need be."""
        wanted = wanted.coarser(held.step / COARSEST)
        multiplier, halves = quantise_factor(held.step / wanted.scale)
        declared = wanted.edge(self.builder.type_of(held.value).shape)
        value = self.builder.rescale(held.value, [multiplier], halves, declared)
        return Held(value, held.step * 128.0**halves / multiplier, held.offset)

    def plain(self, name: str) -> Held:
        """The tensor with one scale and no offset, in whatever type it is held.

        Raises:
            InvalidModel: scales lie too far apart.
        """
        held = self.held[name]
        if held.is_plain:
            return held
        if not isinstance(held.scale, float) or held.scale <= 0:
            held = self._with_one_scale(name, held)
        if np.any(held.offset):
            held = self._without_offset(name, held)
        held = Held(held.value, held.step)
        self.held[name] = held
        return held

    def byte(self, name: str) -> Held:
        """The tensor as int8 or uint8 with one scale and no offset."""
        return self._narrow(name, "byte", self._as_byte)

    def operand(self, name: str) -> Held:
        """The tensor as a dense layer reads it: a byte, equalised where it comes from int16."""
        edge, held = self.edge(name), self.held[name]
        if edge.dtype in (DType.INT8, DType.UINT8):
            return held
        if edge.dtype is not DType.INT16:
            return self.byte(name)
        return self._narrow(name, "operand", self._equalised)

    def _narrow(self, name: str, form: str, make: Callable[[str], Held]) -> Held:
        if (name, form) not in self._narrowed:
            self._narrowed[name, form] = make(name)
        return self._narrowed[name, form]

    def _as_byte(self, name: str) -> Held:
        held = self.plain(name)
        edge = self.builder.type_of(held.value)
        if edge.dtype in (DType.INT8, DType.UINT8):
            return held
        if edge.low >= 0 and edge.high <= 255:  # fits as it is
            return self.rescaled(held, Scaling(DType.UINT8, edge.low, edge.high, held.step))
        return self.rescaled(held, self.byte_scaling(name))

    def _equalised(self, name: str) -> Held:
        """A byte with a scale for each channel: some of what makes channels unlike goes to weights.

        How much is tried out on the calibration data.
        """
        held = self.held[name]
        size = self.shape(name)[-1]
        rows = (self.samples[name] - held.offset).reshape(-1, size)
        rows = rows[np.isfinite(rows).all(axis=1)]
        signed = self.builder.type_of(held.value).low < 0
        weights = [
            layer.weights
            for layer in self.followers(name)
            if layer.kind == "Gemm" and layer.weights is not None
        ]
        wanted = channel_scales(rows, weights, 127 if signed else 255)
        factors = np.abs(np.broadcast_to(held.scale, (size,))) / wanted
        byte = Scaling(DType.INT8, -127, 127, 1.0) if signed else Scaling(DType.UINT8, 0, 255, 1.0)
        return self._by_channel(held, factors, byte, _fewest_halves(factors))

    def _by_channel(self, held: Held, factors: Floats, wanted: Scaling, halves: int) -> Held:
        """Channels times about `factors` [C]; the scales say what they were times exactly."""
        multipliers = np.rint(factors * 128.0**halves).astype(np.int64)
        multipliers = np.clip(multipliers, MULTIPLIER_LOW, MULTIPLIER_HIGH)
        shape = self.builder.type_of(held.value).shape
        axis = len(shape) - 1
        value = self.builder.rescale(held.value, multipliers, halves, wanted.edge(shape), axis)
        return Held(value, held.scale * 128.0**halves / multipliers, held.offset)

    def _with_one_scale(self, name: str, held: Held) -> Held:
        """int16 with one scale, each channel multiplied by what makes up the difference."""
        edge, wanted = self.builder.type_of(held.value), self.wide_scaling(name)
        scales = np.broadcast_to(held.scale, edge.shape[-1:])
        if (scales <= 0).any():
            offsets = np.broadcast_to(held.offset, scales.shape)
            bent = affine(self.builder, Written(held.value, 1.0), scales, offsets, wanted)
            return Held(bent.value, bent.scale)
        factors = scales / wanted.scale
        made = self._by_channel(held, factors, wanted, _most_halves(factors))
        return Held(made.value, wanted.scale, held.offset)

    def _without_offset(self, name: str, held: Held) -> Held:
        """int16 that includes the offset."""
        wanted = self.wide_scaling(name)
        offset = np.asarray(held.offset, np.float64).reshape(-1)
        rank = len(self.builder.type_of(held.value).shape)
        constant = self.constant(offset.reshape((1,) * (rank - 1) + (-1,)), wanted.scale)
        return self.added((held, constant), (1, 1), wanted)

    def added(self, pair: tuple[Held, Held], signs: tuple[int, int], wanted: Scaling) -> Held:
        """Sum of two plain values, or their difference, as `wanted`.

        The steps of the sum are coarser than wanted where no multiplier is large enough, and a
        value whose steps are too fine beside the other's is first brought to those of the sum.
        """
        wanted = wanted.coarser(max(held.step for held in pair) / COARSEST)
        factors = [held.step / wanted.scale for held in pair]
        if not share_halves(factors):
            whole = Scaling(DType.INT32, -SUM_HIGH, SUM_HIGH, wanted.scale)
            first, second = (
                self.rescaled(held, whole) if held.step < wanted.scale else held for held in pair
            )
            pair = first, second
        sizes, halves = quantise_factors([held.step / wanted.scale for held in pair])
        multipliers = np.array([size * sign for size, sign in zip(sizes, signs, strict=True)])
        shapes = [self.builder.type_of(held.value).shape for held in pair]
        shape = np.broadcast_shapes(*shapes)
        one, other = (
            self.builder.reshaped(held.value, (*[1] * (len(shape) - len(own)), *own))
            for held, own in zip(pair, shapes, strict=True)
        )
        value = self.builder.add_rescaled((one, other), multipliers, halves, wanted.edge(shape))
        return Held(value, wanted.scale)

    def repeated(self, value: int, shape: tuple[int, ...]) -> int:
        """The value with every axis of size 1, also those in front, repeated to fill the shape."""
        own = self.builder.type_of(value).shape
        own = (*[1] * (len(shape) - len(own)), *own)
        value = self.builder.reshaped(value, own)
        for axis, (before, after) in enumerate(zip(own, shape, strict=True)):
            if before != after:
                value = self.builder.joined([value] * after, axis)
        return value

    def constant(self, numbers: Floats, step: float) -> Held:
        """Numbers that do not depend on the input: the biases of a dense layer without weights."""
        biases = np.rint(numbers / step).astype(np.int64).reshape(-1)
        first = self.builder.type_of(0)
        flat = self.builder.add(Opcode.RESHAPE, [0], (1, first.elements))
        one = self.builder.add(Opcode.SLICE, [flat], (1, 0, 1))
        parameters = [
            Parameter(ParameterKind.WEIGHTS, np.zeros((biases.size, 1), np.int64)),
            Parameter(ParameterKind.BIASES, biases),
        ]
        made = self.builder.add(Opcode.LINEAR, [one], (1, int(biases.size)), parameters)
        return Held(self.builder.reshaped(made, numbers.shape), step)


def _fewest_halves(factors: Floats) -> int:
    """Fewest halves that give every multiplier some steps; what it rounds, the scales take up."""
    least = factors[factors * 100 >= factors.max()].min()
    for halves in range(1, HALVES_HIGH):
        if least * 128.0**halves >= max(MULTIPLIER_LOW, FEWEST_STEPS):
            return halves
    return HALVES_HIGH


def _most_halves(factors: Floats) -> int:
    """Most halves with which no multiplier is too large."""
    for halves in range(HALVES_HIGH, 1, -1):
        if factors.max() * 128.0**halves <= MULTIPLIER_HIGH:
            return halves
    return 1
