"""What new NES a paid query makes, as `RewardEmitter` computes it.

A query mints `share_bps` of what the treasury earned with it, and less than all of that, divided as
its fee was; a period mints no more than a budget that halves. Sums are NES units, rounded down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Query

MAX_SHARE_BPS: Final = 9_000
"""Bound of the share whatever governance sets: washing loses the rest of the treasury's part."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The most that each period mints; `halving_periods` is how many have the same budget."""

    first_budget: Amount
    halving_periods: int

    def budget(self, period: int) -> Amount:
        """Of the period with that number, counted from 0."""
        return Amount(self.first_budget >> period // self.halving_periods)


@dataclass(frozen=True, slots=True)
class Reward:
    """New NES for one query; `slot` is what each paid member slot is credited."""

    slot: Amount
    oracle: Amount
    developer: Amount

    def total(self, paid_slots: int) -> Amount:
        """Of all that are paid."""
        return Amount(self.slot * paid_slots + self.oracle + self.developer)


def reward_of(query: Query, share_bps: int, budget: int) -> Reward:
    """Reward of a final `query` in a period with `share_bps` and `budget`, zero without fees."""
    split = split_fee(query)
    pot = min(split.treasury * share_bps // BPS, budget)
    paid = split.slot * query.shards * query.replicas + split.oracle + split.royalty
    if not paid:
        return Reward(Amount(0), Amount(0), Amount(0))
    parts = (pot * part // paid for part in (split.slot, split.oracle, split.royalty))
    return Reward(*(Amount(part) for part in parts))
