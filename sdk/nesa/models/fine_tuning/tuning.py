"""Quantisation-aware fine-tuning by distillation.

The float model is the teacher; its copy, rounded as the integer model will be, learns to give the
same outputs on the calibration rows (Jacob and others 2018 for the rounding, Hinton and others 2015
for the teacher). No labels are needed.

Which steps a layer's weights will have is only settled when the model is compiled, since whole
multipliers must fit them. So every pass stretches the steps at random: the student would otherwise
learn to fit one grid, and lose on all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nesa.models.fine_tuning.network import Network, read_network, replace_constants
from nesa.models.fine_tuning.rounding import round_weights
from nesa.models.quantise import COARSEST, Scaling, activation_scaling
from nesa.protocol.errors import InvalidModel

STRETCH: Final = COARSEST - 1
"""How much coarser than the finest grid the steps of weights may come out."""

TRIALS: Final = 4
"""Grids over which an error is averaged."""

HELD_OUT: Final = 8
"""Every eighth row is never trained on and decides which epoch was the best."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train; equal schedules on one machine give equal weights."""

    epochs: int
    batch: int = 32
    learning_rate: float = 2e-4
    percentile: float = 99.9
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The model with its weights moved, and what rounding costs on the rows held out.

    The errors are mean squares of the output's error, divided by the variance of the output.
    """

    onnx: bytes
    error_before: float
    error_after: float


def fine_tune(
    onnx: bytes,
    calibration: NDArray[np.generic],
    schedule: Schedule,
    *,
    input_scaling: Scaling | None = None,
) -> FineTuned:
    """The float model with weights that lose less when they and the activations are rounded.

    `calibration` is [n, ..], each row filling the model's input; `input_scaling` says how the input
    will be held, else the calibration decides, as it does when the model is compiled. The best
    epoch by the rows held out wins; where none is better, the model comes back as it was.

    Raises:
        InvalidModel: a node that is not supported (named), rows that do not fit, or fewer of them
            than can be split.
    """
    network = read_network(onnx)
    rows = _rows(network, calibration)
    student = _Student(network, rows, schedule, input_scaling)
    before = best = student.error()
    found: dict[str, NDArray[np.generic]] = {}
    for _ in range(schedule.epochs):
        student.train_once()
        error = student.error()
        if error < best:
            best, found = error, student.weights()
    return FineTuned(replace_constants(onnx, found) if found else onnx, before, best)


class _Student:
    """The rounded copy, its rows and its optimiser."""

    def __init__(
        self,
        network: Network,
        rows: Tensor,
        schedule: Schedule,
        input_scaling: Scaling | None,
    ) -> None:
        self._network, self._rows, self._batch = network, rows, schedule.batch
        self._constants = network.tensors()
        self._targets = _outputs(network, rows, self._constants, {})
        self._spread = float(self._targets.var()) or 1.0
        self._scalings = _scalings(network, self._constants, rows, schedule.percentile)
        if input_scaling is not None and network.source in self._scalings:
            self._scalings[network.source] = input_scaling
        held_out = torch.arange(len(rows)) % HELD_OUT == 0
        self._held_out = held_out.nonzero().flatten()
        self._training = (~held_out).nonzero().flatten()
        self._random = torch.Generator().manual_seed(schedule.seed)
        moved = [self._constants[name].requires_grad_() for name in network.trained]
        if not moved:
            raise InvalidModel("the model has no weights to fine-tune")
        self._optimiser = torch.optim.Adam(moved, schedule.learning_rate)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR
        self._schedule = decay(self._optimiser, max(schedule.epochs, 1))

    def train_once(self) -> None:
        """One pass over the rows that are not held out."""
        shuffled = torch.randperm(len(self._training), generator=self._random)
        for places in self._training[shuffled].split(self._batch):
            self._optimiser.zero_grad()
            self._loss(places, self._random).backward()
            self._optimiser.step()
        self._schedule.step()

    def error(self) -> float:
        """What rounding costs on the rows held out, on the same grids each time."""
        grids = torch.Generator().manual_seed(0)
        with torch.no_grad():
            losses = [float(self._loss(self._held_out, grids)) for _ in range(TRIALS)]
        return sum(losses) / TRIALS

    def weights(self) -> dict[str, NDArray[np.generic]]:
        """What may have moved."""
        names = self._network.trained
        return {name: self._constants[name].detach().numpy().copy() for name in names}

    def _loss(self, places: Tensor, random: torch.Generator) -> Tensor:
        constants = {**self._constants, **self._rounded(random)}
        outputs = _outputs(self._network, self._rows[places], constants, self._scalings)
        loss: Tensor = (outputs - self._targets[places]).square().mean() / self._spread
        return loss

    def _rounded(self, random: torch.Generator) -> dict[str, Tensor]:
        """The weights on a grid drawn at random."""
        rounded: dict[str, Tensor] = {}
        for name, axis in self._network.channel_axes.items():
            weights = self._constants[name]
            stretch = 1 + STRETCH * torch.rand(weights.shape[axis], generator=random)
            rounded[name] = round_weights(weights, axis, stretch)
        return rounded


def _outputs(
    network: Network,
    rows: Tensor,
    constants: Mapping[str, Tensor],
    scalings: Mapping[str, Scaling],
) -> Tensor:
    """[n, ..]: the model sees one row at a time, as its shapes say, and torch all of them."""

    def one(row: Tensor) -> Tensor:
        return network.run(row, constants, scalings)[network.target]

    outputs: Tensor = torch.vmap(one)(rows)
    return outputs


def _rows(network: Network, calibration: NDArray[np.generic]) -> Tensor:
    if len(calibration) < 2:
        raise InvalidModel("fine-tuning needs at least two calibration rows")
    if calibration[0].size != np.prod(network.input_shape):
        raise InvalidModel(f"calibration rows must fill an input of shape {network.input_shape}")
    if not np.isfinite(calibration).all():
        raise InvalidModel("calibration rows hold NaN or infinity")
    rows = calibration.astype(network.input_dtype).reshape(-1, *network.input_shape)
    tensor: Tensor = torch.from_numpy(rows)
    return tensor


def _scalings(
    network: Network, constants: Mapping[str, Tensor], rows: Tensor, percentile: float
) -> dict[str, Scaling]:
    """How the integer model will hold what goes into dot products."""
    names = network.rounded

    def one(row: Tensor) -> tuple[Tensor, ...]:
        values = network.run(row, constants, {})
        return tuple(values[name] for name in names)

    with torch.no_grad():
        samples = torch.vmap(one)(rows)
    return {
        name: activation_scaling(sample.double().numpy(), percentile)
        for name, sample in zip(names, samples, strict=True)
    }
