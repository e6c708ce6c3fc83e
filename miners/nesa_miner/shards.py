"""The shards that this miner runs and proves: fetched by digest, tested once, then kept warm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from nesa.chain.connection import Connection
from nesa.chain.contracts import Registry
from nesa.models.check import check_shard
from nesa.models.folder import shard_path
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.models.lowering import runtime_model
from nesa.models.proving.circuits import Circuit
from nesa.models.proving.keys import has_keys
from nesa.models.proving.prover import Prover
from nesa.models.proving.reference_string import ReferenceFile, locate, require_permitted
from nesa.models.publish import PublishedVersion
from nesa.models.runtime import KnownAnswer
from nesa.privacy.shard_files import decrypt_file
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidInput, Rejected
from nesa.protocol.ids import VersionId
from nesa.protocol.versions import ShardFacts
from nesa_miner.once import Once
from nesa_miner.registrations import find_registration
from nesa_miner.shard_keys import NO_KEYS, ShardKeys
from nesa_miner.stacking import checked_runner
from nesa_miner.store import FileStore
from nesa_miner.surroundings import Runner

ShardKey: TypeAlias = tuple[VersionId, int]
"""(version id, index of the shard)."""


class ShardLibrary:
    """Shards by (version, shard), each loaded and tested by the first who asks for it.

    A version never changes, so nothing that was read once is read again. Proving keys lie in the
    folder `proving_cache`; `ceremony` is the file of a reference string that is not packaged.
    One proof runs at a time, whatever the number of shards.
    """

    def __init__(
        self,
        connection: Connection,
        store: FileStore,
        proving_cache: Path,
        ceremony: Path | None = None,
        keys: ShardKeys = NO_KEYS,
    ) -> None:
        self._connection = connection
        self._registry = Registry(connection, connection.deployment.registry)
        self._store = store
        self._proving_cache = proving_cache
        self._ceremony = ceremony
        self._keys = keys
        self._proving_slots = asyncio.Semaphore(1)
        self._facts: Once[ShardKey, ShardFacts] = Once()
        self._published: Once[VersionId, PublishedVersion] = Once()
        self._unlocked: Once[ShardKey, PublishedVersion] = Once()
        self._runners: Once[ShardKey, Runner] = Once()
        self._provers: Once[ShardKey, Prover] = Once()
        self._outlines: Once[VersionId, Table] = Once()
        self._definitions: Once[ShardKey, Table] = Once()

    @property
    def proving_cache(self) -> Path:
        """Folder of the proving keys."""
        return self._proving_cache

    async def facts(self, version_id: VersionId, shard: int) -> ShardFacts:
        """What the chain knows of a shard.

        Raises:
            InvalidInput: no such version, or it has no such shard.
            Unavailable: the node does not answer.
        """
        return await self._facts.get((version_id, shard), lambda: self._read(version_id, shard))

    async def published(self, version_id: VersionId) -> PublishedVersion:
        """The index of a version, as its developer published it.

        Raises:
            InvalidInput: no such version, or its location names no index.
            Unavailable: neither the node nor a store answers.
            IntegrityError: the index is that of another version.
        """
        return await self._published.get(version_id, lambda: self._fetch_index(version_id))

    async def of_shard(self, version_id: VersionId, shard: int) -> PublishedVersion:
        """The version with the files of a shard open, also where it is private.

        Raises:
            InvalidInput, Unavailable, IntegrityError: see `published`; or the version is private,
                and its developer does not release the key of this shard to this operator.
        """
        version = await self.published(version_id)
        if version.index.private is None:
            return version
        return await self._unlocked.get(
            (version_id, shard), lambda: self._unlock(version, version_id, shard)
        )

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        """A loaded shard that gave its known answers on this machine, and its facts.

        Raises:
            InvalidInput: no such version or shard, or a file that is no model.
            Unavailable: neither the node nor a store answers.
            IntegrityError: a file was changed, or this machine computes something else.
            ExhaustedResource: the disk is full.
        """
        facts = await self.facts(version_id, shard)
        key = (version_id, shard)
        return facts, await self._runners.get(key, lambda: self._load(version_id, shard, facts))

    async def known_answers(self, version_id: VersionId, shard: int) -> tuple[KnownAnswer, ...]:
        """What the shard must answer; errors as `of_shard`."""
        version = await self.of_shard(version_id, shard)
        return await asyncio.to_thread(version.known_answers, shard)

    async def file(self, version_id: VersionId, shard: int) -> bytes:
        """The shard's ONNX file, whole; errors as `runner`."""
        facts = await self.facts(version_id, shard)
        version = await self.of_shard(version_id, shard)
        data = await asyncio.to_thread(version.file, shard_path(shard))
        if bytes_root(data) != facts.file_digest:
            raise IntegrityError(f"shard {shard} was published with another file than registered")
        return data

    async def witness(self, version_id: VersionId, shard: int, tensors: Sequence[bytes]) -> Witness:
        """Everything that a shard makes of its input, by the definition of its table; slow.

        Raises:
            InvalidInput: no such version, or the input is not of its edges.
            Unavailable: neither the node nor a store answers.
            IntegrityError: a file was changed.
        """
        key = (version_id, shard)
        table = await self._definitions.get(key, lambda: self._define(version_id, shard))
        return await asyncio.to_thread(Witness.of_shard, table, shard, tensors)

    async def outline(self, version_id: VersionId) -> Table:
        """A version's table without its constants, compared with the root that was registered.

        Errors as `published`.
        """
        version = await self.published(version_id)
        return await self._outlines.get(version_id, lambda: asyncio.to_thread(version.outline))

    async def circuit(self, version_id: VersionId, shard: int) -> Circuit:
        """The circuit of a shard, whose verifying key is the one that the chain knows.

        Raises:
            InvalidModel: the shard cannot be proved.
            Incompatible: its reference string must not be used on this chain.
            IntegrityError: the published key is another one, or a file was changed.
            InvalidConfiguration: the file of the reference string is needed.
            Unavailable: neither the node nor a store answers.
        """
        facts = await self.facts(version_id, shard)
        version = await self.of_shard(version_id, shard)
        reference = await asyncio.to_thread(self._reference, version)
        return await asyncio.to_thread(version.circuit, shard, facts, reference)

    async def prover(self, version_id: VersionId, shard: int) -> Prover:
        """Proves a shard; the first call may take a minute to make the proving key.

        Raises:
            InvalidModel, Incompatible, IntegrityError, InvalidConfiguration, Unavailable: see
                `circuit`.
            ExhaustedResource: time, memory or disk is used up.
        """
        key = (version_id, shard)
        return await self._provers.get(key, lambda: self._open_prover(version_id, shard))

    async def circuits(self, version_id: VersionId) -> CircuitKind:
        """What the circuits of a version hash; errors as `published`."""
        return (await self.published(version_id)).index.card.circuits

    async def has_keys(self, version_id: VersionId, shard: int) -> bool:
        """Whether the proving keys of a shard are on this machine; errors as `circuit`."""
        circuit = await self.circuit(version_id, shard)
        return await asyncio.to_thread(has_keys, circuit, self._proving_cache)

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        """Free the memory of a version's shards, or of one; what the chain says of them stays."""

        def is_over(key: ShardKey) -> bool:
            return key[0] == version_id and shard in (None, key[1])

        self._runners.forget(is_over)
        self._provers.forget(is_over)
        self._definitions.forget(is_over)
        self._unlocked.forget(is_over)
        if shard is None:
            self._published.forget(lambda key: key == version_id)
            self._outlines.forget(lambda key: key == version_id)

    async def _read(self, version_id: VersionId, shard: int) -> ShardFacts:
        try:
            return await self._registry.shard(version_id, shard, at="latest")
        except Rejected as error:
            shards = await self._registry.shard_count(version_id, at="latest")
            name = f"version 0x{version_id.hex()}"
            raise InvalidInput(
                f"{name} has shards 0 to {shards - 1}, not {shard}"
                if shards
                else f"{name} is not registered on chain {self._connection.deployment.chain_id}"
            ) from error

    async def _fetch_index(self, version_id: VersionId) -> PublishedVersion:
        event = await find_registration(self._connection, version_id)
        version = await asyncio.to_thread(PublishedVersion.fetch, event.location, self._store.fetch)
        version.require_registered(event.operators_root, event.metadata_digest)
        return version

    async def _load(self, version_id: VersionId, shard: int, facts: ShardFacts) -> Runner:
        answers = await self.known_answers(version_id, shard)
        version = await self.of_shard(version_id, shard)
        # Whoever signs must be able to show its work later, when the developer may be gone.
        table = await asyncio.to_thread(version.definition, shard)
        file = await asyncio.to_thread(_compiled, table, shard, facts)
        most = await asyncio.to_thread(version.most_stacked, shard)
        return await asyncio.to_thread(checked_runner, file, facts, answers, most, is_own=True)

    async def _define(self, version_id: VersionId, shard: int) -> Table:
        version = await self.of_shard(version_id, shard)
        return await asyncio.to_thread(version.definition, shard)

    async def _unlock(
        self, version: PublishedVersion, version_id: VersionId, shard: int
    ) -> PublishedVersion:
        key = await self._keys.key(version.index, version_id, shard)
        return version.unlocked(partial(decrypt_file, key))

    def _reference(self, version: PublishedVersion) -> ReferenceFile:
        digest = version.reference_digest
        require_permitted(self._connection.deployment.chain_id, digest)
        return locate(digest, self._ceremony)

    async def _open_prover(self, version_id: VersionId, shard: int) -> Prover:
        circuit = await self.circuit(version_id, shard)
        return await Prover.open(circuit, self._proving_cache, slots=self._proving_slots)


