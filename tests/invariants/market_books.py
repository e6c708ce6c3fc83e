"""What the market should keep, told without packing: fees of queries, shares, and credits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Outcome, Query, QueryStatus
from tests.reports import Work, signer_address


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
    held_since: int = 0
    aside: dict[int, list[str]] = field(default_factory=dict)
    """Owners whose slot is set aside, for each shard that is held."""
    deliveries: int = 0

    @property
    def is_held(self) -> bool:
        """Whether a dispute stops its clock."""
        return bool(self.aside)

    @property
    def slot(self) -> int:
        """What each member slot earns."""
        return split_fee(self.query).slot

    @property
    def earmark(self) -> int:
        """What the market still keeps for it."""
        if self.status is QueryStatus.OPEN:
            return self.query.fee
        set_aside = sum(map(len, self.aside.values())) * self.slot
        if self.status is QueryStatus.FULFILLED:
            return len(self.unpaid) * self.slot + split_fee(self.query).delivery + set_aside
        return set_aside

    def paid_owners(self, shard: int, owners: Mapping[str, str]) -> list[str]:
        """Owners of the shard's paid members, in draw order."""
        assert self.outcome is not None
        members = enumerate(map(signer_address, self.works[shard].members))
        paid = self.outcome.shards[shard].paid
        return [owners[signer] for place, signer in members if paid >> place & 1]

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
        self.released += self.slot

    def held(self, shard: int, owners: list[str], now: int) -> None:
        """What these owners earned with the shard is earmarked again."""
        self.held_since = self.held_since if self.is_held else now
        self.aside[shard] = owners
        self.released -= len(owners) * self.slot

    def hold_ended(self, shard: int, now: int) -> list[str]:
        """What was set aside goes somewhere; returns whose it was."""
        owners = self.aside.pop(shard)
        self.closes_at += 0 if self.is_held else now - self.held_since
        self.released += len(owners) * self.slot
        return owners

    def overturned(self, shard: int, now: int) -> tuple[int, int, int]:
        """The answer was wrong; returns what goes back, what of the fee the court repays, and what
        goes to the treasury since the requester has everything by then."""
        before = self.released
        elsewhere = sum(len(o) for s, o in self.aside.items() if s != shard) * self.slot
        returned = len(self.hold_ended(shard, now)) * self.slot
        if self.status is QueryStatus.OVERTURNED:
            return 0, 0, returned
        rest = self.earmark - elsewhere
        self.status = QueryStatus.OVERTURNED
        self.released += rest
        return returned + rest, before + elsewhere, 0

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

    def set_aside(self, account: str, amount: int, now: int) -> bool:
        """Takes earnings back, the oldest that wait first, the ripe ones last; all or nothing."""
        lots = self.lots[account]
        if sum(lot.amount for lot in lots) < amount:
            return False
        by_age = sorted(lots, key=lambda lot: (self._is_ripe(lot, now), lot.earned_at or 0))
        left = []
        for lot in by_age:
            taken = min(amount, lot.amount)
            amount -= taken
            left.append(replace(lot, amount=lot.amount - taken))
        self.lots[account] = [lot for lot in left if lot.amount]
        return True

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
