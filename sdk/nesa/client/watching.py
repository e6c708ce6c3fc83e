"""A query's life as a stream: requested, drawn, answered, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nesa.chain.committees import DrawnCommittees
from nesa.chain.connection import Block
from nesa.chain.disputes import Challenge
from nesa.chain.events import QueryFulfilled, QueryReleased
from nesa.chain.history import QueryHistory
from nesa.protocol.ids import Amount, Timestamp
from nesa.protocol.queries import CallbackResult, Query, QueryStatus


@dataclass(frozen=True, slots=True)
class Requested:
    """The query is on chain and paid for; also said again when a new attempt is opened, and when
    a reorganisation of the chain changed the terms: its number, its times or its seed block."""

    query: Query


@dataclass(frozen=True, slots=True)
class Drawn:
    """The seed block is there: who works on the query is known to everybody. Also said again when
    a reorganisation replaced the seed block, for then others are drawn, and, where a content key is
    to be handed out, when spares got slots of absent members."""

    committees: DrawnCommittees


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """The answer is on chain; its status is final only after the claim and dispute windows."""

    event: QueryFulfilled


@dataclass(frozen=True, slots=True)
class Held:
    """The outputs of these shards are challenged: the windows of the answer stand still, and nobody
    is paid or called. Signers may defend until `defence_ends`, so that it takes at least as long,
    and a game that they play takes longer."""

    shards: tuple[int, ...]
    defence_ends: Timestamp


@dataclass(frozen=True, slots=True)
class Released:
    """Every challenge of the answer failed; its windows go on, until `closes_at`."""

    closes_at: Timestamp


@dataclass(frozen=True, slots=True)
class Finalised:
    """All windows are over and the answer stood."""


@dataclass(frozen=True, slots=True)
class Overturned:
    """The answer was shown to be wrong: this much of the fee went back to the requester, the rest
    is owed by those who signed it."""

    returned: Amount


@dataclass(frozen=True, slots=True)
class Delivered:
    """The requester of a CHALLENGED query was called with its answer."""

    callback: CallbackResult


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


Stage: TypeAlias = (
    Requested
    | Drawn
    | Fulfilled
    | Held
    | Released
    | Finalised
    | Overturned
    | Delivered
    | Expired
    | Refunded
    | Closed
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look at the chain shows of a query; `committees` is None before the draw, `is_final`
    says whether an answer's windows are over and nobody disputes it, `challenges` are all that were
    ever opened against it."""

    head: Block
    history: QueryHistory
    committees: DrawnCommittees | None
    is_final: bool = False
    challenges: tuple[Challenge, ...] = ()


def next_stage(sight: Sight, told: tuple[Stage, ...]) -> Stage | None:
    """What is to be told next of a query; None when nothing new happened.

    A stage is told again when the chain has it otherwise than it was told last.
    """
    last = {type(stage): stage for stage in told}
    return next((stage for stage in _life(sight) if last.get(type(stage)) != stage), None)


def is_over(told: tuple[Stage, ...]) -> bool:
    """Whether nothing more can happen."""
    return any(isinstance(stage, Refunded | Closed | Overturned) for stage in told)


def _life(sight: Sight) -> Iterator[Stage]:
    """Every stage that the newest attempt is through, in order."""
    history, committees = sight.history, sight.committees
    yield Requested(history.query)
    if committees is not None:
        yield Drawn(committees)
    # Log and seed block are read one after the other: they may be of two branches of the chain.
    answer = history.fulfilled
    if answer and committees and answer.outcome.seed == committees.seed_hash:
        yield Fulfilled(answer)
        yield from _disputes(sight)
    if sight.is_final:
        yield Finalised()
    if history.overturned:
        yield Overturned(history.overturned.returned)
    if history.delivered:
        yield Delivered(history.delivered.callback)
    if history.refunded:
        yield Refunded(history.refunded.amount)
    if history.closed:
        yield Closed(QueryStatus.FINAL, history.closed.returned_to_requester)
    late = sight.head.timestamp > history.query.answer_deadline
    if late and not history.fulfilled and not history.refunded:
        yield Expired(history.query.answer_deadline)


def _disputes(sight: Sight) -> Iterator[Held | Released]:
    """Where the challenges of an answer stand; who comes late is told of the last hold too."""
    holds = sight.history.holds
    ends = [one.defence_ends for one in sight.challenges if one.charge.shard in _disputed(sight)]
    if ends:
        yield Held(_disputed(sight), max(ends))
    if holds and isinstance(holds[-1], QueryReleased) and not sight.history.held_shards:
        yield Released(holds[-1].closes_at)


def _disputed(sight: Sight) -> tuple[int, ...]:
    """The shards that are held, or the one that was held last."""
    held = sight.history.held_shards
    return held or tuple(event.shard for event in sight.history.holds[-1:])
