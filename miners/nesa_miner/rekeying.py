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

NOTICE_EPOCHS: Final = 2
"""Epochs from the one in which a key is named to the first in which it is used."""

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
class Prepared:
    """A new encryption key that lies on the disk, and that the chain does not know yet."""

    operator: Address
    encryption: bytes


@dataclass(frozen=True, slots=True)
class AttestedSeat:
    """A seat, not left, with the contract of the attestor that vouches for its operator's keys."""

    version_id: VersionId
    signer: Address
    statements: SeatAttestations


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
            InvalidInput: the owner is no operator, or has seats whose attestor does not vouch for
                both keys until the new one is used, and `unattested` does not say that they may be
                lost.
            InvalidConfiguration: a key file cannot be written, too many former keys are still
                needed, or the owner lacks coins for gas.
            Unavailable: the node does not answer; run it again.
        """
        known = await self._operator()
        vault = self._contracts.vault
        stored = public_bytes(self.identity.encryption)
        epoch = await vault.epoch(at="latest")
        if known.next_encryption_key == stored and known.key_epoch > epoch:
            return await self._rekeyed(known.encryption_key, known)
        if not unattested:
            await self._require_attested(known, stored, epoch)
        await self.owner.require_coins()
        if known.next_encryption_key == stored:
            stored = await self._replaced(password)
        await self.owner.send(vault.set_encryption_key(stored), "naming the new encryption key")
        named = await vault.operator(self.owner.address, at="latest")
        return await self._rekeyed(named.encryption_key, named)

    async def prepare(self, password: str, *, unattested: bool = False) -> Prepared:
        """Make the next key and leave the chain as it is, so that an attestor can vouch for the key
        before `rotate` names it; one that was prepared before is only described.

        Raises:
            InvalidInput: the owner is no operator, its last rotation is still under way, or an
                attestor's statement about the key in use ends too soon, which can be renewed only
                while that is the newest key; `unattested` does without.
            InvalidConfiguration: a key file cannot be written, or too many former keys are still
                needed.
            Unavailable: the node does not answer.
        """
        known, stored = await self._operator(), public_bytes(self.identity.encryption)
        if known.next_encryption_key == stored:
            epoch = await self._contracts.vault.epoch(at="latest")
            if known.key_epoch > epoch:
                raise InvalidInput(
                    f"the key that was named last is used from epoch {known.key_epoch} on, and "
                    f"this is epoch {epoch}; prepare another one then"
                )
            if not unattested:
                await self._require_statements([stored], known, epoch)
            stored = await self._replaced(password)
        return Prepared(known.address, stored)

    async def _operator(self) -> Operator:
        known = await self._contracts.vault.operator(self.owner.address, at="latest")
        if known.signer == ZERO_ADDRESS:
            raise InvalidInput(
                f"{self.owner.address} is no operator; `nesa-miner register` makes it one"
            )
        return known

    async def _replaced(self, password: str) -> bytes:
        """The public part of a new key that lies where the old one lay."""
        self.owner.progress("making a new key and keeping the old one beside it")
        key = generate_key()
        await asyncio.to_thread(replace_key, self.path, key, password)
        return public_bytes(key)

    async def _require_attested(self, known: Operator, stored: bytes, epoch: Epoch) -> None:
        """No seat can be ended for its keys while the new one waits to be used."""
        if known.next_encryption_key != stored:
            keys = [known.encryption_key_at(epoch), stored]
            await self._require_statements(keys, known, epoch)
        elif seats := await attested_seats(self.owner.connection, self.owner.address):
            raise InvalidInput(_unattested(seats[0], "a key that is not made yet"))

    async def _require_statements(
        self, keys: Sequence[bytes], known: Operator, epoch: Epoch
    ) -> None:
        """Attestors of all seats vouch for the keys until one that is named now is used."""
        length = await self._contracts.vault.epoch_seconds(at="latest")
        used_at = (epoch + NOTICE_EPOCHS) * length
        for seat in await attested_seats(self.owner.connection, self.owner.address):
            for key in keys:
                stated = (known.address, seat.signer, key)
                if await seat.statements.attested_until(*stated, at="latest") < used_at:
                    raise InvalidInput(_unattested(seat, f"the encryption key 0x{key.hex()}"))

    async def _rekeyed(self, before: bytes, known: Operator) -> Rekeyed:
        vault = self._contracts.vault
        length = await vault.epoch_seconds(at="latest")
        head = await self.owner.connection.head()
        wait = max(0, known.key_epoch * length - head.timestamp)
        return Rekeyed(known.address, before, known.next_encryption_key, known.key_epoch, wait)

    @property
    def _contracts(self) -> Contracts:
        return Contracts(self.owner.connection)


def _unattested(seat: AttestedSeat, key: str) -> str:
    return (
        f"no statement about {key} in {seat.statements.address} lasts until the new one is used, "
        f"so anybody could end the seat in 0x{seat.version_id.hex()}: have the key in use stated "
        "anew first, then run this with --prepare, `quote-data` and `attest`, have the new key "
        "stated, and run it again (docs/attested-seats.md); or leave the seat first, or add "
        "--unattested"
    )


async def attested_seats(connection: Connection, operator: Address) -> list[AttestedSeat]:
    """The seats of an operator, not left, for whose keys an attestor vouches.

    Raises:
        Unavailable: the node does not answer.
    """
    registry, found = Contracts(connection).registry, []
    for seat in await held_seats(connection, operator):
        admission = await registry.admission_of(seat.version_id, at="latest")
        if admission is None or seat.record.to_epoch != NO_END:
            continue
        statements = SeatAttestations(connection, admission)
        try:
            await statements.attestor(at="latest")
        except (Rejected, Incompatible):
            continue  # another kind of admission, which does not look at keys
        found.append(AttestedSeat(seat.version_id, seat.record.signer, statements))
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
