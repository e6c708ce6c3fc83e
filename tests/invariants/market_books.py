"""What the market should keep, told without packing: fees of queries, shares, and credits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Outcome, Query, QueryStatus
from tests.reports import Work


@dataclass
class QueryBook:
    """One query's earmark and where it went."""

    query: Query
    status: QueryStatus = QueryStatus.OPEN
    released: int = 0
    endings: int = 0
    outcome: Outcome | None = None
    works: list[Work] = field(default_factory=list)
    absent: tuple[int, ...] = ()
    unpaid: set[tuple[int, int]] = field(default_factory=set)
    closes_at: int = 0
    holds: int = 0
    held_since: int = 0

    @property
    def earmark(self) -> int:
        """What the market still keeps for it."""
        if self.status is QueryStatus.OPEN:
            return self.query.fee
        if self.status is QueryStatus.FULFILLED:
            return len(self.unpaid) * split_fee(self.query).slot
        return 0

    def answered(self, outcome: Outcome, works: list[Work], absent: tuple[int, ...]) -> None:
        """Its answer came; what is left over can be claimed or closed."""
        self.status, self.outcome, self.works = QueryStatus.FULFILLED, outcome, works
        self.absent, rules = absent, self.query.rules
        self.closes_at = outcome.fulfilled_at + max(rules.claim_window, rules.dispute_window)
        places = range(self.query.replicas)
        self.unpaid = {
            (shard, place)
            for shard, settled in enumerate(outcome.shards)
            for place in places
            if not settled.paid >> place & 1
        }
        if self.query.replicas == 1:
            self.unpaid.clear()  # whichever prover stepped in took the one slot
        self.released += self.query.fee - self.earmark
        self.endings += 1

    def claimed(self, shard: int, position: int) -> None:
        """One slot more is paid."""
        assert self.outcome is not None
        shards = list(self.outcome.shards)
        shards[shard] = replace(shards[shard], paid=shards[shard].paid | 1 << position)
        self.outcome = replace(self.outcome, shards=tuple(shards))
        self.unpaid.remove((shard, position))
        self.released += split_fee(self.query).slot

    def ended(self, status: QueryStatus) -> int:
        """Everything that is left goes back; returns the sum."""
        amount = self.earmark
        self.endings += status is QueryStatus.REFUNDED
        self.status = status
        self.released += amount
        return amount

    def outcome_abi(self) -> tuple[object, ...]:
        """The outcome as calldata takes it."""
        assert self.outcome is not None
        return outcome_as_abi(self.outcome)


@dataclass(frozen=True)
class Lot:
    """A sum that an account got; earnings wait from `earned_at`, returned money does not."""

    amount: int
    earned_at: int | None


class Credits:
    """Every credit as a list of lots."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.lots: dict[str, list[Lot]] = defaultdict(list)

    def earn(self, account: str, amount: int, now: int) -> None:
        """An account worked."""
        self.lots[account].append(Lot(amount, now))

    def give_back(self, account: str, amount: int) -> None:
        """An account gets its own money."""
        self.lots[account].append(Lot(amount, None))

    def _is_ripe(self, lot: Lot, now: int) -> bool:
        if lot.earned_at is None:
            return True
        return now // self.window - lot.earned_at // self.window >= 2

    def matured(self, account: str, now: int) -> int:
        """What the account may take."""
        return sum(lot.amount for lot in self.lots[account] if self._is_ripe(lot, now))

    def waiting(self, account: str, now: int) -> int:
        """What it may not take yet."""
        return sum(lot.amount for lot in self.lots[account]) - self.matured(account, now)

    def older_than_the_window(self, account: str, now: int) -> int:
        """What nobody could say came too early: counted in seconds, not in periods."""
        lots = self.lots[account]
        return sum(
            lot.amount for lot in lots if lot.earned_at is None or now - lot.earned_at > self.window
        )

    def take(self, account: str, now: int) -> int:
        """Empties what the account may take."""
        amount = self.matured(account, now)
        self.lots[account] = [lot for lot in self.lots[account] if not self._is_ripe(lot, now)]
        return amount

    @property
    def total(self) -> int:
        """Everything credited and not taken."""
        return sum(lot.amount for lots in self.lots.values() for lot in lots)


@dataclass
class VersionShares:
    """Shares of a version's answered queries that nobody has collected."""

    royalty: int = 0
    reviewers: int = 0
    treasury: int = 0

    @property
    def total(self) -> int:
        """All three."""
        return self.royalty + self.reviewers + self.treasury
