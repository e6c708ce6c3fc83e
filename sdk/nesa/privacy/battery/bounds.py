"""What each mode claims, attack by attack: the published bounds.

A mode may be called private against an observer only where its claim is `Claim.CHANCE`; where it
claims nothing, everything may be found, and the negative controls say where it must be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import partial
from typing import Final

from nesa.privacy.battery.findings import Attack, Finding, Measure
from nesa.privacy.battery.views import Observer


class Claim(Enum):
    """How much an attack may find."""

    CHANCE = "no more than guessing"
    NOTHING = "nothing is claimed"


_ALL_CHANCE: Final[Mapping[Attack, Claim]] = dict.fromkeys(Attack, Claim.CHANCE)

CLAIMS: Final[Mapping[Observer, Mapping[Attack, Claim]]] = {
    Observer.OPEN_MEMBER: {},
    Observer.SEALED_OUTSIDER: _ALL_CHANCE,
    Observer.SEALED_MEMBER: {},
    Observer.PERMUTED_MEMBER: {},
    Observer.ROTATED_MEMBER: {},
    Observer.PERMUTED_PRIVATE: {},
    Observer.ROTATED_PRIVATE: {},
    Observer.SPLIT_MEMBER: {},
    Observer.SPLIT_PRIVATE: {},
    Observer.SHARED_MEMBER: _ALL_CHANCE,
    Observer.SHARED_COLLUDING: {},
}
"""An attack that is not listed is one against which the mode claims nothing."""


def claim(observer: Observer, attack: Attack) -> Claim:
    """What is claimed against an attack by an observer."""
    return CLAIMS[observer].get(attack, Claim.NOTHING)


def breaches(observer: Observer, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that are more than the observer's mode claims."""
    return tuple(
        found
        for found in findings
        if claim(observer, found.attack) is Claim.CHANCE and not found.is_chance
    )


def severity(observer: Observer, found: Finding) -> float:
    """How near a finding is to breaking the claim, above 1 where it does; where nothing is claimed,
    how far above guessing it is."""
    if claim(observer, found.attack) is Claim.NOTHING:
        return found.gain
    return found.gain / (found.slack or math.ulp(1.0))


def foremost(observer: Observer, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Of every attack and measure the severest finding, in order: where any breaks a claim, one
    that does."""
    best: dict[tuple[Attack, Measure], Finding] = {}
    for found in sorted(findings, key=partial(severity, observer)):
        best[found.attack, found.measure] = found
    order = list(Attack)
    return tuple(sorted(best.values(), key=lambda found: order.index(found.attack)))
