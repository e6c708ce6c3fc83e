"""Calls the members of one shard of a query that waits, and finds those absent who do not answer.

Members do it among themselves where any of them speaks. Where a whole shard says nothing the client
is who waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import MemberSummoned, decode_event
from nesa.chain.history import summonses_by
from nesa.chain.sender import Receipt
from nesa.chain.summonses import Summons
from nesa.client.following import read_committees
from nesa.client.payment import Send, in_nes
from nesa.protocol.errors import ExhaustedResource, Incompatible, InvalidInput, Rejected
from nesa.protocol.ids import Address, Amount, Timestamp
from nesa.protocol.queries import Query
from nesa.protocol.summons import Call


@dataclass(frozen=True, slots=True)
class CalledMember:
    """A member that was summoned: it answered, and its operator has the bond, or it is absent."""

    position: int
    operator: Address
    is_absent: bool


@dataclass(frozen=True, slots=True)
class Summoner:
    """Summons for an account that `send` sends for, and that the bonds come from."""

    connection: Connection
    account: Address
    send: Send

    async def summon(self, query: Query, shard: int) -> tuple[CalledMember, ...]:
        """Call everybody in a shard's slots who was not called before; returns once each has
        answered or is found absent, which takes the answer window. What was begun in another run is
        taken up.

        Raises:
            InvalidInput: the query has no such shard.
            ExhaustedResource: the account does not hold the bonds.
            Rejected: nobody could be called: too early, too late, or all were.
            Unavailable: the seed block is not there yet, or the node does not answer.
        """
        if not 0 <= shard < query.shards:
            raise InvalidInput(f"query {query.query_id} has shards 0 to {query.shards - 1}")
        seed = await self.connection.block(query.seed_block)
        committees = await read_committees(self.connection, query, seed.hash)
        summons = Summons.of(self.connection)
        calls = await self._begun(summons, query, shard)
        begun = {call.position for call in calls}
        silent = [one for one in committees.lineup(shard) if one not in begun]
        calls += await self._call_all(summons, query, shard, silent, needed=not calls)
        await self._pass(max(call.deadline for call in calls))
        return tuple([await self._ended(summons, call) for call in calls])

    async def _begun(self, summons: Summons, query: Query, shard: int) -> list[Call]:
        """Calls of another run that nobody has answered or ended."""
        told = await summonses_by(self.connection, summons.address, self.account, query)
        calls = [event.call for event in told if event.call.shard == shard]
        return [call for call in calls if await summons.is_open(call, "latest")]

    async def _pass(self, moment: Timestamp) -> None:
        """Wait until the chain's clock is behind a moment."""
        while True:
            if (await self.connection.head()).timestamp > moment:
                return
            await asyncio.sleep(self.connection.policy.poll)

    async def _allow(self, summons: Summons, members: int) -> None:
        token, rules = Contracts(self.connection).token, await summons.rules("latest")
        bonds = Amount(members * rules.bond)
        held = await token.balance_of(self.account, "latest")
        if held < bonds:
            raise ExhaustedResource(
                f"{members} bonds are {in_nes(bonds)}, and {self.account} holds {in_nes(held)}"
            )
        await self.send(token.approve(summons.address, bonds))

    async def _call_all(
        self, summons: Summons, query: Query, shard: int, positions: Sequence[int], *, needed: bool
    ) -> list[Call]:
        """One summons each; a member that was called before is left to who called it.

        With `needed`, at least one.
        """
        if not positions:
            return []
        await self._allow(summons, len(positions))
        calls, refusals = [], []
        for position in positions:
            try:
                receipt = await self.send(summons.summon(query, shard, position))
                calls.append(_call_in(receipt))
            except Rejected as error:
                refusals.append(error)
        if needed and not calls:
            raise refusals[0]
        return calls

    async def _ended(self, summons: Summons, call: Call) -> CalledMember:
        is_absent = await summons.is_open(call, "latest")
        if is_absent:
            await self.send(summons.declare_absent(call))
        return CalledMember(call.position, call.operator, is_absent)


def _call_in(receipt: Receipt) -> Call:
    for log in receipt.logs:
        event = decode_event(log)
        if isinstance(event, MemberSummoned):
            return event.call
    raise Incompatible("the contract did not say whom it called; is this another release?")
