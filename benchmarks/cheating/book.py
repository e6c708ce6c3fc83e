"""Double entry: whatever one account gets, another one gives, so nothing appears by mistake."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Account(IntEnum):
    """Who holds NES. All attackers of a run are one coalition; gas, work, interest, prizes and
    emission are outside.
    """

    COALITION = 0
    MEMBERS = 1
    ORACLES = 2
    CLIENTS = 3
    DEVELOPERS = 4
    WATCHERS = 5
    REVIEWERS = 6
    TREASURY = 7
    MARKET = 8
    BURNED = 9
    OUTSIDE = 10


@dataclass(slots=True)
class Book:
    """Balances in NES units by account, seconds that answers were late, and how many of them were
    given, wrong and overturned.
    """

    balances: list[int] = field(default_factory=lambda: [0] * len(Account))
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
