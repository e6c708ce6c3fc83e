"""Pays for queries: looks at balances first, and allows the market exactly one fee by signature,
or lets it draw on what the account allowed it beforehand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from eth_account import Account
from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection
from nesa.chain.contracts import ZERO_ADDRESS, Contracts, Order
from nesa.chain.deployment import Deployment
from nesa.chain.sender import Receipt
from nesa.chain.sessions import SharedSessions
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from nesa.protocol.ids import NES_DECIMALS, ONE_NES, Address, Amount, Timestamp
from nesa.protocol.sessions import SessionOrder

PERMIT_SECONDS: Final = 600
"""How long a signed permit may wait for its block."""

Send = Callable[[ContractCall], Awaitable[Receipt]]
"""Sends a call and returns its receipt once it is in a block."""

PERMIT_TYPES: Final = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


def sign_permit(
    account: LocalAccount,
    deployment: Deployment,
    spender: Address,
    amount: Amount,
    nonce: int,
    deadline: Timestamp,
) -> tuple[int, bytes, bytes]:
    """(v, r, s) of an ERC-2612 permit that lets a contract take an amount once."""
    domain = {
        "name": "Nesa",
        "version": "1",
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.token,
    }
    message = {
        "owner": account.address,
        "spender": spender,
        "value": amount,
        "nonce": nonce,
        "deadline": deadline,
    }
    signed = Account.sign_typed_data(account.key, domain, PERMIT_TYPES, message)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


class Payments:
    """Requests of one account: by its standing allowance where that is enough, else by a permit.

    Those by allowance go out side by side. A permit replaces the allowance, so that its request
    waits until none is under way, and the next until it is mined.
    """

    def __init__(self, connection: Connection, payer: LocalAccount) -> None:
        self._connection = connection
        self._payer = payer
        self._turn = asyncio.Lock()
        self._promised = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def request(self, order: Order, data: bytes, send: Send) -> Receipt:
        """Sends a request and returns once it is in a block; what `send` raises passes through."""
        async with self._turn:
            if not await self._is_allowed(order.max_fee):
                await self._idle.wait()
                if not await self._is_allowed(order.max_fee):
                    return await send(await self._permitted(order, data))
            self._promise(order.max_fee)
        try:
            return await send(self._contracts.market.request(order, data))
        finally:
            self._promise(-order.max_fee)

    def _promise(self, fee: int) -> None:
        self._promised += fee
        if self._promised:
            self._idle.clear()
        else:
            self._idle.set()

    @property
    def _contracts(self) -> Contracts:
        return Contracts(self._connection)

    async def _is_allowed(self, fee: Amount) -> bool:
        """Whether the allowance holds the fee beside those that are under way."""
        market, token = self._contracts.market, self._contracts.token
        owner = Address(self._payer.address)
        return await token.allowance(owner, market.address, at="latest") >= fee + self._promised

    async def open_session(self, order: SessionOrder, send: Send) -> Receipt:
        """Opens a session for queries on shares, as `request` asks a query."""
        sessions = SharedSessions.of(self._connection)
        async with self._turn:
            await self._idle.wait()
            deadline, signature = await self._permit(sessions.address, order.max_deposit)
            return await send(sessions.open_session_with_permit(order, deadline, signature))

    async def _permitted(self, order: Order, data: bytes) -> ContractCall:
        market = self._contracts.market
        deadline, signature = await self._permit(market.address, order.max_fee)
        return market.request_with_permit(order, data, deadline, signature)

    async def _permit(
        self, spender: Address, amount: Amount
    ) -> tuple[Timestamp, tuple[int, bytes, bytes]]:
        head = await self._connection.head()
        deadline = Timestamp(head.timestamp + PERMIT_SECONDS)
        nonce = await self._contracts.token.permit_nonce(Address(self._payer.address), at="latest")
        deployment = self._connection.deployment
        return deadline, sign_permit(self._payer, deployment, spender, amount, nonce, deadline)


def check_fee(price: Amount, max_fee: float | None) -> Amount:
    """What the order allows: the caller's limit, or exactly the price of the moment.

    Raises:
        InvalidInput: the limit is below the price, or no number of units.
    """
    if max_fee is not None and not isinstance(max_fee, int):
        raise InvalidInput(
            f"max_fee is a whole number of units, {ONE_NES} to the NES; for {max_fee} NES give "
            f"round({max_fee} * nesa.ONE_NES)"
        )
    if max_fee is not None and max_fee < price:
        raise InvalidInput(
            f"the query costs {in_nes(price)}, more than the limit of {in_nes(Amount(max_fee))}; "
            "raise the limit or ask fewer replicas"
        )
    return price if max_fee is None else Amount(max_fee)


async def check_balance(contracts: Contracts, payer: Address, price: Amount) -> None:
    """Refuse early, in words, what the token would refuse late.

    Raises:
        ExhaustedResource: the account does not hold the price.
    """
    held = await contracts.token.balance_of(payer, at="latest")
    if held < price:
        raise ExhaustedResource(
            f"the query costs {in_nes(price)} and {payer} holds {in_nes(held)}; "
            f"send it at least {in_nes(Amount(price - held))} and ask again"
        )


async def check_coin(connection: Connection, payer: Address, wei: int) -> None:
    """Refuse a deposit of gas in words before anything is paid.

    Raises:
        InvalidInput: a negative number of wei.
        ExhaustedResource: the account does not hold the coin.
    """
    if wei < 0:
        raise InvalidInput(f"a deposit of gas is a number of wei from 0, not {wei}")
    held = await connection.balance(payer)
    if held < wei:
        raise ExhaustedResource(
            f"{payer} holds {held} wei, less than the deposit of {wei} wei; "
            "send it coin or deposit less"
        )


async def check_transfer(contracts: Contracts, payer: Address, to: Address, amount: Amount) -> None:
    """Refuse a transfer in words that would fail, or lose the money.

    Raises:
        InvalidInput: nothing to send, or the receiver is a contract that never pays it out.
        ExhaustedResource: the account does not hold the sum.
    """
    if amount <= 0:
        raise InvalidInput("a transfer is more than 0 NES; name a sum")
    if to in (ZERO_ADDRESS, *contracts.deployment.contracts().values()):
        raise InvalidInput(f"what is sent to {to} is lost: nobody can take it from there")
    held = await contracts.token.balance_of(payer, at="latest")
    if held < amount:
        raise ExhaustedResource(
            f"{payer} holds {in_nes(held)}, less than {in_nes(amount)}; send less"
        )


def in_nes(amount: Amount) -> str:
    """A sum in NES without trailing zeros, to the last unit."""
    whole, part = divmod(amount, 10**NES_DECIMALS)
    digits = f"{part:0{NES_DECIMALS}d}".rstrip("0")
    return f"{whole}.{digits} NES" if digits else f"{whole} NES"
