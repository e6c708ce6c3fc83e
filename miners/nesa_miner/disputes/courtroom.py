"""The way of one account to the dispute court: what it reads there, and what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.court import Court
from nesa.chain.events import SessionOpened
from nesa.chain.history import QueryHistory, find_query
from nesa.chain.sender import Receipt, Sender
from nesa.chain.session_history import find_session, list_of
from nesa.models.disputes.game import MOST_MOVES
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import Address, Digest, QueryId, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.sessions import is_session

DEFENCE_GAS: Final = MOST_MOVES // 2 * 300_000
"""What is set aside for a defender in the longest game: 300,000 for each of its moves."""


@dataclass(frozen=True, slots=True)
class Courtroom:
    """A court, and the only sender of the account that acts there."""

    connection: Connection
    sender: Sender
    court: Court
    contracts: Contracts

    @classmethod
    def open(cls, connection: Connection, sender: Sender) -> Courtroom:
        """The court of the connection's deployment.

        Raises:
            Incompatible: the deployment has none.
        """
        return cls(connection, sender, Court.of(connection), Contracts(connection))

    async def send(self, call: ContractCall, *, again: bool = True) -> Receipt:
        """Send a call once; as `Sender.send`."""
        return await self.sender.send(call, again=again)

    async def has_announced(self, evidence: Digest) -> bool:
        """As `Court.has_announced`, for this account."""
        return await self.court.has_announced(self.sender.address, evidence, self.send)

    async def history(self, query_id: QueryId) -> QueryHistory:
        """What the chain says of a query; errors as `find_query`."""
        return await find_query(self.connection, query_id)

    async def terms(self, query_id: QueryId) -> Query:
        """The terms of a query, or of a session.

        Raises:
            Unavailable: the node does not answer, or does not know it (any more).
            InvalidInput: as `find_query`.
        """
        if not is_session(query_id):
            return (await self.history(query_id)).query
        return (await self._session(query_id)).query

    async def products(self, session_id: QueryId) -> tuple[VersionId, ...]:
        """The versions of a session's products.

        Raises:
            Unavailable: the node does not answer, or does not know them (any more).
        """
        listed = await list_of(self.connection, (await self._session(session_id)).products_id)
        if listed is None:
            raise Unavailable(f"the node does not know the products of session {session_id}")
        return listed.version_ids

    async def _session(self, session_id: QueryId) -> SessionOpened:
        opened = await find_session(self.connection, session_id)
        if opened is None:
            raise Unavailable(f"the node does not know session {session_id}")
        return opened

    async def operator_of(self, signer: Address) -> Address | None:
        """Whose stake a signer answers with."""
        return await self.contracts.vault.operator_of(signer, "latest")

    async def missing_coins(self) -> int:
        """Wei that the account lacks for one whole defence at the present price of gas."""
        wanted = DEFENCE_GAS * (await self.connection.head()).base_fee
        return max(0, wanted - await self.connection.balance(self.sender.address))

    async def collect(self, account: Address) -> bool:
        """Withdraw what court and vault owe to an account.

        Returns whether there was anything.
        """
        calls = []
        if await self.court.credit_of(account, "latest"):
            calls.append(self.court.withdraw(account))
        vault = self.contracts.vault
        if await vault.reward_of(account, "latest"):
            calls.append(vault.withdraw_reward(account))
        for call in calls:
            await self.send(call)
        return bool(calls)
