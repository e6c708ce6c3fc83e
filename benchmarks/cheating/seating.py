"""Seats as they are slashed: what stake is left on them, and until when they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Seats(Protocol):
    """What a dispute does to seats."""

    def slash(self, slot: int, amount: int, number: int) -> int:
        """Takes up to `amount` of a seat's stake during query `number`; what was taken."""
        ...

    def gone(self, number: int) -> frozenset[int]:
        """Slots that query `number` does not draw any more."""
        ...


class Restaked:
    """Seats whose stake is filled up after every slash, so that every query meets the same list."""

    def slash(self, slot: int, amount: int, number: int) -> int:
        """All of it is there."""
        return amount

    def gone(self, number: int) -> frozenset[int]:
        """None."""
        return frozenset()


@dataclass(slots=True)
class Spent:
    """Seats that stake once and are drawn for `evicted_after` queries more when they were slashed;
    for good when that is None.
    """

    stake: int
    evicted_after: int | None
    left: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    def slash(self, slot: int, amount: int, number: int) -> int:
        """Takes what is there at most."""
        held = self.left.get(slot, self.stake)
        taken = min(amount, held)
        self.left[slot] = held - taken
        if self.evicted_after is not None:
            self.ends.setdefault(slot, number + self.evicted_after)
        return taken

    def gone(self, number: int) -> frozenset[int]:
        """Seats whose last query is behind."""
        return frozenset(slot for slot, end in self.ends.items() if number > end)