def _compiled(table: Table, number: int, facts: ShardFacts) -> bytes:
    """ONNX file of a shard as this program makes it of the table, which is the law in a dispute.

    What is published beside the table was made by its developer: a file that says something else
    of one input would cost every honest signer its stake, and so would other edges, or rows that
    leave their ranges.

    Raises:
        InvalidModel: a row breaks a rule of its operator, or cannot be judged.
        IntegrityError: other edges are registered.
    """
    shard = table.shards[number]
    check_shard(table, shard)
    edges = (table.types_of(shard.inputs), table.types_of(shard.outputs))
    if edges != (facts.input_edges, facts.output_edges):
        raise IntegrityError(f"shard {number} is registered with other edges than its table has")
    return runtime_model(table, shard)


class LibrarySettings(Protocol):
    """Where the files of a miner or a watchtower are, relative to its folder."""

    @property
    def files(self) -> Path:
        """What was fetched."""

    @property
    def stores(self) -> tuple[str, ...]:
        """Where to fetch from."""

    @property
    def proving_cache(self) -> Path:
        """Proving keys."""

    @property
    def reference_string(self) -> Path | None:
        """A reference string that is not packaged."""


def open_library(
    folder: Path,
    settings: LibrarySettings,
    connection: Connection,
    keys: ShardKeys = NO_KEYS,
) -> ShardLibrary:
    """The library of the miner or watchtower in `folder`; `keys` opens private shards."""
    store = FileStore(folder / settings.files, settings.stores)
    ceremony = settings.reference_string
    return ShardLibrary(
        connection,
        store,
        folder / settings.proving_cache,
        None if ceremony is None else folder / ceremony,
        keys,
    )
