"""An operator's owner: the cold account that pays for and sends what changes stake and seats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Deployment
from nesa.chain.sender import Sender
from nesa.protocol.errors import InvalidConfiguration, InvalidInput
from nesa.protocol.ids import ONE_NES, Address, Amount

Result = TypeVar("Result")

Progress = Callable[[str], None]
"""Takes one line a step."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An unlocked owner on a chain; its address is the operator's id."""

    connection: Connection
    account: LocalAccount
    progress: Progress

    @property
    def address(self) -> Address:
        """The operator's id."""
        return Address(self.account.address)

    async def require_coins(self) -> None:
        """Returns when the owner can pay for gas.

        Raises:
            InvalidConfiguration: it has no coin at all.
        """
        if not await self.connection.balance(self.address):
            raise InvalidConfiguration(
                f"the owner {self.address} cannot pay for gas; send it some of the chain's coin"
            )

    async def deposit(self, missing: Amount) -> None:
        """Add `missing` units of NES to the stake.

        Raises:
            InvalidConfiguration: the owner holds fewer.
            Rejected: a contract refuses.
        """
        contracts = Contracts(self.connection)
        vault, token = contracts.vault, contracts.token
        held = await token.balance_of(self.address, at="latest")
        if held < missing:
            raise InvalidConfiguration(
                f"the owner {self.address} holds {nes(held)} and the stake lacks {nes(missing)}; "
                "send it the difference"
            )
        if await token.allowance(self.address, vault.address, at="latest") < missing:
            await self.send(token.approve(vault.address, missing), "approving the stake")
        await self.send(vault.deposit(missing), f"depositing {nes(missing)}")

    async def send(self, call: ContractCall, what: str) -> None:
        """Send a call and wait for it.

        Raises:
            Rejected: the contract refuses.
            Unavailable: the node does not answer.
        """
        self.progress(what)
        await Sender(self.connection, self.account).send(call)


def as_owner(
    chain: tuple[str, Path],
    account: LocalAccount,
    work: Callable[[Owner], Coroutine[Any, Any, Result]],
    progress: Progress,
) -> Result:
    """What `work` returns, run with an unlocked owner on a chain: the URL of a node, and the file
    with the deployment.

    Raises:
        InvalidConfiguration: the file cannot be read; besides what `work` raises.
        Unavailable: the node does not answer.
    """
    rpc_url, deployment = chain

    async def connected() -> Result:
        async with await Connection.open(rpc_url, Deployment.read(deployment)) as connection:
            return await work(Owner(connection, account, progress))

    return asyncio.run(connected())


def read_nes(text: str) -> Amount:
    """NES units of a sum as people write it.

    Raises:
        InvalidInput: no number, negative, or finer than one unit.
    """
    try:
        units = Decimal(text.upper().removesuffix("NES").strip()) * ONE_NES
        if units < 0 or units != units.to_integral_value():
            raise InvalidOperation
    except InvalidOperation:
        raise InvalidInput(
            f"{text!r} is no sum of NES; write it like 1000 or 12.5, at most nine decimals"
        ) from None
    return Amount(int(units))


def nes(amount: int) -> str:
    """A sum of NES units as people write it."""
    return f"{Decimal(amount) / ONE_NES:f} NES"
