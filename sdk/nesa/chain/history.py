"""Finds the logs of one query or one model; for programs that keep no cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from eth_utils.address import to_canonical_address

from nesa.chain.abi import interface
from nesa.chain.connection import Connection, quantity
from nesa.chain.events import (
    AttemptOpened,
    ChainEvent,
    ChallengeOpened,
    QueryClosed,
    QueryDelivered,
    QueryFulfilled,
    QueryOverturned,
    QueryRefunded,
    QueryRequested,
    SlotClaimed,
    VersionRegistered,
    decode_event,
)
from nesa.chain.logs import LogWindow
from nesa.protocol.errors import Incompatible, InvalidInput
from nesa.protocol.ids import Address, BlockNumber, Digest, QueryId
from nesa.protocol.outcomes import after_claims
from nesa.protocol.queries import Outcome, Query

LARGEST_CHUNK: Final = 10_000
"""Blocks that one request for logs covers at most; it is asked for fewer when a node refuses."""

_Event = TypeVar("_Event")

_LIFE: Final = (
    QueryRequested,
    AttemptOpened,
    QueryFulfilled,
    SlotClaimed,
    QueryOverturned,
    QueryDelivered,
    QueryClosed,
    QueryRefunded,
)


@dataclass(frozen=True, slots=True)
class QueryHistory:
    """Everything that the chain says of one query up to a block."""

    requested: QueryRequested
    query: Query
    fulfilled: QueryFulfilled | None = None
    claims: tuple[SlotClaimed, ...] = ()
    overturned: QueryOverturned | None = None
    delivered: QueryDelivered | None = None
    closed: QueryClosed | None = None
    refunded: QueryRefunded | None = None

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as last announced: claims add to those who are paid."""
        if self.fulfilled is None:
            return None
        # Each claim tells all that are paid by then, so the last one of a shard is enough.
        paid = {claim.shard: claim.paid for claim in self.claims}
        return after_claims(self.fulfilled.outcome, paid)


async def find_query(connection: Connection, query_id: QueryId) -> QueryHistory:
    """The history of a query.

    Raises:
        InvalidInput: the market knows no such query.
    """
    found = await look_up_query(connection, query_id, connection.deployment.block)
    if found is None:
        raise InvalidInput(f"there is no query {query_id} on this market; check the number")
    return found


async def look_up_query(
    connection: Connection, query_id: QueryId, since: BlockNumber
) -> QueryHistory | None:
    """The history of a query that was asked in block `since` or later, None without one."""
    topic = f"0x{query_id.to_bytes(32, 'big').hex()}"
    topics = [[_topic("QueryMarket", kind.__name__) for kind in _LIFE], topic]
    return fold(await _events(connection, connection.deployment.market, topics, since))


def fold(events: list[ChainEvent]) -> QueryHistory | None:
    """The history that a query's events, in chain order, add up to; None without its request."""
    requested = _last(events, QueryRequested)
    if requested is None:
        return None
    opened = _last(events, AttemptOpened)
    return QueryHistory(
        requested=requested,
        query=opened.query if opened else requested.query,
        fulfilled=_last(events, QueryFulfilled),
        claims=tuple(event for event in events if isinstance(event, SlotClaimed)),
        overturned=_last(events, QueryOverturned),
        delivered=_last(events, QueryDelivered),
        closed=_last(events, QueryClosed),
        refunded=_last(events, QueryRefunded),
    )


async def challenges_by(
    connection: Connection, court: Address, challenger: Address, query: Query
) -> tuple[ChallengeOpened, ...]:
    """Every challenge of a query that `challenger` opened, newest last.

    Raises:
        Unavailable: the node does not answer.
    """
    words = (to_canonical_address(challenger), query.query_id.to_bytes(32, "big"))
    indexed = [f"0x{word.rjust(32, bytes(1)).hex()}" for word in words]
    topics = [_topic("DisputeCourt", ChallengeOpened.__name__), None, *indexed]
    found = await _events(connection, court, topics, query.seed_block)
    return tuple(event for event in found if isinstance(event, ChallengeOpened))


async def find_versions(connection: Connection) -> tuple[VersionRegistered, ...]:
    """Every version that was ever registered, oldest first."""
    topics = [_topic("ModelRegistry", VersionRegistered.__name__)]
    deployment = connection.deployment
    found = await _events(connection, deployment.registry, topics, deployment.block)
    return tuple(event for event in found if isinstance(event, VersionRegistered))


async def gas_used(connection: Connection, tx_hash: Digest) -> int:
    """Gas of a mined transaction."""
    receipt = await connection.request("eth_getTransactionReceipt", f"0x{tx_hash.hex()}")
    if not isinstance(receipt, dict):
        raise InvalidInput(f"there is no transaction 0x{tx_hash.hex()}")
    return quantity(receipt.get("gasUsed"))


async def _events(
    connection: Connection, address: Address, topics: Sequence[object], since: BlockNumber
) -> list[ChainEvent]:
    head = (await connection.head()).number
    wanted = {"address": address, "topics": topics}
    logs = await LogWindow(connection, LARGEST_CHUNK).read_all(wanted, since, head)
    events = [decode_event(log) for log in logs]
    return [event for event in events if event is not None]


def _topic(contract: str, event: str) -> str:
    for shape in interface(contract).events:
        if shape.name == event:
            return f"0x{shape.topic.hex()}"
    raise Incompatible(f"{contract} has no event {event}")


def _last(events: list[ChainEvent], kind: type[_Event]) -> _Event | None:
    found = [event for event in events if isinstance(event, kind)]
    return found[-1] if found else None
