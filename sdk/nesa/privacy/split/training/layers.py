"""Dense layers in torch, drawn from seeds or in secret; torch is imported for the first ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nesa.privacy.split.training.draws import secret_draws
from nesa.privacy.split.training.wire import (
    MAX_LAYERS,
    MAX_PARAMETERS,
    MAX_WIDTH,
    unpack_array,
)
from nesa.protocol.errors import InvalidConfiguration, InvalidInput


@dataclass(frozen=True, slots=True)
class Learning:
    """How layers learn: steps of AdamW (Loshchilov and Hutter 2019)."""

    rate: float = 1e-2
    decay: float = 0.0

    def __post_init__(self) -> None:
        if not (0 < self.rate <= 1 and 0 <= self.decay <= 1):
            raise InvalidInput("the learning rate is in (0, 1], the weight decay in [0, 1]")


def require_torch() -> None:
    """Returns when torch is there.

    Raises:
        InvalidConfiguration: it is not.
    """
    if importlib.util.find_spec("torch") is None:
        raise InvalidConfiguration(
            "split training needs torch: install it with `pip install torch`, or in a checkout "
            "with `make setup-train`"
        )


def require_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Widths of dense layers, the input first.

    Raises:
        InvalidInput: no layer, too many, one that is too wide, or too many weights.
    """
    if not 2 <= len(widths) <= MAX_LAYERS + 1:
        raise InvalidInput(f"name 2 to {MAX_LAYERS + 1} widths, that of the input first")
    if not all(1 <= width <= MAX_WIDTH for width in widths):
        raise InvalidInput(f"a layer is 1 to {MAX_WIDTH:,} wide")
    if sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths)) > MAX_PARAMETERS:
        raise InvalidInput(f"the layers have more than {MAX_PARAMETERS:,} weights; narrow them")
    return tuple(widths)


def dense(widths: Sequence[int], seed: int | None, *, ends_plain: bool = False) -> Any:
    """Dense layers [.., widths[0]] to [.., widths[-1]], each with a ReLU; the last without where
    it `ends_plain`. Equal seeds give equal weights, and 32 bits of a seed count; with None the
    weights are secret. Torch's own generator stays as it was.

    Raises:
        InvalidConfiguration: torch is not installed.
    """
    require_torch()
    import torch
    from torch import nn

    made: list[Any] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        for inputs, outputs in pairwise(widths):
            made += [nn.Linear(inputs, outputs), nn.ReLU()]
    if seed is None:
        for each in made[::2]:
            _draw_in_secret(each)
    return nn.Sequential(*(made[:-1] if ends_plain else made))


def _draw_in_secret(linear: Any) -> None:
    """Weights and biases of the distribution that torch begins with, from a stream of their own."""
    import torch

    drawn, bound = secret_draws(), linear.in_features**-0.5
    with torch.no_grad():
        for values in linear.parameters():
            values.copy_(drawn.uniform(values.shape, bound))


def optimiser(layers: Any, learning: Learning) -> Any:
    """What makes their steps."""
    import torch

    return torch.optim.AdamW(layers.parameters(), lr=learning.rate, weight_decay=learning.decay)


def packed(layers: Any) -> bytes:
    """Weights and biases of the dense layers, in order; float32."""
    linear = [each for each in layers if hasattr(each, "weight")]
    return b"".join(_bytes(each.weight) + _bytes(each.bias) for each in linear)


def packed_size(widths: Sequence[int]) -> int:
    """Bytes of packed layers."""
    return 4 * sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


def unpacked(data: bytes, widths: Sequence[int]) -> Any:
    """Dense layers with a ReLU each that somebody else trained.

    Raises:
        InvalidMessage: not those of the widths, NaN or infinity.
    """
    import torch

    made = dense(widths, 0)
    flat, start = unpack_array(data, (packed_size(widths) // 4,)), 0
    with torch.no_grad():
        for ours in made.parameters():
            end = start + ours.numel()
            ours.copy_(torch.from_numpy(flat[start:end].reshape(ours.shape)))
            start = end
    return made


def _bytes(values: Any) -> bytes:
    return np.ascontiguousarray(values.detach().numpy(), "<f4").tobytes()
