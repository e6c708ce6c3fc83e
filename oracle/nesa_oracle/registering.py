"""Takes an oracle seat: the operator is made, staked and seated, each step only when it is due."""

from __future__ import annotations

from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.connection import Connection
from nesa.chain.contracts import ORACLE_SEATS, ZERO_ADDRESS, Contracts
from nesa.chain.sender import Sender
from nesa.protocol.consent import sign_consent
from nesa.protocol.errors import Rejected
from nesa.protocol.ids import Address, Amount


class Registration:
    """One owner's way to an oracle seat; every step can be repeated."""

    def __init__(self, connection: Connection, owner: LocalAccount) -> None:
        self._contracts = Contracts(connection)
        self._sender = Sender(connection, owner)
        self._owner = Address(owner.address)
        self._chain_id = connection.deployment.chain_id

    async def register(self, signer: LocalAccount, encryption: bytes, endpoint: str) -> bool:
        """Make the owner an operator; False when it is one already.

        Raises:
            Rejected: the signer belongs to somebody else.
        """
        vault = self._contracts.vault
        record = await vault.operator(self._owner, "latest")
        if record.signer != ZERO_ADDRESS:
            return False
        key = PrivateKey(bytes(signer.key))
        consent = sign_consent(key, self._chain_id, vault.address, self._owner)
        address = Address(signer.address)
        await self._sender.send(vault.register_operator(address, consent, encryption, endpoint))
        return True

    async def stake(self) -> Amount:
        """Deposit what a seat still lacks; returns what was deposited.

        Raises:
            Rejected: the owner does not have that much NES.
        """
        vault, token = self._contracts.vault, self._contracts.token
        limits = await self._contracts.parameters.request_limits("latest")
        free = (await vault.ledger(self._owner, "latest")).free
        missing = Amount(max(limits.seat_stake - free, 0))
        if missing:
            await self._sender.send(token.approve(vault.address, missing))
            await self._sender.send(vault.deposit(missing))
        return missing

    async def slot(self) -> int | None:
        """The oracle seat that the owner has."""
        try:
            _, slot = await self._contracts.vault.seat_of(ORACLE_SEATS[0], self._owner, "latest")
        except Rejected:
            return None
        return slot

    async def take_seat(self) -> int:
        """Take an oracle seat, active from the next epoch on; returns its slot.

        Raises:
            Rejected: too little stake.
        """
        await self._sender.send(self._contracts.vault.take_seat(*ORACLE_SEATS))
        slot = await self.slot()
        if slot is None:
            raise Rejected("the seat was taken and is not there")
        return slot
