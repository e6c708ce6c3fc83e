"""Makes this miner an operator with stake and a seat; what is done already is left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.chain.abi import ContractCall
from nesa.chain.contracts import ZERO_ADDRESS, Contracts, Operator, SeatRecord
from nesa.chain.leaving import NO_END
from nesa.chain.owner import Owner, Progress
from nesa.models.proving.verifier import find_solc
from nesa.models.publish import base_of
from nesa.privacy.keys import public_bytes
from nesa.protocol.consent import sign_consent
from nesa.protocol.errors import InvalidInput, NesaError, Rejected
from nesa.protocol.ids import Address, Amount, Epoch, VersionId
from nesa_miner.circuits import Rebuilt, rebuild
from nesa_miner.config import CONFIG_FILE, MinerSettings
from nesa_miner.identity import Identity
from nesa_miner.registrations import find_registration
from nesa_miner.shard_keys import released_keys
from nesa_miner.shards import ShardLibrary, open_library

NOT_SEATED: Final = "vault: not seated"
STORE_SCHEMES: Final = ("http://", "https://", "s3://", "ipfs://", "file://", "/")
"""Locations whose store a miner takes over from a registration."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The seat that is wanted; `stake` is what the operator's whole stake is brought up to."""

    version_id: VersionId
    shard: int
    stake: Amount


@dataclass(frozen=True, slots=True)
class Seated:
    """The outcome: who sits where from when on, and how the circuit was rebuilt."""

    operator: Address
    signer: Address
    shard: int
    slot: int
    from_epoch: Epoch
    active_in_seconds: int
    rebuilt: Rebuilt


def consent_of(owner: Owner, identity: Identity) -> tuple[bytes, bytes]:
    """The consent of a miner's signer to work for an owner."""
    deployment = owner.connection.deployment
    return sign_consent(identity.signer, deployment.chain_id, deployment.vault, owner.address)


