"""Gives an operator another encryption key: on disk, on chain, and in time the old one goes.

The new key lies on the disk before the chain names it. The old one stays beside it while a query
of its epochs may be open or disputed, as long as the stake of a seat of those epochs is locked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from nesa.chain.admissions import SeatAttestations
from nesa.chain.connection import Connection
from nesa.chain.contracts import ZERO_ADDRESS, Contracts, Operator
from nesa.chain.leaving import NO_END
from nesa.chain.owner import Owner
from nesa.privacy.key_rotation import forget_key, replace_key
from nesa.privacy.keys import generate_key, public_bytes
from nesa.protocol.errors import Incompatible, InvalidInput, NesaError, Rejected, Unavailable
from nesa.protocol.ids import Address, Epoch, VersionId
from nesa_miner.config import MinerSettings
from nesa_miner.identity import Identity
from nesa_miner.registrations import KeyChange, encryption_keys_of
from nesa_miner.seats import held_seats

LOOK_SECONDS: Final = 600.0
"""How often a running miner looks whether it can forget a key."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """An operator's encryption keys before and after, and when the new one is used; the same where
    a rotation is under way already."""

    operator: Address
    before: bytes
    encryption: bytes
    from_epoch: Epoch
    used_in_seconds: int


@dataclass(frozen=True, slots=True)
class Rekeying:
    """Everything that a rotation needs; `path` is where the encryption key lies."""

    owner: Owner
    identity: Identity
    path: Path

    async def rotate(self, password: str, *, unattested: bool = False) -> Rekeyed:
        """Name a new key for all queries from the epoch after the next one on. A rotation that was
        broken off is finished, and one that is under way is only described.

        Raises:
            InvalidInput: the owner is no operator, or has attested seats and `unattested` does not
                say that they may be lost.
            InvalidConfiguration: a key file cannot be written, too many former keys are still
                needed, or the owner lacks coins for gas.
            Unavailable: the node does not answer; run it again.
        """
        vault = self._contracts.vault
        known = await vault.operator(self.owner.address, at="latest")
        if known.signer == ZERO_ADDRESS:
            raise InvalidInput(
                f"{self.owner.address} is no operator; `nesa-miner register` makes it one"
            )
        stored = public_bytes(self.identity.encryption)
        epoch = await vault.epoch(at="latest")
        if known.next_encryption_key == stored and known.key_epoch > epoch:
            return await self._rekeyed(known.encryption_key, known)
        if not unattested:
            await self._refuse_attested()
        await self.owner.require_coins()
        if known.next_encryption_key == stored:
            stored = await self._replaced(password)
        await self.owner.send(vault.set_encryption_key(stored), "naming the new encryption key")
        named = await vault.operator(self.owner.address, at="latest")
        return await self._rekeyed(named.encryption_key, named)

    async def _replaced(self, password: str) -> bytes:
        """The public part of a new key that lies where the old one lay."""
        self.owner.progress("making a new key and keeping the old one beside it")
        key = generate_key()
        await asyncio.to_thread(replace_key, self.path, key, password)
        return public_bytes(key)

    async def _refuse_attested(self) -> None:
        versions = await attested_seats(self.owner.connection, self.owner.address)
        if versions:
            names = ", ".join(f"0x{version_id.hex()}" for version_id in versions)
            raise InvalidInput(
                f"an attestor vouches for the key in use in {names}, and for no other: from the "
                "moment that a new one is named anybody may end the seat, until the enclave has "
                "shown a quote with the new key and its attestor has stated it. Leave the seat "
                "first, or add --unattested and have the new key attested at once"
            )

    async def _rekeyed(self, before: bytes, known: Operator) -> Rekeyed:
        vault = self._contracts.vault
        length = await vault.epoch_seconds(at="latest")
        head = await self.owner.connection.head()
        wait = max(0, known.key_epoch * length - head.timestamp)
        return Rekeyed(known.address, before, known.next_encryption_key, known.key_epoch, wait)

    @property
    def _contracts(self) -> Contracts:
        return Contracts(self.owner.connection)


async def attested_seats(connection: Connection, operator: Address) -> list[VersionId]:
    """Versions in which an operator has a seat, not left, for which an attestor vouches.

    Raises:
        Unavailable: the node does not answer.
    """
    registry, found = Contracts(connection).registry, []
    for seat in await held_seats(connection, operator):
        admission = await registry.admission_of(seat.version_id, at="latest")
        if admission is None or seat.record.to_epoch != NO_END:
            continue
        try:
            await SeatAttestations(connection, admission).attestor(at="latest")
        except (Rejected, Incompatible):
            continue  # another kind of admission, which does not look at keys
        found.append(seat.version_id)
    return found


def retired_from(public: bytes, history: Sequence[KeyChange]) -> Epoch | None:
    """First epoch without a key, from the changes of its operator in order; None while it is the
    newest, or where the chain never named it."""
    named = [number for number, change in enumerate(history) if change.encryption_key == public]
    if not named or named[-1] + 1 == len(history):
        return None
    return history[named[-1] + 1].from_epoch


async def forget_retired(connection: Connection, identity: Identity, path: Path) -> int:
    """Overwrite and drop former keys that no open query, and no dispute, can need any more; the
    number of them.

    Raises:
        InvalidConfiguration: a file cannot be removed.
        Unavailable: the node does not answer.
    """
    if not identity.former:
        return 0
    vault = Contracts(connection).vault
    operator = await vault.operator_of(identity.address, "latest")
    if operator is None or (await vault.ledger(operator, at="latest")).holds:
        return 0
    history = await encryption_keys_of(connection, operator)
    epoch_seconds = await vault.epoch_seconds(at="latest")
    unbonding = await vault.unbonding_seconds(at="latest")
    now, forgotten = (await connection.head()).timestamp, 0
    for key in list(identity.former):
        epoch = retired_from(public_bytes(key), history)
        if epoch is not None and now >= epoch * epoch_seconds + unbonding:
            forget_key(path, public_bytes(key))
            identity.former.remove(key)
            forgotten += 1
    return forgotten


async def forget_in_time(
    connection: Connection, identity: Identity, folder: Path, settings: MinerSettings
) -> None:
    """Look for keys to forget as long as there are any; what fails is tried again."""
    while identity.former:
        try:
            path = folder / settings.encryption_keystore
            if forgotten := await forget_retired(connection, identity, path):
                log.info("former encryption keys forgotten", number=forgotten)
        except Unavailable:
            pass
        except NesaError as error:
            log.warning("a former encryption key is kept", why=str(error))
        await asyncio.sleep(LOOK_SECONDS)
