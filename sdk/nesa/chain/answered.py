"""Finds the answer of one query on chain; for programs that keep only its terms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Final

from nesa.chain.abi import interface
from nesa.chain.connection import Connection
from nesa.chain.events import ChainEvent, QueryFulfilled, SlotClaimed, decode_event
from nesa.chain.logs import LogWindow
from nesa.protocol.ids import BlockNumber, QueryId
from nesa.protocol.outcomes import after_claims
from nesa.protocol.queries import Outcome

LARGEST_CHUNK: Final = 10_000
"""Blocks that one request for logs covers at most."""

_WANTED: Final = (QueryFulfilled.__name__, SlotClaimed.__name__)


@dataclass(frozen=True, slots=True)
class AnsweredQuery:
    """The answer that was reported, and the outcome that the market keeps of it by now."""

    outcome: Outcome
    output: bytes


async def find_answer(
    connection: Connection, query_id: QueryId, since: BlockNumber
) -> AnsweredQuery | None:
    """The answer of a query that was reported in block `since` or later; None without one.

    Raises:
        Unavailable: the node does not answer.
    """
    shapes = interface("QueryMarket").events
    topics = [f"0x{shape.topic.hex()}" for shape in shapes if shape.name in _WANTED]
    number = f"0x{query_id.to_bytes(32, 'big').hex()}"
    wanted = {"address": connection.deployment.market, "topics": [topics, number]}
    head = (await connection.head()).number
    logs = await LogWindow(connection, LARGEST_CHUNK).read_all(wanted, since, head)
    return answered(event for event in map(decode_event, logs) if event is not None)


def answered(events: Iterable[ChainEvent]) -> AnsweredQuery | None:
    """The answer that a query's events, in chain order, add up to."""
    return reduce(_after, events, None)


def _after(found: AnsweredQuery | None, event: ChainEvent) -> AnsweredQuery | None:
    match event:
        case QueryFulfilled():
            return AnsweredQuery(event.outcome, event.output)
        case SlotClaimed() if found is not None:
            outcome = after_claims(found.outcome, {event.shard: event.paid})
            return AnsweredQuery(outcome, found.output)
        case _:
            return found
