"""Tensors as integers would hold them, with gradients that pass the rounding by.

The estimator is the straight-through one (Bengio, Leonard and Courville 2013): rounding counts as
the identity, clipping as itself.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from nesa.models.quantise import Scaling

WEIGHT_HIGH: Final = 127
"""Weights are int8 in [-127, 127], scaled for each output channel."""

SMALLEST_SCALE: Final = 1e-12
"""Stands in for the scale of a channel of zeros, which has none."""


def round_activation(values: Tensor, scaling: Scaling) -> Tensor:
    """`values` of any shape, clipped to the range of `scaling` and rounded to its steps."""
    low, high = scaling.low * scaling.scale, scaling.high * scaling.scale
    return _rounded(values.clamp(low, high), torch.tensor(scaling.scale, dtype=values.dtype))


def round_weights(weights: Tensor, channel_axis: int, stretch: Tensor) -> Tensor:
    """`weights` rounded to 127 steps on either side, for each channel of `channel_axis`.

    `stretch` [channels] makes the steps of a channel coarser by its factor of 1 or more.
    """
    others = [axis for axis in range(weights.ndim) if axis != channel_axis % weights.ndim]
    peaks = weights.detach().abs().amax(dim=others, keepdim=True)
    scale = peaks.clamp(min=SMALLEST_SCALE) / WEIGHT_HIGH * stretch.reshape(peaks.shape)
    return _rounded(weights, scale)


def _rounded(values: Tensor, scale: Tensor) -> Tensor:
    steps = torch.floor(values.detach() / scale + 0.5) * scale
    return values + (steps - values.detach())
