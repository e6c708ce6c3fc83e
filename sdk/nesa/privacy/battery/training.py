"""What the peer of a split training recovers of rows and labels from what leaves the client.

The peer knows neither the client's layers nor its rows. It gets hold of some `known` rows, as an
insider or a former customer would, and sees which activations and gradients were theirs. From
these pairs it learns to read the others: a decoder for features (T6), the nearest known row for
labels (T5). Distance correlation (T7) needs no knowledge at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery import dependence, inversion
from nesa.privacy.battery.findings import SIGMAS, Attack, Finding, Measure, chance
from nesa.privacy.battery.nearest import nearest
from nesa.privacy.battery.views import Floats, Items
from nesa.protocol.errors import InvalidInput

PENALTIES: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""A decoder is as stiff as is best for the known rows that it does not learn from."""
NEIGHBOURS: Final = (1, 5, 15)
CORRELATED: Final = 400
"""Rows between which distances are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What one row and what left for it, row by row: features [n, width], the number of the label
    [n], activations [n, ..] and gradients [n, ..].

    Rows are in no order that says anything. What left several times may be averaged or stand
    beside each other: that is a stronger observer.
    """

    features: Floats
    labels: Items
    activations: Floats
    gradients: Floats


def audit_training(seen: Observed, known: int) -> tuple[Finding, ...]:
    """What is found by who knows the first `known` rows and their labels.

    Raises:
        InvalidInput: too few rows, known ones or others.
    """
    if known < 8 or len(seen.labels) - known < 8:
        raise InvalidInput("an audit needs 8 known rows and 8 others")
    return (
        *_labels(seen.activations, seen.labels, known, "activations"),
        *_labels(seen.gradients, seen.labels, known, "gradients"),
        _features(seen.activations, seen.features, known, "activations"),
        _features(seen.gradients, seen.features, known, "gradients"),
        _correlation(seen.activations, seen.features, "activations against features"),
        _correlation(seen.gradients, _one_hot(seen.labels), "gradients against labels"),
    )


def _labels(left: Floats, labels: Items, known: int, name: str) -> Iterator[Finding]:
    """T5: the label that most of the nearest known rows have, for the best count of them."""
    lessons, others = _scaled(left[:known]), _scaled(left[known:])
    truth, guesses = labels[known:], []
    for count in NEIGHBOURS:
        if count < known:
            near = labels[:known][nearest(others, lessons, count)]
            guesses.append(np.array([np.bincount(row).argmax() for row in near]))
    best = max(guesses, key=lambda guess: float((guess == truth).mean()))
    often = float(np.bincount(truth).max() / len(truth))
    yield Finding(
        Attack.T5,
        Measure.LABELS,
        float((best == truth).mean()),
        often,
        chance(often, len(truth)),
        f"{name}: nearest of {known} known rows, {len(truth)} others",
    )


def _features(left: Floats, features: Floats, known: int, name: str) -> Finding:
    """T6: a linear decoder from what left to the row, learnt from the known rows."""
    states, truth = _scaled(left), features[known:]
    mean, third = features[:known].mean(axis=0), known // 3

    def held_out(penalty: float) -> float:
        decoder = inversion.train(states[third:known], features[third:known], penalty)
        return inversion.explained(features[:third], decoder.read(states[:third]), mean)

    penalty = max(PENALTIES, key=held_out)
    read = inversion.train(states[:known], features[:known], penalty).read(states[known:])
    draws = np.random.default_rng(0)
    lucky = [
        inversion.explained(truth, draws.permutation(read), mean)
        for _ in range(dependence.SHUFFLES)
    ]
    slack = max(0.0, float(np.mean(lucky))) + SIGMAS * float(np.std(lucky)) + 1 / len(truth)
    found = max(0.0, inversion.explained(truth, read, mean))
    tried = f"{name}: linear decoder of {known} known rows, {len(truth)} others"
    return Finding(Attack.T6, Measure.VARIANCE, found, 0.0, slack, tried)


def _correlation(left: Floats, content: Floats, name: str) -> Finding:
    """T7."""
    found = dependence.distance_correlation(content[:CORRELATED], left[:CORRELATED])
    blind = max(0.0, found.shuffled)
    return Finding(
        Attack.T7,
        Measure.CORRELATION,
        max(0.0, found.value),
        blind,
        SIGMAS * found.deviation,
        f"{name}, {min(CORRELATED, len(left))} rows",
    )


def _scaled(left: Floats) -> Floats:
    """In parts of the mean square of all numbers, so that penalties mean the same everywhere."""
    flat = left.reshape(len(left), -1)
    size = float(np.sqrt(np.mean(np.square(flat, dtype=np.float64))))
    return flat / np.float32(size) if size else flat


def _one_hot(labels: Items) -> Floats:
    rows: NDArray[Any] = np.eye(int(labels.max()) + 1, dtype=np.float32)
    found: Floats = rows[labels]
    return found
