"""What an attack found, beside what guessing finds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGMAS: Final = 4.0
"""So many standard deviations above the baseline are still chance: one run in 30,000 is beyond."""

ODDS: Final = 0.5 * math.erfc(SIGMAS / math.sqrt(2))
"""How often a normal number lies beyond SIGMAS deviations on one side: once in 31,574."""


class Attack(Enum):
    """The ten attacks, behind plain reading; what each one knows and does is in
    docs/privacy-battery.md."""

    T0 = "reading"
    T1 = "vocabulary matching"
    T2 = "inner products"
    T3 = "matching of weights"
    T4 = "frequencies of a cipher"
    T5 = "known plaintext"
    T6 = "inversion"
    T7 = "distance correlation"
    T8 = "uniformity of shares"
    T9 = "lengths, repetition, time"
    T10 = "linkage of two requests"


class Measure(Enum):
    """What a recovery of 1 would mean."""

    TOKENS = "tokens read"
    RECORDS = "records named"
    LABELS = "labels told"
    VARIANCE = "variance explained"
    CORRELATION = "distance correlation"
    BITS = "halves of the range told"
    AGREEMENT = "bits seen through"
    REUSED = "masks used twice"
    INFORMATION = "information on a number"
    DEPARTURE = "distance of bytes from uniform"
    LENGTHS = "lengths told"
    REPEATS = "equal tokens seen as equal"
    PAIRS = "pairs told apart"


@dataclass(frozen=True, slots=True)
class Finding:
    """One attack on one view.

    `recovery` and `baseline` are shares from 0 to 1 of what `measure` names; `slack` is how far
    chance may lift a recovery above the baseline; `tried` says in words what was done.
    """

    attack: Attack
    measure: Measure
    recovery: float
    baseline: float
    slack: float
    tried: str

    @property
    def is_chance(self) -> bool:
        """Whether guessing would have done as well."""
        return self.recovery <= self.baseline + self.slack

    @property
    def gain(self) -> float:
        """What the attack found beyond guessing."""
        return self.recovery - self.baseline


def chance(baseline: float, trials: int) -> float:
    """Slack of a share of `trials` independent guesses that are right with odds `baseline`.

    The most right guesses that are exceeded by luck no more often than SIGMAS deviations of a
    normal distribution are, by the binomial distribution itself: where few are expected, the normal
    one would call luck a leak. Half a guess more keeps rounding out of comparisons.
    """
    likely = math.sqrt(trials * baseline * (1 - baseline))
    first = max(0, int(trials * baseline - 2 * SIGMAS * likely))
    last = min(trials, int(trials * baseline + 2 * SIGMAS * (likely + SIGMAS)))
    beyond = np.cumsum(_binomial(baseline, trials, first, last)[::-1])[::-1]
    most = first + int(np.count_nonzero(beyond > ODDS)) - 1
    return (most + 0.5) / trials - baseline


def _binomial(odds: float, trials: int, first: int, last: int) -> NDArray[np.float64]:
    """How likely each of `first` to `last` right guesses is, of `trials` with `odds`."""
    if odds in (0, 1):
        return np.equal(np.arange(first, last + 1), odds * trials).astype(np.float64)
    head = math.lgamma(trials + 1) - math.lgamma(first + 1) - math.lgamma(trials - first + 1)
    head += first * math.log(odds) + (trials - first) * math.log1p(-odds)
    right = np.arange(first, last)
    steps = np.log((trials - right) / (right + 1)) + math.log(odds) - math.log1p(-odds)
    likely: NDArray[np.float64] = np.exp(head + np.concatenate([[0.0], np.cumsum(steps)]))
    return likely
