"""What the market keeps of an answered query, and the word in which it keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.ids import PROTOCOL_VERSION, ZERO_DIGEST, Address, Digest, Timestamp
from nesa.protocol.queries import (
    OUTCOME_DOMAIN,
    Assurance,
    Outcome,
    Query,
    QueryStatus,
    ShardOutcome,
)

MAX_ATTEMPTS: Final = 3
"""Attempts of one query, numbered from 0."""

MAX_TURNS: Final = 8
"""Oracles, or provers, that one query waits for before anybody may step in."""

STATE_HASH_BITS: Final = 208

OUTCOME_ABI: Final = (
    "(bytes32,bytes32,bytes32,address,uint256,(uint256,bytes32,bytes32,bytes32,uint256)[])"
)

NO_OUTCOME: Final = Outcome(
    ZERO_DIGEST, ZERO_DIGEST, ZERO_DIGEST, Address("0x" + "00" * 20), Timestamp(0), ()
)
"""What stands for the outcome of a query that was not answered."""


def outcome_hash(outcome: Outcome) -> Digest:
    """What the market stores of an answered query (before truncation into its state word).

    Chain and market are in the terms hash that the outcome holds.
    """
    values = [OUTCOME_DOMAIN, PROTOCOL_VERSION, outcome_as_abi(outcome)]
    return Digest(keccak(encode(["bytes32", "uint256", OUTCOME_ABI], values)))


def outcome_as_abi(outcome: Outcome) -> tuple[Any, ...]:
    """Fields in the order of the contract's struct `Outcome`."""
    shards = [
        (shard.round, shard.out_digest, shard.set_digest, shard.members_digest, shard.paid)
        for shard in outcome.shards
    ]
    head = (outcome.terms_hash, outcome.seed, outcome.output_hash, outcome.reporter)
    return (*head, outcome.fulfilled_at, shards)


def outcome_from_abi(values: tuple[Any, ...]) -> Outcome:
    """The outcome in a decoded event or call."""
    terms, seed, output_hash, reporter, fulfilled_at, shards = values
    settled = tuple(ShardOutcome(*shard) for shard in shards)
    return Outcome(terms, seed, output_hash, reporter, fulfilled_at, settled)


def after_claims(outcome: Outcome, paid: Mapping[int, int]) -> Outcome:
    """The outcome once slots were claimed; `paid` has a bit for each place, by shard."""
    shards = tuple(
        replace(shard, paid=shard.paid | paid.get(index, 0))
        for index, shard in enumerate(outcome.shards)
    )
    return replace(outcome, shards=shards)


def members_digest(signers: Sequence[Address]) -> Digest:
    """Digest of the signers drawn for a shard, in draw order."""
    return Digest(keccak(b"".join(encode(["address"], [signer]) for signer in signers)))


def paid_slots(outcome: Outcome) -> int:
    """How many member slots were paid, over all shards."""
    return sum(shard.paid.bit_count() for shard in outcome.shards)


def closing_time(query: Query, fulfilled_at: Timestamp) -> Timestamp:
    """Until when slots of an answered query can be claimed and the answer disputed."""
    return Timestamp(fulfilled_at + max(query.rules.claim_window, query.rules.dispute_window))


def suing_ends(query: Query) -> Timestamp:
    """Until when members can be sued for what they signed in a query that was not answered."""
    return Timestamp(query.answer_deadline + query.rules.dispute_window)


def oracle_turn(query: Query, now: Timestamp) -> int | None:
    """Place in the oracles' draw order that may report at `now`; None once anybody may."""
    turn = (now - query.opened_at) // query.rules.oracle_turn
    return turn if turn < min(query.rules.oracle_turns, MAX_TURNS) else None


def prover_begins(query: Query, position: int) -> Timestamp | None:
    """When the prover at `position` may be paid; None when it never may."""
    if query.assurance is not Assurance.PROVED:
        return query.opened_at if position < query.replicas else None
    if position >= min(query.rules.prover_turns, MAX_TURNS):
        return None
    return Timestamp(query.opened_at + position * query.rules.prover_turn)


def state_word(status: QueryStatus, closes_at: int, content: bytes) -> int:
    """The one word that the market stores of a query; `content` is the terms' or outcome's hash."""
    low = int.from_bytes(content, "big") & (1 << STATE_HASH_BITS) - 1
    return status << 248 | closes_at << STATE_HASH_BITS | low
