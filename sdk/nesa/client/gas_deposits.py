"""Coin that waits for whoever reports a query: left, looked at, taken back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.economy import GasEscrow
from nesa.chain.history import gas_deposits_by
from nesa.client.payment import Send
from nesa.protocol.ids import Address, QueryId
from nesa.protocol.queries import QueryStatus

MOST_QUERIES: Final = 64
"""How many of an account's newest queries with a deposit are looked at."""

_RETURNED: Final = (QueryStatus.REFUNDED, QueryStatus.OVERTURNED)


@dataclass(frozen=True, slots=True)
class GasDeposit:
    """Wei that an account left for whoever reports a query, and nobody took yet."""

    query_id: QueryId
    wei: int
    status: QueryStatus

    @property
    def is_reclaimable(self) -> bool:
        """Whether nobody is paid for the query, so that the coin is its depositor's again."""
        return self.status in _RETURNED


@dataclass(frozen=True, slots=True)
class GasDeposits:
    """The deposits of one account; whoever sends pays the gas."""

    connection: Connection
    account: Address

    async def all(self) -> tuple[GasDeposit, ...]:
        """Those that nobody took yet, newest first."""
        queries = await gas_deposits_by(self.connection, self.account)
        found = await asyncio.gather(*(self._deposit(query) for query in queries[:MOST_QUERIES]))
        return tuple(deposit for deposit in found if deposit.wei)

    async def credit(self) -> int:
        """Wei that the escrow owes to the account."""
        return await self._escrow.credit_of(self.account, at="latest")

    async def take_back(self, query_id: QueryId, send: Send) -> int:
        """Have the deposit of a query that nobody is paid for sent to the account, with whatever
        else the escrow owes to it; returns how many wei that were."""
        if await self._escrow.deposit_of(query_id, self.account, at="latest"):
            await send(self._escrow.reclaim(query_id, self.account))
        return await self.withdraw(send)

    async def take_all_back(self, send: Send) -> int:
        """The same for all queries."""
        for deposit in await self.all():
            if deposit.is_reclaimable:
                await send(self._escrow.reclaim(deposit.query_id, self.account))
        return await self.withdraw(send)

    async def withdraw(self, send: Send) -> int:
        """Have the escrow send the account what it owes; zero without a transaction."""
        owed = await self.credit()
        if owed:
            await send(self._escrow.withdraw(self.account))
        return owed

    async def _deposit(self, query_id: QueryId) -> GasDeposit:
        """The deposit; zero wei once a reporter was paid it."""
        escrow, market = self._escrow, Contracts(self.connection).market
        own = await escrow.deposit_of(query_id, self.account, at="latest")
        held = await escrow.held_for(query_id, at="latest")
        status = await market.status_of(query_id, at="latest")
        return GasDeposit(query_id, own if held else 0, status)

    @property
    def _escrow(self) -> GasEscrow:
        return GasEscrow.of(self.connection)
