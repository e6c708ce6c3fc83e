"""Takes an oracle seat: the operator is made, staked and seated, each step only when it is due."""

from __future__ import annotations

from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa.chain.contracts import ORACLE_SEATS, ZERO_ADDRESS, Contracts
from nesa.chain.leaving import Exit, HeldSeat
from nesa.chain.owner import Owner
from nesa.protocol.consent import sign_consent
from nesa.protocol.errors import InvalidInput, Rejected
from nesa.protocol.ids import Address, Amount


@dataclass(frozen=True, slots=True)
class Registration:
    """One owner's way to an oracle seat; every step can be repeated."""

    owner: Owner

    async def register(self, signer: LocalAccount, encryption: bytes, endpoint: str) -> bool:
        """Make the owner an operator; False when it is one already.

        Raises:
            InvalidConfiguration: the owner has no coin for gas.
            Rejected: the signer belongs to somebody else.
        """
        vault = self._contracts.vault
        record = await vault.operator(self.owner.address, "latest")
        if record.signer != ZERO_ADDRESS:
            return False
        await self.owner.require_coins()
        key = PrivateKey(bytes(signer.key))
        chain_id = self.owner.connection.deployment.chain_id
        consent = sign_consent(key, chain_id, vault.address, self.owner.address)
        address = Address(signer.address)
        call = vault.register_operator(address, consent, encryption, endpoint)
        await self.owner.send(call, "registering")
        return True

    async def stake(self) -> Amount:
        """Deposit what a seat still lacks; returns what was deposited.

        Raises:
            InvalidConfiguration: the owner does not have that much NES, or no coin for gas.
        """
        limits = await self._contracts.parameters.request_limits("latest")
        free = (await self._contracts.vault.ledger(self.owner.address, "latest")).free
        missing = Amount(max(limits.seat_stake - free, 0))
        if missing:
            await self.owner.require_coins()
            await self.owner.deposit(missing)
        return missing

    async def slot(self) -> int | None:
        """The oracle seat that the owner has."""
        vault = self._contracts.vault
        try:
            _, slot = await vault.seat_of(ORACLE_SEATS[0], self.owner.address, "latest")
        except Rejected:
            return None
        return slot

    async def seat(self) -> HeldSeat:
        """The oracle seat, to leave it or to release it.

        Raises:
            InvalidInput: the owner has none.
        """
        slot = await self.slot()
        if slot is None:
            raise InvalidInput(f"the owner {self.owner.address} has no oracle seat")
        (record,) = await self._contracts.vault.seats(*ORACLE_SEATS, (slot,), "latest")
        return HeldSeat(*ORACLE_SEATS, slot, record)

    async def seats(self) -> tuple[HeldSeat, ...]:
        """The seat if the owner has it."""
        return () if await self.slot() is None else (await self.seat(),)

    def way_out(self) -> Exit:
        """The way out of the seat and the stake."""
        return Exit(self.owner, self.seats)

    async def take_seat(self) -> int:
        """Take an oracle seat, active from the next epoch on; returns its slot.

        Raises:
            Rejected: too little stake.
        """
        await self.owner.send(self._contracts.vault.take_seat(*ORACLE_SEATS), "taking the seat")
        slot = await self.slot()
        if slot is None:
            raise Rejected("the seat was taken and is not there")
        return slot

    @property
    def _contracts(self) -> Contracts:
        return Contracts(self.owner.connection)
