"""T6 with a decoder of one hidden layer: reads back what a linear one leaves.

It learns what is left of the linear decoder's error by gradient descent (Adam), in numpy, so that
whoever audits a model needs nothing more. A part of the lessons is held out, and the weights that
were best there are kept; the linear decoder alone is where it starts, and may stay the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.inversion import Decoder, train
from nesa.privacy.battery.views import Floats

HIDDEN: Final = 512
EPOCHS: Final = 30
PATIENCE: Final = 4
"""Epochs without a better one, after which it stops."""
BATCH: Final = 128
STEP: Final = 1e-3
HELD_OUT: Final = 5
"""One lesson in so many."""
DECAYS: Final = (0.9, 0.999)

Weights = tuple[Floats, ...]
"""Of the hidden layer [width, HIDDEN], its bias [HIDDEN], and of the output [HIDDEN, outputs]."""


@dataclass(frozen=True, slots=True, eq=False)
class Perceptron:
    """A linear decoder and a hidden layer that corrects it; states are first brought to mean 0 and
    deviation 1, targets are in parts of `scale`."""

    linear: Decoder
    mean: Floats
    deviation: Floats
    scale: float
    weights: Weights

    def read(self, states: NDArray[Any]) -> Floats:
        """[n, outputs] for states [n, width]."""
        values = (np.asarray(states, np.float32) - self.mean) / self.deviation
        corrected: Floats = self.linear.read(states)
        corrected += np.float32(self.scale) * (_hidden(values, self.weights) @ self.weights[2])
        return corrected


def learn(states: NDArray[Any], targets: NDArray[Any], seed: int = 0) -> Perceptron:
    """Train on states [n, width] and targets [n, outputs], n >= HELD_OUT; rows next to each other
    are held out together, as they may be of one request."""
    states, targets = np.asarray(states, np.float32), np.asarray(targets, np.float32)
    lessons = len(states) - max(1, len(states) // HELD_OUT)
    linear = train(states[:lessons], targets[:lessons])
    mean, deviation = states.mean(axis=0), states.std(axis=0)
    divisors = np.where(deviation > 0, deviation, 1).astype(np.float32)
    values = (states - mean) / divisors
    errors = targets - linear.read(states)
    scale = float(np.sqrt(np.mean(np.square(errors[:lessons])))) or 1.0
    draws = np.random.default_rng(seed)
    found = _descend(values, errors / np.float32(scale), lessons, draws)
    return Perceptron(linear, mean, divisors, scale, found)


def _descend(values: Floats, errors: Floats, lessons: int, draws: np.random.Generator) -> Weights:
    """The weights that are best for the rows behind the first `lessons`."""
    width = values.shape[1]
    first = (draws.normal(size=(width, HIDDEN)) * np.sqrt(2 / width)).astype(np.float32)
    weights: Weights = (
        first,
        np.zeros(HIDDEN, np.float32),
        np.zeros((HIDDEN, errors.shape[1]), np.float32),
    )
    moments = [(np.zeros_like(each), np.zeros_like(each)) for each in weights]
    best, least, waited, steps = weights, np.inf, 0, 0
    for _ in range(EPOCHS):
        left = _loss(values[lessons:], errors[lessons:], weights)
        best, least, waited = (weights, left, 0) if left < least else (best, least, waited + 1)
        if waited == PATIENCE:
            break
        order = draws.permutation(lessons)
        for rows in np.array_split(order, -(-lessons // BATCH)):
            steps += 1
            slopes = _slopes(values[rows], errors[rows], weights)
            weights = _stepped(weights, slopes, moments, steps)
    return best


def _hidden(values: Floats, weights: Weights) -> Floats:
    hidden: Floats = np.maximum(values @ weights[0] + weights[1], 0)
    return hidden


def _loss(values: Floats, errors: Floats, weights: Weights) -> float:
    return float(np.mean(np.square(_hidden(values, weights) @ weights[2] - errors)))


def _slopes(values: Floats, errors: Floats, weights: Weights) -> Weights:
    """Gradients of the mean square error of a batch."""
    hidden = _hidden(values, weights)
    back = (hidden @ weights[2] - errors) * np.float32(2 / len(values))
    inner = (back @ weights[2].T) * (hidden > 0)
    return values.T @ inner, inner.sum(axis=0), hidden.T @ back


def _stepped(
    weights: Weights, slopes: Weights, moments: list[tuple[Floats, Floats]], steps: int
) -> Weights:
    """The weights after one step of Adam; `moments` are changed in place."""
    short, long = DECAYS
    rate = STEP * np.sqrt(1 - long**steps) / (1 - short**steps)
    found = []
    for weight, slope, (mean, square) in zip(weights, slopes, moments, strict=True):
        mean += (1 - short) * (slope - mean)
        square += (1 - long) * (np.square(slope) - square)
        found.append((weight - rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32))
    return tuple(found)
