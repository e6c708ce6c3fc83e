"""Double entry: whatever one account gets, another one gives, so nothing appears by mistake."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum


class Account(Enum):
    """Who holds NES. All attackers of a run are one coalition."""

    COALITION = "coalition"
    MEMBERS = "other members"
    ORACLES = "other oracles"
    CLIENTS = "other clients"
    DEVELOPERS = "other developers"
    WATCHERS = "watchers"
    REVIEWERS = "reviewers"
    TREASURY = "treasury"
    MARKET = "market and court"
    BURNED = "burned"
    OUTSIDE = "outside: gas, work, interest, prizes, emission"


@dataclass(slots=True)
class Book:
    """Balances in NES units, seconds that answers were late, and how many were given, were wrong
    and were overturned.
    """

    balances: Counter[Account] = field(default_factory=Counter)
    delay: int = 0
    answered: int = 0
    wrong: int = 0
    overturned: int = 0

    def move(self, giver: Account, taker: Account, amount: int) -> None:
        """`giver` pays `taker`."""
        self.balances[giver] -= amount
        self.balances[taker] += amount

    def count(self, other: Book) -> None:
        """What happened in `other` happened here too; balances stay apart."""
        self.delay += other.delay
        self.answered += other.answered
        self.wrong += other.wrong
        self.overturned += other.overturned
