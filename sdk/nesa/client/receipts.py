"""Where a query's fee went, to the last unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Address, Amount
from nesa.protocol.outcomes import paid_slots
from nesa.protocol.queries import Outcome, Query


@dataclass(frozen=True, slots=True)
class Member:
    """One drawn place of a shard's committee, and whether the report paid it."""

    shard: int
    position: int
    operator: Address
    signer: Address
    endpoint: str
    paid: bool


@dataclass(frozen=True, slots=True)
class FeeReceipt:
    """A fee taken apart: `total` is exactly the sum of everything else.

    `slot` is what each paid member earned. `unpaid` is what the slots that the report left out
    would have earned: their members can claim it with proof of their work until the claim window
    ends, then it goes back to whoever asked. `delivery` is for whoever brings a CHALLENGED answer.
    """

    total: Amount
    slot: Amount
    paid_slots: int
    members: Amount
    oracle: Amount
    delivery: Amount
    royalty: Amount
    reviewers: Amount
    treasury: Amount
    unpaid: Amount

    @property
    def parts(self) -> Amount:
        """Sum of all parts."""
        given = self.members + self.oracle + self.royalty + self.reviewers + self.treasury
        return Amount(given + self.delivery + self.unpaid)


def is_paid(outcome: Outcome, shard: int, position: int) -> bool:
    """Whether the report paid the member drawn at `position` of `shard`."""
    return bool(outcome.shards[shard].paid >> position & 1)


def fee_receipt(query: Query, outcome: Outcome) -> FeeReceipt:
    """The fee of an answered query taken apart as the market did it."""
    split = split_fee(query)
    paid, slots = paid_slots(outcome), query.shards * query.replicas
    return FeeReceipt(
        total=query.fee,
        slot=split.slot,
        paid_slots=paid,
        members=Amount(split.slot * paid),
        oracle=split.oracle,
        delivery=split.delivery,
        royalty=split.royalty,
        reviewers=split.reviewers,
        treasury=split.treasury,
        unpaid=Amount(split.slot * (slots - paid)),
    )


def unpaid_members(members: Sequence[Member]) -> tuple[Member, ...]:
    """Those whom the report left out."""
    return tuple(member for member in members if not member.paid)
