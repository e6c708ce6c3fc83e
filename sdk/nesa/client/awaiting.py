"""Waits for a query's answer, and gives a sealed one's key to its committees meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from eth_account.signers.local import LocalAccount

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.history import gas_used
from nesa.client.answers import Answer
from nesa.client.catalogue import Catalogue
from nesa.client.contents import delivered
from nesa.client.following import Following, read_committees
from nesa.client.results import Delivery, read_answer
from nesa.client.sealing import KeySender, admitted
from nesa.client.watching import (
    Drawn,
    Expired,
    Finalised,
    Fulfilled,
    Overturned,
    Refunded,
    Stage,
)
from nesa.protocol.errors import QueryExpired, QueryRefunded
from nesa.protocol.ids import QueryId
from nesa.protocol.queries import Assurance

OnStage = Callable[[Stage], Awaitable[None]]
"""Told of every stage of a query while its answer is awaited."""


@dataclass(frozen=True, slots=True)
class Awaiting:
    """The wait for one query; `payer` is whoever asked, needed only to hand out a content key."""

    connection: Connection
    catalogue: Catalogue
    following: Following
    payer: Callable[[], LocalAccount]

    async def answer(self, on_stage: OnStage | None = None, *, early: bool = False) -> Answer:
        """The answer, as soon as it is on chain, but a CHALLENGED one only when its windows are
        over or it was overturned, unless it is wanted `early`; `on_stage` is awaited at every stage
        until then.

        Raises:
            QueryExpired: nobody answered in time.
            QueryRefunded: the fee went back already.
            QueryFailed: a reorganisation undid the request for good.
            Unavailable: the node is away for too long.
        """
        following, answered = self.following, None
        with following.naming_it():
            async with contextlib.AsyncExitStack() as delivery:
                async for stage in following.stages():
                    if on_stage is not None:
                        await on_stage(stage)
                    _refuse_failure(following.submitted.query_id, stage)
                    if isinstance(stage, Drawn):
                        committees = stage.committees
                        await delivery.aclose()
                        seats = await following.patiently(partial(self._trusted, committees))
                        await delivery.enter_async_context(self._handing_out(committees, seats))
                    elif isinstance(stage, Fulfilled):
                        answered = partial(self._read, stage, committees)
                    if answered is not None and (early or self._is_awaited(stage)):
                        return await following.patiently(answered)
            raise QueryExpired(f"query {following.submitted.query_id} ended without an answer")

    def _is_awaited(self, stage: Stage) -> bool:
        """Whether an answer is ripe at `stage`: a CHALLENGED one waits for disputes."""
        waits = self.following.submitted.query.assurance is Assurance.CHALLENGED
        return not waits or isinstance(stage, Finalised | Overturned)

    async def _trusted(self, committees: DrawnCommittees) -> list[Seat]:
        """Who is to get the content key; nobody where the query is open."""
        if self.following.submitted.content_key is None:
            return []
        seats = [seat for shard in committees.shards for seat in shard]
        contracts = Contracts(self.connection)
        return await admitted(contracts, committees.query.version_id, seats)

    def _handing_out(
        self, committees: DrawnCommittees, seats: Sequence[Seat]
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Hands out the content key in the background; nothing to do for an open query."""
        content_key = self.following.submitted.content_key
        if content_key is None:
            return contextlib.nullcontext()
        deployment = self.connection.deployment
        sender = KeySender(self.payer(), deployment, committees.query, content_key)
        return sender.delivering(seats)

    async def _read(self, stage: Fulfilled, committees: DrawnCommittees) -> Answer:
        asked, market = self.following.submitted, Contracts(self.connection).market
        if _pays_spares(stage, committees):
            seed_hash = stage.event.outcome.seed
            committees = await read_committees(self.connection, asked.query, seed_hash)
        model = await self.catalogue.model(f"0x{asked.query.version_id.hex()}")
        gas = await gas_used(self.connection, stage.event.log.tx_hash)
        status = await market.status_of(asked.query_id, at="latest")
        closes_at = await market.closes_at(asked.query_id, at="latest")
        held = self.following.held_shards
        output = await delivered(asked.query, model.card.output_edge, stage.event, committees)
        delivery = Delivery(stage.event, output, committees, status, closes_at, gas, held)
        return read_answer(asked, model, delivery)


def _pays_spares(stage: Fulfilled, committees: DrawnCommittees) -> bool:
    """Whether spares got slots since the draw was read."""
    paid = [shard.paid.bit_length() for shard in stage.event.outcome.shards]
    return any(last > len(seats) for last, seats in zip(paid, committees.shards, strict=True))


def _refuse_failure(query_id: QueryId, stage: Stage) -> None:
    if isinstance(stage, Expired):
        raise QueryExpired(f"nobody answered query {query_id} in time; its fee can be refunded")
    if isinstance(stage, Refunded):
        raise QueryRefunded(f"the fee of query {query_id} went back to whoever asked")