@dataclass(frozen=True, slots=True)
class Registrar:
    """Everything that registering needs."""

    contracts: Contracts
    library: ShardLibrary
    settings: MinerSettings
    identity: Identity
    owner: Owner

    @property
    def operator(self) -> Address:
        """The operator's id."""
        return self.owner.address

    async def seat(self, wish: Wish) -> Seated:
        """Bring about what is wished for, step by step; each may have been done before.

        Raises:
            InvalidInput: no such version or shard, or the operator sits elsewhere in it.
            InvalidConfiguration: the owner lacks NES or coins for gas.
            IntegrityError: the circuit comes out differently from what the chain states.
            Rejected: a contract refuses.
            Unavailable: node or store do not answer; run it again.
        """
        await self.library.facts(wish.version_id, wish.shard)
        await self.owner.require_coins()
        held = await self._place(wish)
        # A private shard's key is released to the signer and the encryption key that are on chain.
        await self._state_operator()
        if held is None:
            await self._require_admitted(wish)
        self.owner.progress("fetching the shard and rebuilding its circuit")
        rebuilt = await rebuild(self.library, wish.version_id, wish.shard, find_solc())
        if held is None:
            await self._fund(wish)
            await self._take(wish, rebuilt)
            held = await self._place(wish)
        if held is None:
            raise NesaError("the seat is not there although it was taken; was the chain reset?")
        return await self._seated(wish, held, rebuilt)

    async def _place(self, wish: Wish) -> int | None:
        """The operator's slot, None without a seat in the version."""
        vault = self.contracts.vault
        try:
            shard, slot = await vault.seat_of(wish.version_id, self.operator, at="latest")
        except Rejected as error:
            if error.reason == NOT_SEATED:
                return None
            raise
        if shard != wish.shard:
            raise InvalidInput(
                f"{self.operator} sits in shard {shard} of this version already and an operator "
                "has one seat a version; register another miner for another shard, or move: "
                "`nesa-miner leave`, and when the seat is released `withdraw` and `register`"
            )
        return slot

    async def _require_admitted(self, wish: Wish) -> None:
        registry, signer = self.contracts.registry, self.identity.address
        if await registry.admits(wish.version_id, self.operator, signer, at="latest"):
            return
        admission = await registry.admission_of(wish.version_id, at="latest")
        key = public_bytes(self.identity.encryption).hex()
        raise InvalidInput(
            f"the version seats only operators that the contract {admission} admits; ask its "
            f"developer to admit {self.operator} (signer {signer}, encryption key {key}), then "
            "register again"
        )

    async def _state_operator(self) -> None:
        """Signer, encryption key and endpoint on chain are those of this miner."""
        vault, signer = self.contracts.vault, self.identity.address
        key, endpoint = public_bytes(self.identity.encryption), self.settings.endpoint
        known = await vault.operator(self.operator, at="latest")
        consent = consent_of(self.owner, self.identity)
        if known.signer == ZERO_ADDRESS:
            call = vault.register_operator(signer, consent, key, endpoint)
            await self.owner.send(call, "registering")
            return
        for call in self._corrections(known, key, endpoint):
            await self.owner.send(call, "correcting what the vault knows of this operator")

    def _corrections(self, known: Operator, key: bytes, endpoint: str) -> list[ContractCall]:
        vault, wanted = self.contracts.vault, []
        if known.signer != self.identity.address:
            wanted.append(
                vault.rotate_signer(self.identity.address, consent_of(self.owner, self.identity))
            )
        if known.next_encryption_key != key:
            if known.next_encryption_key in map(public_bytes, self.identity.former):
                raise InvalidInput(
                    "another encryption key lies here that the chain does not know yet; name it "
                    "with `nesa-miner rotate-encryption-key`, then register again"
                )
            wanted.append(vault.set_encryption_key(key))
        if known.endpoint != endpoint:
            wanted.append(vault.set_endpoint(endpoint))
        return wanted

    async def _fund(self, wish: Wish) -> None:
        """Deposit what the seat and the wish need beyond what is there."""
        vault = self.contracts.vault
        limits = await self.contracts.parameters.request_limits(at="latest")
        ledger = await vault.ledger(self.operator, at="latest")
        missing = Amount(max(limits.seat_stake - ledger.free, wish.stake - ledger.stake, 0))
        if missing:
            await self.owner.deposit(missing)

    async def _take(self, wish: Wish, rebuilt: Rebuilt) -> None:
        call = self.contracts.vault.take_seat(
            wish.version_id, wish.shard, rebuilt.circuit_digest, rebuilt.verifier_code_hash
        )
        await self.owner.send(call, "taking the seat")

    async def _seated(self, wish: Wish, slot: int, rebuilt: Rebuilt) -> Seated:
        vault = self.contracts.vault
        seats = await vault.seats(wish.version_id, wish.shard, (slot,), at="latest")
        head, length = await self.owner.connection.head(), await vault.epoch_seconds(at="latest")
        seat: SeatRecord = seats[0]
        if seat.to_epoch != NO_END:
            raise InvalidInput(
                f"slot {slot} of shard {wish.shard} was left in epoch {seat.to_epoch} and is still "
                "locked; wait until it is released, then register again"
            )
        wait = max(0, seat.from_epoch * length - head.timestamp)
        signer = seat.signer
        return Seated(self.operator, signer, wish.shard, slot, seat.from_epoch, wait, rebuilt)


async def register(
    folder: Path,
    settings: MinerSettings,
    identity: Identity,
    owner: Owner,
    wish: Wish,
) -> Seated:
    """Register the miner in `folder`; errors as `Registrar.seat`."""
    connection = owner.connection
    location = (await find_registration(connection, wish.version_id)).location
    settings = add_store(folder, settings, location, owner.progress)
    keys = released_keys(folder, settings, connection, identity)
    library = open_library(folder, settings, connection, keys)
    registrar = Registrar(Contracts(connection), library, settings, identity, owner)
    return await registrar.seat(wish)


def add_store(
    folder: Path, settings: MinerSettings, location: str, progress: Progress
) -> MinerSettings:
    """Settings with the store of a version's developer, which `miner.json` keeps.

    Raises:
        InvalidModel: the location does not end in a digest.
    """
    base = base_of(location)
    if base in settings.stores or not base.startswith(STORE_SCHEMES):
        return settings
    progress(f"adding the developer's store {base} to {CONFIG_FILE}")
    path = folder / CONFIG_FILE
    stored: dict[str, Any] = json.loads(path.read_text())
    stored["stores"] = [*stored.get("stores", ()), base]
    draft = path.with_name(f".{CONFIG_FILE}.part")
    draft.write_text(json.dumps(stored, indent=2) + "\n")
    draft.replace(path)
    return settings.model_copy(update={"stores": (*settings.stores, base)})
