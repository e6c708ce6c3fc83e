"""SharedSessions with types."""

from __future__ import annotations

from collections.abc import Sequence

from nesa.chain.abi import ContractCall
from nesa.chain.connection import At, Connection
from nesa.chain.contracts import BoundContract, Credit, deployed
from nesa.protocol.ids import (
    Address,
    Amount,
    BlockNumber,
    Digest,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.queries import Query, QueryStatus
from nesa.protocol.sessions import SessionOrder


class SharedSessions(BoundContract):
    """SharedSessions: deposits for queries on shares, and the vouchers that spend them."""

    interface_name = "SharedSessions"

    @classmethod
    def of(cls, connection: Connection) -> SharedSessions:
        """The contract of the connection's deployment.

        Raises:
            Unavailable: the deployment has none.
        """
        return cls(
            connection, deployed(connection.deployment.sessions, "sessions of queries on shares")
        )

    async def product_count(self, products_id: Digest, at: At) -> int:
        """How many products a list has, zero where there is no such list."""
        return int(await self._one("product_count", products_id, at=at))

    async def product_of(self, products_id: Digest, number: int, at: At) -> VersionId:
        """The version of a product of a list."""
        return VersionId(await self._one("product_of", products_id, number, at=at))

    async def products_of(self, session_id: QueryId, at: At) -> Digest:
        """The list that a session is about."""
        return Digest(await self._one("products_of", session_id, at=at))

    async def payer_of(self, session_id: QueryId, at: At) -> tuple[Address, int]:
        """Who signs a session's vouchers, and how many seats they may be for."""
        payer, seats = await self.read("payer_of", session_id, at=at)
        return Address(payer), int(seats)

    async def deposit_for(self, order: SessionOrder, at: At) -> Amount:
        """What a session would take as its deposit now."""
        return Amount(await self._one("deposit_for", order.as_abi(), at=at))

    async def left_of(self, session_id: QueryId, at: At) -> Amount:
        """What is left of a session's deposit."""
        return Amount(await self._one("left_of", session_id, at=at))

    async def redeemed_by(self, session_id: QueryId, operator: Address, at: At) -> Amount:
        """What of a session's deposit was spent for an operator."""
        return Amount(await self._one("redeemed_by", session_id, operator, at=at))

    async def status_of(self, session_id: QueryId, at: At) -> QueryStatus:
        """OPEN, or FINAL once it is closed."""
        return QueryStatus(await self._one("status_of", session_id, at=at))

    async def pinned_seed(self, seed_block: BlockNumber, at: At) -> Digest:
        """The hash of a block that was kept, else zero."""
        return Digest(await self._one("pinned_seed", seed_block, at=at))

    async def credit_of(self, account: Address, at: At) -> Credit:
        """What is owed to an account."""
        ready, waiting = await self.read("credit_of", account, at=at)
        return Credit(Amount(ready), Amount(waiting))

    async def verify_terms(self, query: Query, at: At) -> bool:
        """Whether these are the terms of a product of a session."""
        return bool(await self._one("verify_terms", query.as_abi(), at=at))

    def list_products(self, version_ids: Sequence[VersionId]) -> ContractCall:
        """Keep the versions of a model's products."""
        return self.call("list_products", list(version_ids))

    def open_session(self, order: SessionOrder) -> ContractCall:
        """Open a session; takes the deposit from the sender's allowance."""
        return self.call("open_session", order.as_abi())

    def open_session_with_permit(
        self, order: SessionOrder, deadline: Timestamp, signature: tuple[int, bytes, bytes]
    ) -> ContractCall:
        """Open a session; takes the deposit by a permit, see `nesa.client.payment`."""
        return self.call("open_session_with_permit", order.as_abi(), deadline, *signature)

    def redeem(
        self, query: Query, position: int, amount: Amount, signature: tuple[bytes, bytes]
    ) -> ContractCall:
        """Bring a voucher, see `nesa.protocol.sessions.sign_voucher`."""
        return self.call("redeem", query.as_abi(), position, amount, *signature)

    def close_session(self, query: Query) -> ContractCall:
        """Return what is left of a deposit to its client."""
        return self.call("close_session", query.as_abi())

    def pin_seed(self, seed_block: BlockNumber) -> ContractCall:
        """Keep the hash of a recent block."""
        return self.call("pin_seed", seed_block)

    def withdraw(self, account: Address) -> ContractCall:
        """Pay an account what it may take."""
        return self.call("withdraw", account)
