"""What each mode claims, attack by attack: the published bounds.

A mode may be called private against an observer only where its claim is `Claim.CHANCE`; where it
claims nothing, everything may be found, and the negative controls say where it must be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from nesa.privacy.battery.findings import Attack, Finding
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
