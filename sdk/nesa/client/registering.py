"""What a developer sends: verifiers, the version, and one proof a shard that they work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from nesa.chain.abi import ContractCall
from nesa.chain.admissions import AllowLists
from nesa.chain.connection import Connection
from nesa.chain.contracts import ZERO_ADDRESS, Contracts
from nesa.chain.history import find_versions
from nesa.chain.sender import Sender
from nesa.chain.sessions import SharedSessions
from nesa.models import folder
from nesa.models.cut import require_short_boundaries
from nesa.models.folder import CompiledModel
from nesa.models.proving.artefacts import (
    ProvableShard,
    read_provable_shard,
    reference_digest,
)
from nesa.models.proving.reference_string import require_permitted
from nesa.protocol.allow_lists import AllowList
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidInput, Rejected, Unavailable
from nesa.protocol.ids import Address, Amount, VersionId
from nesa.protocol.sessions import MAX_PRODUCTS, products_id
from nesa.protocol.versions import version_id

CREATE2_FACTORY: Final = Address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
"""Deploys code at an address that the code alone decides; it is on most chains and in anvil."""

SALT: Final = bytes(32)

ALREADY_SHOWN: Final = "registry: already shown"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a developer asks: NES units for one shard and one replica, for one shard's proof, and
    the royalty in basis points of the base fee. `location` says where the files are, `admission`
    names the contract that says who may sit in the version, where not everybody may."""

    price: Amount
    proof_price: Amount
    royalty_bps: int
    location: str
    admission: Address = ZERO_ADDRESS


