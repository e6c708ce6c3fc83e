"""What becomes of a query: found again, waited for, watched, refunded, shown to others."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import TYPE_CHECKING

from nesa.chain.events import AttemptOpened
from nesa.chain.history import find_query
from nesa.client.answers import Answer, AnyQuery, SubmittedQuery
from nesa.client.awaiting import Awaiting, OnStage
from nesa.client.following import Following
from nesa.client.granting import granted_view, require_content_key
from nesa.client.parts.connected import event_in
from nesa.client.parts.money import Money
from nesa.client.submissions import find_submitted
from nesa.client.summoning import CalledMember, Summoner
from nesa.client.watching import Stage
from nesa.privacy.grants import ViewGrant
from nesa.protocol.ids import Amount
from nesa.protocol.queries import Privacy

if TYPE_CHECKING:
    from nesa.privacy.equivariant.user_keys import UserKey


class Answers(Money):
    """Goes on with queries that were asked."""

    async def find(
        self,
        query: AnyQuery,
        *,
        content_key: bytes | None = None,
        equivariant_key: UserKey | None = None,
    ) -> SubmittedQuery:
        """A query that was asked before, with the keys that it was asked with.

        Raises:
            InvalidInput: the market knows no such query, or the content key is another's.
        """
        submitted = await find_submitted(self.connection, query)
        if content_key is not None and submitted.query.privacy is Privacy.SEALED:
            asked = (await find_query(self.connection, submitted.query_id)).requested
            require_content_key(asked, content_key)
        return replace(
            submitted,
            content_key=content_key or submitted.content_key,
            equivariant_key=equivariant_key or submitted.equivariant_key,
        )

    async def result(
        self, submitted: AnyQuery, on_stage: OnStage | None = None, *, early: bool = False
    ) -> Answer:
        """Wait until a query is answered; a sealed one's key is given to its committees meanwhile.

        A CHALLENGED query is waited for until its answer is FINAL or OVERTURNED, see
        `Answer.status`; `early` returns it as soon as it is reported, while it is disputable.

        Reorganisations of the chain are followed, and a node that is away is waited for until the
        answer deadline. `on_stage` is awaited at every stage of the query's life.

        Raises:
            QueryExpired: nobody answered in time; `refund` takes the fee back.
            QueryRefunded: the fee went back already.
            QueryFailed: a reorganisation undid the request for good.
            Unavailable: the node is away for too long; `result(error.submitted)` goes on.
        """
        following = await self._following(submitted)
        awaiting = Awaiting(self.connection, self._catalogue, following, lambda: self._payer)
        return await awaiting.answer(on_stage, early=early)

    async def watch(self, submitted: AnyQuery) -> AsyncGenerator[Stage, None]:
        """Every stage of a query's life as it happens, from its request to its end.

        Raises:
            InvalidInput: the market knows no such query.
            QueryFailed, Unavailable: see `result`.
        """
        following = await self._following(submitted)
        async with contextlib.aclosing(following.stages()) as stages:
            async for stage in stages:
                yield stage

    async def refund(self, submitted: AnyQuery) -> Amount:
        """Take back the fee of a query that nobody answered in time, and pay it out.

        The fee of somebody else's query becomes that account's credit, and is not paid out.

        Raises:
            Rejected: it can still be answered, or is answered, or was refunded.
        """
        query = (await self._newest(submitted)).query
        await self._send(self.contracts.market.refund(query))
        if query.requester == self.address:
            await self.withdraw()
        await self._gas_deposits().take_back(query.query_id, self._send)
        return query.fee

    async def retry(self, submitted: AnyQuery) -> SubmittedQuery:
        """Open another attempt, with another draw, of an unanswered query of this client's own.

        A sealed query must be given as `submit` returned it, with its content key.

        Raises:
            Rejected: too early, too often, or it is answered.
        """
        newest = await self._newest(submitted)
        receipt = await self._send(self.contracts.market.retry(newest.query))
        return replace(newest, query=event_in(receipt, AttemptOpened).query)

    async def summon(self, submitted: AnyQuery, shard: int) -> tuple[CalledMember, ...]:
        """Call the members of a shard on which a query seems to wait to answer on chain, for a bond
        each; returns once each has answered or was found absent, so that a spare has its slot.

        Raises:
            InvalidInput: the query has no such shard.
            ExhaustedResource: this client does not hold the bonds.
            Rejected: too early, too late, or all were called before.
        """
        query = (await self._newest(submitted)).query
        return await Summoner(self.connection, self.address, self._send).summon(query, shard)

    async def grant_view(self, submitted: SubmittedQuery, holder: bytes) -> ViewGrant:
        """Let the holder of a view key (32 bytes, of a watchtower) see a sealed query of this
        client, and challenge its answer; `encode_grant` makes a file of the grant.

        Raises:
            InvalidInput: the query is open or another account's, its content key is missing or
                another query's, or the view key is none.
        """
        found = await find_query(self.connection, submitted.query_id)
        key, payer = submitted.content_key, self._payer
        return granted_view(found.requested, key, holder, payer, self.connection.deployment)

    async def _following(self, submitted: AnyQuery) -> Following:
        return Following(self.connection, await find_submitted(self.connection, submitted))

    async def _newest(self, submitted: AnyQuery) -> SubmittedQuery:
        return await (await self._following(submitted)).newest()
