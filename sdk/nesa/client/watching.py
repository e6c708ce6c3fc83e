"""A query's life as a stream: requested, drawn, answered, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nesa.chain.committees import DrawnCommittees
from nesa.chain.connection import Block
from nesa.chain.events import QueryFulfilled
from nesa.client.history import QueryHistory
from nesa.protocol.ids import Amount, Timestamp
from nesa.protocol.queries import Query, QueryStatus


@dataclass(frozen=True, slots=True)
class Requested:
    """The query is on chain and paid for; also said again when a new attempt is opened."""

    query: Query


@dataclass(frozen=True, slots=True)
class Drawn:
    """The seed block is there: who works on the query is known to everybody."""

    committees: DrawnCommittees


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """The answer is on chain; its status is final only after the claim and dispute windows."""

    event: QueryFulfilled


@dataclass(frozen=True, slots=True)
class Expired:
    """The deadline passed without an answer: the fee can be refunded, or another attempt opened."""

    answer_deadline: Timestamp


@dataclass(frozen=True, slots=True)
class Refunded:
    """The whole fee was credited to the requester."""

    amount: Amount


@dataclass(frozen=True, slots=True)
class Closed:
    """All windows are over; slots that nobody claimed went back to the requester."""

    status: QueryStatus
    returned: Amount


Stage: TypeAlias = Requested | Drawn | Fulfilled | Expired | Refunded | Closed


def next_stage(history: QueryHistory, told: tuple[Stage, ...], head: Block) -> Stage | None:
    """What is to be told next of a query; None when nothing new happened.

    `Drawn` is not found here: it needs reads of its own, see `is_draw_due`.
    """
    if not told or _newest_query(told) != history.query:
        return Requested(history.query)
    kinds = {type(stage) for stage in told}
    if history.fulfilled and Fulfilled not in kinds:
        return Fulfilled(history.fulfilled)
    if history.refunded and Refunded not in kinds:
        return Refunded(history.refunded.amount)
    if history.closed and Closed not in kinds:
        return Closed(QueryStatus.FINAL, history.closed.returned_to_requester)
    late = head.timestamp > history.query.answer_deadline
    if late and not history.fulfilled and not history.refunded and _expired_of(told) is None:
        return Expired(history.query.answer_deadline)
    return None


def is_draw_due(told: tuple[Stage, ...], head: Block) -> bool:
    """Whether the committees of the newest attempt can be drawn and were not told yet."""
    if not told or not isinstance(told[-1], Requested):
        return False
    return head.number >= told[-1].query.seed_block


def is_over(told: tuple[Stage, ...]) -> bool:
    """Whether nothing more can happen."""
    return any(isinstance(stage, Refunded | Closed) for stage in told)


def _newest_query(told: tuple[Stage, ...]) -> Query | None:
    queries = [stage.query for stage in told if isinstance(stage, Requested)]
    return queries[-1] if queries else None


def _expired_of(told: tuple[Stage, ...]) -> Expired | None:
    """The expiry that was told since the newest attempt began."""
    for stage in reversed(told):
        if isinstance(stage, Requested):
            return None
        if isinstance(stage, Expired):
            return stage
    return None