class Developer:
    """Registers versions under one key."""

    def __init__(self, connection: Connection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender
        self._contracts = Contracts(connection)

    async def register(self, path: Path, terms: Terms) -> VersionId:
        """Register the compiled model in a folder and show that its verifiers work.

        What is on chain already is left as it is, so a registration that broke off is finished.

        Raises:
            InvalidModel, IntegrityError: the folder does not hold a whole model, or one whose
                shards hand over more than miners do.
            InvalidInput: it is registered already, and others may sit in it than its terms say.
            Incompatible: its proofs must not count on this chain.
            Rejected: the registry refuses.
        """
        model = await asyncio.to_thread(folder.load, path)
        require_short_boundaries(model.table)
        provable = _provable_shards(path, model)
        if provable:
            chain_id = self._connection.deployment.chain_id
            require_permitted(chain_id, reference_digest(model))
        verifiers = [await self._verifier(shard.creation) for shard in provable]
        version = version_id(self._sender.address, model.root)
        if not await self._contracts.registry.shard_count(version, at="latest"):
            await self._sender.send(self._registration(model, verifiers, terms))
        else:
            await self._require_admission(version, terms.admission)
        if provable and model.card.circuits is not CircuitKind.PUBLIC:
            await self._declare(version, model.card.circuits, provable)
        for index, shard in enumerate(provable):
            await self._show(version, index, shard)
        return version

    async def location_of(self, version: VersionId) -> str:
        """Where a version's files are, as its registration says for good.

        Raises:
            InvalidInput: there is no such version.
        """
        for event in await find_versions(self._connection):
            if event.version_id == version:
                return event.location
        raise InvalidInput(f"the version 0x{version.hex()} is not registered")

    async def register_products(
        self, products: Sequence[tuple[Path, Terms]]
    ) -> tuple[VersionId, ...]:
        """Register the products of a shared model, in their order, and list them for sessions.

        What is on chain already is left as it is. The first version has the seats and the price.

        Raises:
            InvalidInput: no product, or more than a session has.
            InvalidModel, IntegrityError, Rejected: as `register`.
            Unavailable: the deployment has no sessions.
        """
        if not 0 < len(products) <= MAX_PRODUCTS:
            raise InvalidInput(f"a session has 1 to {MAX_PRODUCTS} products, not {len(products)}")
        sessions = SharedSessions.of(self._connection)
        versions = tuple([await self.register(path, terms) for path, terms in products])
        if not await sessions.product_count(products_id(versions), at="latest"):
            await self._sender.send(sessions.list_products(versions))
        return versions

    async def retire(self, version: VersionId) -> None:
        """Take a version off offer for good.

        Raises:
            Rejected: somebody else's, unknown, or retired already.
        """
        await self._sender.send(self._contracts.registry.call("retire", version))

    async def allow(self, version: VersionId, operators: Sequence[Address]) -> Sequence[Address]:
        """Let these operators sit in a version that was registered with the allow list, and no
        others. Operators that sit already and are not among them may be evicted by anybody.

        Returns the operators that were not shown to be on this list before.

        Raises:
            InvalidInput: nobody is named, or the version has another admission.
            Unavailable: the deployment has no allow lists.
            Rejected: somebody else registered the version.
        """
        lists, listed = AllowLists.of(self._connection), AllowList(version, operators)
        admission = await self._contracts.registry.admission_of(version, at="latest")
        if admission != lists.address:
            raise InvalidInput(
                "the version was not registered with the allow list, and that is for good; "
                "register it anew under another card with `nesa model register --allow-list`"
            )
        # Shown first: between a new list and its proofs anybody could end the seats of who stays.
        shown = [
            one for one in dict.fromkeys(operators) if await self._show_listed(lists, listed, one)
        ]
        if await lists.root(version, at="latest") != listed.root:
            await self._sender.send(lists.set_root(version, listed.root))
        return shown

    async def _show_listed(self, lists: AllowLists, listed: AllowList, operator: Address) -> bool:
        if await lists.is_shown(listed, operator, at="latest"):
            return False
        await self._sender.send(lists.show(listed, operator))
        return True

    async def _require_admission(self, version: VersionId, asked: Address) -> None:
        """Nobody should take for a version of few operators one where everybody may sit."""
        admission = await self._contracts.registry.admission_of(version, at="latest")
        if (admission or ZERO_ADDRESS) != asked:
            stated = "everybody" if admission is None else f"whom the contract {admission} admits"
            raise InvalidInput(
                f"the version 0x{version.hex()} was registered before and seats {stated}, and that "
                "is for good; repeat it with the --allow-list or --admission of then, or register "
                "it anew under another card"
            )

    async def _verifier(self, creation: bytes) -> Address:
        """Address of the verifier, deployed now unless somebody did before."""
        address = verifier_address(creation)
        if not await self._connection.code(address):
            call = ContractCall(CREATE2_FACTORY, SALT + creation, "deploy verifier")
            await self._sender.send(call)
        if not await self._connection.code(address):
            raise Unavailable(f"this chain has no contract factory at {CREATE2_FACTORY}")
        return address

    def _registration(
        self, model: CompiledModel, verifiers: list[Address], terms: Terms
    ) -> ContractCall:
        return self._contracts.registry.call(
            "register",
            model.name,
            terms.location,
            model.operators_root,
            model.metadata_digest,
            [shard.as_abi() for shard in model.shards],
            verifiers,
            terms.price,
            terms.proof_price,
            terms.royalty_bps,
            terms.admission,
        )

    async def _declare(
        self, version: VersionId, kind: CircuitKind, shards: Sequence[ProvableShard]
    ) -> None:
        """Show that the circuits hash; nothing is proved before that is known."""
        offer = await self._contracts.registry.offer(version, at="latest")
        if offer.hashed:
            return
        keys = [keccak(shard.circuit.verifying_key) for shard in shards]
        hides_answer = kind is CircuitKind.HASHED_ANSWER
        call = self._contracts.registry.call("declare_hashed", version, hides_answer, keys)
        await self._sender.send(call)

    async def _show(self, version: VersionId, index: int, shard: ProvableShard) -> None:
        offer = await self._contracts.registry.offer(version, at="latest")
        if offer.provable:
            return
        corner = shard.corner
        call = self._contracts.registry.call(
            "prove_corner", version, index, corner.input, corner.output, corner.proof
        )
        try:
            await self._sender.send(call)
        except Rejected as error:
            if error.reason != ALREADY_SHOWN:
                raise


def verifier_address(creation: bytes) -> Address:
    """Where the factory puts this code."""
    factory = bytes.fromhex(CREATE2_FACTORY[2:])
    hashed = keccak(b"\xff" + factory + SALT + keccak(creation))
    return Address(to_checksum_address(hashed[12:]))


def _provable_shards(path: Path, model: CompiledModel) -> list[ProvableShard]:
    """Every shard's proving files, or nothing when one shard has no circuit."""
    if not all(any(shard.circuit_digest) for shard in model.shards):
        return []
    return [read_provable_shard(path, model, index) for index in range(len(model.shards))]
