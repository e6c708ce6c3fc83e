"""How a fee is split: exact to the last unit, what does not divide goes to the treasury."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS, QueryParameters
from nesa.protocol.queries import Assurance, Query

DELIVERY_GAS: Final = 100_000
"""Billed for the delivery of a CHALLENGED answer, which takes less besides the callback;
`Pricing.DELIVERY_GAS`."""


@dataclass(frozen=True, slots=True)
class FeeSplit:
    """Shares of one query's fee.

    `slot` is what each of the K * r member slots earns, `delivery` what is left for whoever
    delivers a CHALLENGED answer.
    """

    slot: Amount
    oracle: Amount
    delivery: Amount
    royalty: Amount
    reviewers: Amount
    treasury: Amount


def base_fee(price: int, shards: int, replicas: int) -> Amount:
    """Fee for the work: the version's price for one shard and replica, times both."""
    return Amount(price * shards * replicas)


def billed_gas(assurance: Assurance, callback_gas: int) -> int:
    """Gas that the callback's fee pays for: that of the callback, and of a delivery of its own."""
    is_delivered = callback_gas > 0 and assurance is Assurance.CHALLENGED
    return callback_gas + (DELIVERY_GAS if is_delivered else 0)


def split_fee(query: Query) -> FeeSplit:
    """Shares of `query`: proofs are paid to those who prove, the callback to who calls."""
    rules: QueryParameters = query.rules
    slots = query.shards * query.replicas
    slot = (_share(query.base_fee, rules.miners_bps) + query.proof_fee) // slots
    is_late = query.assurance is Assurance.CHALLENGED
    delivery = query.callback_fee if is_late else 0
    oracle = _share(query.base_fee, rules.oracle_bps) + query.callback_fee - delivery
    royalty = _share(query.base_fee, rules.royalty_bps)
    reviewers = _share(query.base_fee, rules.reviewers_bps)
    treasury = query.fee - slot * slots - oracle - delivery - royalty - reviewers
    return FeeSplit(
        Amount(slot),
        Amount(oracle),
        Amount(delivery),
        Amount(royalty),
        Amount(reviewers),
        Amount(treasury),
    )


def _share(amount: int, bps: int) -> int:
    return amount * bps // BPS
