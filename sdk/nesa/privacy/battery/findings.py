"""What an attack found, beside what guessing finds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

SIGMAS: Final = 4.0
"""So many standard deviations above the baseline are still chance: one run in 30,000 is beyond."""


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

    SIGMAS standard deviations of the binomial share, and one guess more where few are expected.
    """
    return SIGMAS * math.sqrt(baseline * (1 - baseline) / trials) + 1 / trials
