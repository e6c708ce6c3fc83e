"""Follows a paid query on a chain that reorganises and through a node that is away at times."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from nesa.chain.committees import DrawnCommittees, absent_slots, drawn_committees
from nesa.chain.connection import Block, Connection, RpcRefused
from nesa.chain.contracts import Contracts
from nesa.chain.disputes import Challenge
from nesa.chain.events import QueryRequested, decode_event
from nesa.chain.history import QueryHistory, challenges_of, look_up_query
from nesa.chain.sender import Receipt, find_receipt
from nesa.client.answers import SubmittedQuery
from nesa.client.watching import Sight, Stage, is_over, next_stage
from nesa.protocol.errors import NesaError, QueryFailed, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Digest, QueryId
from nesa.protocol.outcomes import closing_time
from nesa.protocol.queries import Query, QueryStatus

GRACE_SECONDS: Final = 60.0
"""How long a node may be away when no deadline allows it more."""

REORGANISED_BLOCKS: Final = 256
"""How far from its old place a request is looked for when its transaction cannot be found."""

_T = TypeVar("_T")


class Following:
    """One query as the chain has it from one moment to the next, in `submitted`, and which shards
    of its answer are challenged.

    It is known by the transaction that asked it. Its number is not enough: after a reorganisation
    the same number may be somebody else's.
    """

    def __init__(
        self,
        connection: Connection,
        submitted: SubmittedQuery,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.submitted = submitted
        self.held_shards: tuple[int, ...] = ()
        self._connection = connection
        self._clock = clock
        self._committees: DrawnCommittees | None = None
        query = submitted.query
        self._patience = max(query.answer_deadline - query.opened_at, GRACE_SECONDS)
        self._patient_until = self._clock() + self._patience

    async def stages(self) -> AsyncGenerator[Stage, None]:
        """Every stage of the query's life as it happens.

        Raises:
            QueryFailed: a reorganisation undid the request, and it did not come back in time.
            Unavailable: the node is away for longer than an answer can be waited for.
        """
        told: tuple[Stage, ...] = ()
        last: Block | None = None
        with self.naming_it():
            while not is_over(told):
                head = await self.patiently(self._connection.head)
                if last is not None and head.hash == last.hash:
                    await asyncio.sleep(self._connection.policy.poll)
                    continue
                last = head
                sight = await self.patiently(partial(self._look, head))
                while sight is not None and (stage := next_stage(sight, told)):
                    told = (*told, stage)
                    yield stage

    async def history(self) -> QueryHistory | None:
        """The query's history; None while its request is in no block that the node knows.

        Raises:
            QueryFailed: the request was mined again and refused.
        """
        query_id, since = await self._place()
        found = await look_up_query(self._connection, query_id, since)
        if found is None or not is_same_request(found.query, self.submitted.query):
            return None
        tx_hash = found.requested.log.tx_hash
        self.submitted = replace(self.submitted, query=found.query, tx_hash=tx_hash)
        self.held_shards = found.held_shards
        return found

    async def newest(self) -> SubmittedQuery:
        """The query with the terms that it has on chain now.

        Raises:
            QueryFailed: the request was mined again and refused.
            Unavailable: the request is in no block that the node knows.
        """
        if await self.history() is None:
            number = self.submitted.query_id
            raise Unavailable(f"query {number} is in no block at the moment; try again")
        return self.submitted

    async def patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """What `ask` returns, asked again while the node is away and there is time left.

        Raises:
            Unavailable: the time is over.
        """
        while True:
            try:
                found = await ask()
            except Unavailable:
                if self._clock() > self._patient_until:
                    raise
                await asyncio.sleep(self._connection.policy.poll)
            else:
                self._patient_until = self._clock() + self._patience
                return found

    @contextlib.contextmanager
    def naming_it(self) -> Iterator[None]:
        """Errors that are raised meanwhile say which query was paid for."""
        try:
            yield
        except NesaError as error:
            error.submitted = self.submitted
            raise

    async def _look(self, head: Block) -> Sight | None:
        history = await self.history()
        query = self.submitted.query
        left = 0 if history and history.fulfilled else query.answer_deadline - head.timestamp
        self._patience = max(left, GRACE_SECONDS)
        if history is not None:
            drawn = await self._drawn(history, head)
            challenges = await self._challenges(history)
            is_final = await self._is_final(history, head)
            return Sight(head, history, drawn, is_final, challenges)
        if left < 0:
            raise QueryFailed(
                f"query {query.query_id} is on the chain no more: a reorganisation undid "
                f"transaction 0x{self.submitted.tx_hash.hex()}, which took its fee back; ask again"
            )
        return None

    async def _challenges(self, history: QueryHistory) -> tuple[Challenge, ...]:
        """Every challenge of the answer; asked for only where the market says there was one."""
        if not history.holds:
            return ()
        since = history.holds[0].log.block_number
        opened = await challenges_of(self._connection, history.query.query_id, since)
        return tuple(event.challenge for event in opened)

    async def _is_final(self, history: QueryHistory, head: Block) -> bool:
        """Whether the windows of the answer are over; holds make them longer than they began."""
        answer = history.fulfilled
        if answer is None or head.timestamp <= closing_time(
            history.query, answer.outcome.fulfilled_at
        ):
            return False
        market = Contracts(self._connection).market
        return await market.status_of(history.query.query_id, "latest") is QueryStatus.FINAL

    async def _place(self) -> tuple[QueryId, BlockNumber]:
        """The request's number now, and the block to look for it from."""
        query, deployment = self.submitted.query, self._connection.deployment
        receipt = await find_receipt(self._connection, self.submitted.tx_hash)
        if receipt is None:
            old = BlockNumber(query.seed_block - REORGANISED_BLOCKS)
            return query.query_id, max(old, deployment.block)
        if not receipt.succeeded:
            raise QueryFailed(
                f"a reorganisation undid query {query.query_id}, and its transaction "
                f"0x{receipt.tx_hash.hex()} was refused when it was mined again; nothing was "
                "paid, ask again"
            )
        number = number_in(receipt, deployment.market, query)
        return query.query_id if number is None else number, receipt.block_number

    async def _drawn(self, history: QueryHistory, head: Block) -> DrawnCommittees | None:
        """The committees by the seed block of the moment; read again when that is another, or when
        spares got slots that the content key has to be sent to."""
        query = history.query
        if head.number < query.seed_block:
            return None
        seed = await self._connection.find_block(query.seed_block)
        if seed is None:
            return None
        known = self._committees
        is_of_this_draw = known and (known.query, known.seed_hash) == (query, seed.hash)
        if known is None or not is_of_this_draw or await self._has_new_members(history, known):
            self._committees = await read_committees(self._connection, query, seed.hash)
        return self._committees

    async def _has_new_members(self, history: QueryHistory, known: DrawnCommittees) -> bool:
        """Whether spares, who cannot open it yet, got slots of a sealed query."""
        if self.submitted.content_key is None or history.fulfilled is not None:
            return False
        vault, market = Contracts(self._connection).vault, self._connection.deployment.market
        return await absent_slots(vault, market, known.query) != known.absent


def is_same_request(one: Query, other: Query) -> bool:
    """Whether both are attempts of one request, whatever block and number it is under."""
    return (one.requester, one.version_id, one.input_digest) == (
        other.requester,
        other.version_id,
        other.input_digest,
    )


def number_in(receipt: Receipt, market: Address, query: Query) -> QueryId | None:
    """The number that a transaction gave to `query`; None when it asked no such thing."""
    logs = (log for log in receipt.logs if log.address.lower() == market.lower())
    asked = [event for event in map(decode_event, logs) if isinstance(event, QueryRequested)]
    numbers = [event.query_id for event in asked if is_same_request(event.query, query)]
    if query.query_id in numbers:
        return query.query_id
    return numbers[0] if numbers else None


async def read_committees(
    connection: Connection, query: Query, seed_hash: Digest
) -> DrawnCommittees:
    """The draw; seats are never reused while a query needs them, so a node that has forgotten
    the state of the seed block is asked for the newest."""
    deployment = connection.deployment
    vault = Contracts(connection).vault
    drawn = partial(
        drawn_committees, vault, deployment.chain_id, deployment.market, query, seed_hash
    )
    try:
        return await drawn(query.seed_block)
    except RpcRefused:
        return await drawn("latest")
