"""From float weights and activations to the integers of a table.

A real number `r` is held as the integer `q` with `r = scale * q`. A layer's weights get one scale
for each output channel, chosen so that the channel's multiplier is a whole number: the factor
between accumulator and output then carries no rounding of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.graph import Integers
from nesa.models.opcodes.rescale import HALVES_HIGH, MULTIPLIER_HIGH
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

Floats = NDArray[np.float64]
AnyFloats = NDArray[np.float32] | NDArray[np.float64]

WEIGHT_HIGH: Final = 127
PRECISE: Final = 64
"""Least multiplier where no scale takes up what it rounds: it is right to a part in 128."""

STEPS: Final = 12
"""Least multiplier of a layer's largest channel: its weights become coarser by a part of it."""
COARSEST: Final = 2.0
"""How much coarser than necessary weights may become to save a half of the rescale."""

LOGIT_HEADROOM: Final = 1.5
LOGIT_HIGH: Final = 32767
CHANNEL_SPREAD: Final = 8.0
"""Channels of the last layer whose weights are smaller than this part share one resolution."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How one tensor holds real numbers: integers in [low, high], each worth `scale`."""

    dtype: DType
    low: int
    high: int
    scale: float

    def edge(self, shape: tuple[int, ...]) -> EdgeType:
        """Type of a tensor of that shape which is held so."""
        return EdgeType(self.dtype, shape, self.low, self.high)

    def coarser(self, scale: float) -> Scaling:
        """The same real numbers in steps of at least `scale`."""
        if scale <= self.scale:
            return self
        low, high = (ceil(end * self.scale / scale) for end in (-self.low, self.high))
        return Scaling(self.dtype, -low, high, scale)


@dataclass(frozen=True, slots=True, eq=False)
class IntegerLayer:
    """A dense or convolutional layer: weights [N, K], biases [N], multipliers [N], halves h.

    `scale` is what one step of the output is worth.
    """

    weights: Integers
    biases: Integers
    multipliers: Integers
    halves: int
    scale: float


def activation_scaling(samples: Floats, percentile: float) -> Scaling:
    """uint8 for tensors that are never negative, else int8 in [-127, 127].

    The end of the range stands for the given percentile of the magnitudes.
    """
    peak = float(np.percentile(np.abs(samples), percentile)) or 1.0
    if samples.min() >= 0:
        return Scaling(DType.UINT8, 0, 255, peak / 255)
    return Scaling(DType.INT8, -127, 127, peak / 127)


def quantise(values: Floats, scaling: Scaling) -> Integers:
    """Nearest integers, half up, clipped to the range."""
    steps = np.floor(values / scaling.scale + 0.5)
    whole: Integers = np.clip(steps, scaling.low, scaling.high).astype(np.int64)
    return whole


def quantise_layer(
    weights: Floats,
    biases: Floats,
    input_scale: float,
    output_scale: float,
    least: int = PRECISE,
) -> IntegerLayer:
    """Integers for weights [N, K] and biases [N] between two given activation scales.

    No multiplier is below `least`; the lower it is, the less must the weights of channels with
    small ones become coarser.

    Raises:
        InvalidModel: no multiplier in [64, 8191] brings the sums to the output's scale.
    """
    finest = _finest_weight_scales(weights)
    factors = input_scale * finest / output_scale
    halves = _fewest_halves(float(factors.max()), max(PRECISE / COARSEST * least / PRECISE, STEPS))
    wanted = np.ceil(factors * 128.0**halves)
    multipliers = np.maximum(wanted, least).astype(np.int64)
    return _layer(weights, biases, multipliers, halves, (input_scale, output_scale))


def quantise_logits(
    weights: Floats, biases: Floats, input_scale: float, peak: float
) -> IntegerLayer:
    """Integers for the last layer, its output as fine as int16 holds with headroom.

    `peak` is the largest magnitude of the real output on calibration data.

    Raises:
        InvalidModel: four halves are not enough.
    """
    finest = _finest_weight_scales(weights)
    finest = np.maximum(finest, finest.max() / CHANNEL_SPREAD)
    for halves in range(1, HALVES_HIGH + 1):
        output_scale = float(input_scale * finest.min() * 128.0**halves / PRECISE)
        if peak * LOGIT_HEADROOM <= output_scale * LOGIT_HIGH:
            multipliers = np.ceil(finest / finest.min() * PRECISE).astype(np.int64)
            return _layer(weights, biases, multipliers, halves, (input_scale, output_scale))
    raise InvalidModel("the outputs of the last layer do not fit int16")


def quantise_factor(factor: float) -> tuple[int, int]:
    """Multiplier and halves next to a factor that no weight scale can absorb.

    Raises:
        InvalidModel: the factor is 64 or more, or smaller than four halves can express.
    """
    halves = _fewest_halves(factor, PRECISE)
    return round(factor * 128.0**halves), halves


def quantise_factors(factors: Sequence[float]) -> tuple[list[int], int]:
    """Multipliers and their common halves for tensors that are added.

    Raises:
        InvalidModel: the factors lie too far apart for one count of halves.
    """
    halves = _fewest_halves(min(factors), PRECISE)
    multipliers = [round(factor * 128.0**halves) for factor in factors]
    if max(multipliers) > MULTIPLIER_HIGH:
        raise InvalidModel("the scales of two tensors that are added lie too far apart")
    return multipliers, halves


def share_halves(factors: Sequence[float]) -> bool:
    """Whether the factors have multipliers with one count of halves."""
    return any(
        min(factors) * 128.0**halves >= PRECISE
        and round(max(factors) * 128.0**halves) <= MULTIPLIER_HIGH
        for halves in range(1, HALVES_HIGH + 1)
    )


def _finest_weight_scales(weights: Floats) -> Floats:
    peaks: Floats = np.abs(weights).max(axis=1)
    floor = float(peaks.max()) * 1e-6 or 1.0
    return np.maximum(peaks, floor) / WEIGHT_HIGH


def _fewest_halves(factor: float, smallest: float) -> int:
    """Halves with which the multiplier of `factor` is not below `smallest`."""
    for halves in range(1, HALVES_HIGH + 1):
        if factor * 128.0**halves >= smallest:
            if factor * 128.0**halves > MULTIPLIER_HIGH - 1:
                raise InvalidModel(f"a rescale by {factor} has no multiplier in [64, 8191]")
            return halves
    raise InvalidModel(f"a rescale by {factor} needs more than {HALVES_HIGH} halves")


def _layer(
    weights: Floats,
    biases: Floats,
    multipliers: Integers,
    halves: int,
    scales: tuple[float, float],
) -> IntegerLayer:
    """Weights and biases at the one scale for which the multipliers are exact."""
    input_scale, output_scale = scales
    sum_scales = multipliers * output_scale / 128.0**halves
    steps = np.rint(weights / (sum_scales / input_scale)[:, None])
    whole = np.clip(steps, -WEIGHT_HIGH, WEIGHT_HIGH).astype(np.int64)
    offsets = np.rint(biases / sum_scales).astype(np.int64)
    return IntegerLayer(whole, offsets, multipliers, halves, output_scale)
