"""An operator's owner: the cold account that pays for and sends what changes stake and seats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from eth_account.signers.local import LocalAccount

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.sender import Sender
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import ONE_NES, Address, Amount

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


def nes(amount: int) -> str:
    """A sum of NES units as people write it."""
    return f"{Decimal(amount) / ONE_NES:f} NES"
