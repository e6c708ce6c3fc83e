"""Finds the logs of one query or one model; for programs that keep no cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from nesa.chain.abi import interface
from nesa.chain.connection import Connection, quantity
from nesa.chain.events import (
    AttemptOpened,
    ChainEvent,
    ChallengeOpened,
    CommissionAnnounced,
    Delegated,
    GasDeposited,
    MemberSummoned,
    QueryClosed,
    QueryDelivered,
    QueryFulfilled,
    QueryHeld,
    QueryOverturned,
    QueryRefunded,
    QueryReleased,
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
    QueryHeld,
    QueryReleased,
    QueryOverturned,
    QueryDelivered,
    QueryClosed,
    QueryRefunded,
)

Hold: TypeAlias = QueryHeld | QueryReleased | QueryOverturned
"""A shard's output is challenged, stood, or fell."""


@dataclass(frozen=True, slots=True)
class QueryHistory:
    """Everything that the chain says of one query up to a block."""

    requested: QueryRequested
    query: Query
    fulfilled: QueryFulfilled | None = None
    claims: tuple[SlotClaimed, ...] = ()
    holds: tuple[Hold, ...] = ()
    overturned: QueryOverturned | None = None
    delivered: QueryDelivered | None = None
    closed: QueryClosed | None = None
    refunded: QueryRefunded | None = None
    earlier: tuple[Query, ...] = ()
    """Terms of the attempts before the one of `query`."""

    @property
    def outcome(self) -> Outcome | None:
        """The outcome as last announced: claims add to those who are paid."""
        if self.fulfilled is None:
            return None
        # Each claim tells all that are paid by then, so the last one of a shard is enough.
        paid = {claim.shard: claim.paid for claim in self.claims}
        return after_claims(self.fulfilled.outcome, paid)

    @property
    def held_shards(self) -> tuple[int, ...]:
        """Shards whose output is challenged and not decided, ascending."""
        last = {event.shard: event for event in self.holds}
        return tuple(sorted(shard for shard in last if isinstance(last[shard], QueryHeld)))


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
    topics = [[topic("QueryMarket", kind.__name__) for kind in _LIFE], word(query_id)]
    return fold(await read_events(connection, connection.deployment.market, topics, since))


def fold(events: list[ChainEvent]) -> QueryHistory | None:
    """The history that a query's events, in chain order, add up to; None without its request."""
    requested = _last(events, QueryRequested)
    if requested is None:
        return None
    opened = (event.query for event in events if isinstance(event, AttemptOpened))
    *earlier, query = (requested.query, *opened)
    return QueryHistory(
        requested=requested,
        query=query,
        earlier=tuple(earlier),
        fulfilled=_last(events, QueryFulfilled),
        claims=tuple(event for event in events if isinstance(event, SlotClaimed)),
        holds=tuple(event for event in events if isinstance(event, Hold)),
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
    indexed = (word(challenger), word(query.query_id))
    topics = [topic("DisputeCourt", ChallengeOpened.__name__), None, *indexed]
    found = await read_events(connection, court, topics, query.seed_block)
    return tuple(event for event in found if isinstance(event, ChallengeOpened))


async def summonses_by(
    connection: Connection, summons: Address, summoner: Address, query: Query
) -> tuple[MemberSummoned, ...]:
    """Every summons of a query's members that `summoner` sent, oldest first.

    Raises:
        Unavailable: the node does not answer.
    """
    indexed = (word(query.query_id), None, word(summoner))
    topics = [topic("Summons", MemberSummoned.__name__), *indexed]
    found = await read_events(connection, summons, topics, query.seed_block)
    return tuple(event for event in found if isinstance(event, MemberSummoned))


async def find_versions(connection: Connection) -> tuple[VersionRegistered, ...]:
    """Every version that was ever registered, oldest first."""
    topics = [topic("ModelRegistry", VersionRegistered.__name__)]
    deployment = connection.deployment
    found = await read_events(connection, deployment.registry, topics, deployment.block)
    return tuple(event for event in found if isinstance(event, VersionRegistered))


async def challenges_of(
    connection: Connection, query_id: QueryId, since: BlockNumber
) -> tuple[ChallengeOpened, ...]:
    """Every challenge of a query's answer since a block, oldest first."""
    court = connection.deployment.court
    if court is None:
        return ()
    topics = [topic("DisputeCourt", "ChallengeOpened"), None, None, word(query_id)]
    found = await read_events(connection, court, topics, since)
    return tuple(event for event in found if isinstance(event, ChallengeOpened))


async def gas_deposits_by(connection: Connection, depositor: Address) -> tuple[QueryId, ...]:
    """The queries that an account ever left coin for, newest first."""
    deployment = connection.deployment
    topics = [topic("GasEscrow", "GasDeposited"), None, word(depositor)]
    found = await read_events(connection, deployment.gas_escrow, topics, deployment.block)
    queries = [event.query_id for event in found if isinstance(event, GasDeposited)]
    return tuple(dict.fromkeys(reversed(queries)))


async def operators_delegated_to(connection: Connection, delegator: Address) -> tuple[Address, ...]:
    """The operators that an account ever delegated to, in that order."""
    deployment = connection.deployment
    topics = [topic("DelegationPool", "Delegated"), None, word(delegator)]
    found = await read_events(connection, deployment.delegation_pool, topics, deployment.block)
    return tuple(dict.fromkeys(event.operator for event in found if isinstance(event, Delegated)))


async def operators_for_delegation(connection: Connection) -> tuple[Address, ...]:
    """The operators that ever announced a commission, in that order."""
    deployment = connection.deployment
    topics = [topic("DelegationPool", "CommissionAnnounced")]
    found = await read_events(connection, deployment.delegation_pool, topics, deployment.block)
    announced = (event.operator for event in found if isinstance(event, CommissionAnnounced))
    return tuple(dict.fromkeys(announced))


async def gas_used(connection: Connection, tx_hash: Digest) -> int:
    """Gas of a mined transaction."""
    receipt = await connection.request("eth_getTransactionReceipt", f"0x{tx_hash.hex()}")
    if not isinstance(receipt, dict):
        raise InvalidInput(f"there is no transaction 0x{tx_hash.hex()}")
    return quantity(receipt.get("gasUsed"))


async def read_events(
    connection: Connection, address: Address, topics: Sequence[object], since: BlockNumber
) -> list[ChainEvent]:
    """Events of a contract since a block.

    Raises:
        Unavailable: the node does not answer.
    """
    head = (await connection.head()).number
    wanted = {"address": address, "topics": topics}
    logs = await LogWindow(connection, LARGEST_CHUNK).read_all(wanted, since, head)
    events = [decode_event(log) for log in logs]
    return [event for event in events if event is not None]


def word(indexed: QueryId | Address) -> str:
    """An indexed value as a topic."""
    number = indexed if isinstance(indexed, int) else int(indexed, 16)
    return f"0x{number:064x}"


def topic(contract: str, event: str) -> str:
    """What names an event of a contract in its logs."""
    for shape in interface(contract).events:
        if shape.name == event:
            return f"0x{shape.topic.hex()}"
    raise Incompatible(f"{contract} has no event {event}")


def _last(events: list[ChainEvent], kind: type[_Event]) -> _Event | None:
    found = [event for event in events if isinstance(event, kind)]
    return found[-1] if found else None
