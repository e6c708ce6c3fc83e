"""What a client of split training draws: noise, the order of its rows, its first weights.

A peer sees values that hang on these draws: where a ReLU gave zero, the noise and nothing else. So
secret ones come from a cipher with a key of 256 bits. Torch's own generator keeps 32 bits of a seed
and is tried out in full; it draws where a training is to be repeated, and hides nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Protocol

from nesa.privacy.streams import Stream

KEY_BYTES: Final = 32


class Draws(Protocol):
    """Draws for one purpose, as tensors of torch."""

    def normal(self, shape: Sequence[int]) -> Any:
        """[*shape] float32, standard normal."""

    def permutation(self, size: int) -> Any:
        """[size] int64: the numbers below `size` in a drawn order."""


@dataclass(frozen=True, slots=True)
class SeededDraws:
    """Those of torch's generator; equal seeds give equal draws, and 32 bits of a seed count."""

    generator: Any

    def normal(self, shape: Sequence[int]) -> Any:
        """See `Draws`."""
        import torch

        return torch.randn(tuple(shape), generator=self.generator)

    def permutation(self, size: int) -> Any:
        """See `Draws`."""
        import torch

        return torch.randperm(size, generator=self.generator)


@dataclass(frozen=True, slots=True)
class SecretDraws:
    """Those of a cipher's stream: no draw tells another one to who has not its key."""

    stream: Stream

    def normal(self, shape: Sequence[int]) -> Any:
        """See `Draws`."""
        import torch

        drawn = self.stream.normal(prod(shape))
        return torch.from_numpy(drawn).float().reshape(tuple(shape))

    def permutation(self, size: int) -> Any:
        """See `Draws`."""
        import torch

        return torch.from_numpy(self.stream.permutation(size))

    def uniform(self, shape: Sequence[int], bound: float) -> Any:
        """[*shape] float32, uniform in [-bound, bound]."""
        import torch

        drawn = (2 * self.stream.uniform(prod(shape)) - 1) * bound
        return torch.from_numpy(drawn).float().reshape(tuple(shape))


def draws(seed: int | None) -> Draws:
    """Those of a seed, to repeat a training; secret ones without."""
    import torch

    if seed is None:
        return secret_draws()
    return SeededDraws(torch.Generator().manual_seed(seed))


def secret_draws() -> SecretDraws:
    """From a key that the operating system draws and nobody keeps."""
    return SecretDraws(Stream(secrets.token_bytes(KEY_BYTES)))
