"""The client's side of split training: its layers, rows, labels and loss.

Activations of its first layers leave, and gradients of its loss by what comes back; rows and labels
do not: the U-shaped split learning of Vepakomma and others 2018. What those two tell all the same
is measured by `nesa.privacy.battery.training`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.split.training.draws import Draws, draws
from nesa.privacy.split.training.layers import Learning, dense, optimiser
from nesa.privacy.split.training.part import NetworkPart
from nesa.privacy.split.training.wire import MAX_ROWS, Floats
from nesa.protocol.errors import InvalidInput

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to train and in which batches. `order` seeds the order of the rows and `noise` the
    noise, so that a test can repeat them; a peer finds such a seed by trying and subtracts the
    noise. What is None is drawn from a key of 256 bits, as it should be outside of tests."""

    epochs: int = 30
    batch: int = 32
    learning: Learning = field(default_factory=Learning)
    order: int | None = None
    noise: int | None = None

    def __post_init__(self) -> None:
        if not (1 <= self.epochs <= 100_000 and 2 <= self.batch <= MAX_ROWS):
            raise InvalidInput(
                f"train for 1 to 100,000 epochs in batches of 2 to {MAX_ROWS:,} rows"
            )


@dataclass(frozen=True, slots=True)
class Noise:
    """Normal noise on what leaves, in standard deviations of the batch that it is added to.

    Being relative, it cannot be outgrown by larger activations. It is no differential privacy:
    nothing bounds what one row changes.
    """

    activations: float = 0.0
    gradients: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.activations <= 100 and 0 <= self.gradients <= 100):
            raise InvalidInput("noise is 0 to 100 standard deviations")


@dataclass(frozen=True, slots=True, eq=False)
class ClientLayers:
    """The client's own modules of torch: rows to what enters the network's part, and what comes
    back to a logit for each label."""

    first: Any
    last: Any

    @classmethod
    def dense(
        cls, inputs: int, labels: int, widths: tuple[int, ...], seed: int | None = None
    ) -> ClientLayers:
        """A dense layer on either side of a part of `widths`; their weights are
        drawn from a secret key unless a seed is given, which a peer finds by trying.

        Raises:
            InvalidConfiguration: torch is not installed.
        """
        first = dense((inputs, widths[0]), seed)
        after = None if seed is None else seed + 1
        return cls(first, dense((widths[-1], labels), after, ends_plain=True))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What is trained on: features [n, ..] float32, and for each the number of its label [n]."""

    features: Floats
    labels: Integers

    def __post_init__(self) -> None:
        if len(self.features) != len(self.labels) or len(self.labels) < 2:
            raise InvalidInput("give two rows or more, with one label each")
        if not np.isfinite(self.features).all():
            raise InvalidInput("a feature is NaN or infinite")
        if self.labels.min() < 0:
            raise InvalidInput("labels are numbered from 0 on")


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """What left in one step for rows of these numbers [n]: activations [n, width] and gradients
    [n, width], noise included."""

    epoch: int
    numbers: Integers
    activations: Floats
    gradients: Floats


Watch = Callable[[Sent], None]
"""Sees what left, for the client's own measurements."""


async def train(
    layers: ClientLayers,
    part: NetworkPart,
    rows: Rows,
    schedule: Schedule,
    noise: Noise | None = None,
    watch: Watch | None = None,
) -> None:
    """Train the client's layers in place and, through its gradients, those of the part.

    Raises:
        InvalidInput: something came back that is NaN or of another shape, or was refused.
        Unavailable: the peer did not answer.
    """
    import torch

    step, noise = 0, noise or Noise()
    order, blur = draws(schedule.order), draws(schedule.noise)
    steps = [optimiser(each, schedule.learning) for each in (layers.first, layers.last)]
    features, labels = torch.from_numpy(rows.features), torch.from_numpy(rows.labels)
    for epoch in range(schedule.epochs):
        for numbers in order.permutation(len(labels)).split(schedule.batch):
            if len(numbers) == 1:
                continue  # one row has no spread that noise could be measured in
            for each in steps:
                each.zero_grad()
            ours = layers.first(features[numbers])
            sent = _noisy(ours.detach(), noise.activations, blur)
            back = torch.from_numpy(await part.forward(step, sent.numpy()))
            back.requires_grad_()
            torch.nn.functional.cross_entropy(layers.last(back), labels[numbers]).backward()
            gradient = _noisy(back.grad, noise.gradients, blur)
            ours.backward(torch.from_numpy(await part.backward(step, gradient.numpy())))
            for each in steps:
                each.step()
            if watch is not None:
                watch(Sent(epoch, numbers.numpy(), sent.numpy(), gradient.numpy()))
            step += 1


def joined(layers: ClientLayers, middle: Any) -> Any:
    """The whole trained model: the client's layers around those that the peer handed over."""
    from torch import nn

    return nn.Sequential(layers.first, middle, layers.last).eval()


def predict(whole: Any, features: Floats) -> Integers:
    """The label of each row [n, ..], by number; nothing leaves this machine."""
    import torch

    with torch.no_grad():
        answers: Integers = whole(torch.from_numpy(features)).argmax(dim=1).numpy()
    return answers


def _noisy(values: Any, deviations: float, blur: Draws) -> Any:
    """Values with noise of so many of their standard deviations."""
    if not deviations:
        return values.clone()
    return values + deviations * values.std() * blur.normal(values.shape)
