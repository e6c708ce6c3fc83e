"""Shards come from the store by the chain's digests, are tested once and stay warm."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.models.folder import load
from nesa.models.graph import Table
from nesa.models.index import constants_path
from nesa.models.lowering import runtime_model
from nesa.models.proving.prover import Prover
from nesa.models.proving.verifier import find_solc
from nesa.models.runtime import KnownAnswer, ShardRunner
from nesa.protocol.digests import boundary_digest, bytes_root
from nesa.protocol.errors import (
    ExhaustedResource,
    Incompatible,
    IntegrityError,
    InvalidInput,
    Unavailable,
)
from nesa.protocol.ids import Digest, VersionId
from nesa.protocol.versions import ShardFacts
from nesa_miner import circuits
from nesa_miner.circuits import COMPILED_HERE, SOURCE_COMPARED, rebuild
from nesa_miner.disputes.inputs import outputs_of
from nesa_miner.shards import ShardLibrary
from nesa_miner.store import FileStore
from tests.miner.operating.network import MODEL, PROVING_CACHE, LocalNetwork


class CountingStore(FileStore):
    """Remembers what was fetched."""

    def __init__(self, folder: Path, sources: list[str]) -> None:
        super().__init__(folder, sources)
        self.fetched: list[Digest] = []

    def fetch(self, digest: Digest) -> bytes:
        self.fetched.append(digest)
        return super().fetch(digest)


def library(connection: Connection, store: FileStore, cache: Path = PROVING_CACHE) -> ShardLibrary:
    return ShardLibrary(connection, store, cache)


def files(network: LocalNetwork, tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "files", [str(network.store)])


def elsewhere(network: LocalNetwork, chain_id: int) -> Connection:
    """A connection that takes the network's chain for another one."""
    deployment = network.deployment.model_copy(update={"chain_id": chain_id})
    return Connection(network.anvil.url, Deployment.model_validate(deployment.model_dump()))


async def test_a_shard_runs_as_the_reference_does(network: LocalNetwork, tmp_path: Path) -> None:
    async with network.connect() as connection:
        shards = library(connection, files(network, tmp_path))
        facts, runner = await shards.runner(network.version_id, 0)
        model = load(MODEL)
        assert facts == model.shards[0]
        for answer in model.known_answers(0):
            outputs = runner.run(answer.inputs)
            assert boundary_digest(facts.output_edges, outputs) == answer.output_digest


async def test_everybody_who_asks_at_once_gets_the_same_warm_shard(
    network: LocalNetwork, tmp_path: Path
) -> None:
    store = files(network, tmp_path)
    async with network.connect() as connection:
        shards = library(connection, store)
        asked = (shards.runner(network.version_id, 0) for _ in range(5))
        runners = {id(runner) for _, runner in await asyncio.gather(*asked)}
    assert len(runners) == 1
    fetched = store.fetched  # index, known answers and constants of the shard
    assert len(fetched) == len(set(fetched)) == 3


async def test_the_definition_of_a_shard_makes_what_it_runs(
    network: LocalNetwork, tmp_path: Path
) -> None:
    async with network.connect() as connection:
        shards = library(connection, files(network, tmp_path))
        model = load(MODEL)
        for number, facts in enumerate(model.shards):
            answer = model.known_answers(number)[0]
            witness = await shards.witness(network.version_id, number, answer.inputs)
            digest = boundary_digest(facts.output_edges, outputs_of(witness, number))
            assert digest == answer.output_digest
            place = witness.table.shards[number]
            rows = (*witness.table.rows[: place.first], *witness.table.rows[place.end :])
            assert not any(row.parameters for row in rows)


async def test_a_shard_that_could_not_be_defended_is_not_served(
    network: LocalNetwork, tmp_path: Path
) -> None:
    """A developer who withholds the table's constants could challenge honest work."""
    source = tmp_path / "source"
    source.mkdir()
    constants = bytes_root(load(MODEL).files[constants_path(0)]).hex()
    for path in network.store.iterdir():
        if path.name != constants:
            (source / path.name).write_bytes(path.read_bytes())
    async with network.connect() as connection:
        shards = library(connection, FileStore(tmp_path / "files", [str(source)]))
        with pytest.raises(Unavailable, match=constants):
            await shards.runner(network.version_id, 0)


class Poisoned(ShardLibrary):
    """Of a developer who registered a file that is not its table's, and published its answers."""

    async def _read(self, version_id: VersionId, shard: int) -> ShardFacts:
        facts = await super()._read(version_id, shard)
        poison = runtime_model(_poisoned_table(), _poisoned_table().shards[shard])
        digest = bytes_root(poison)
        self._store._keep(digest, poison)
        return replace(facts, file_digest=digest)

    async def known_answers(self, version_id: VersionId, shard: int) -> tuple[KnownAnswer, ...]:
        return ()


def _poisoned_table() -> Table:
    table = load(MODEL).table
    weights, biases = table.rows[0].parameters
    other = replace(biases, values=biases.values + 9_999)
    return replace(
        table, rows=(replace(table.rows[0], parameters=(weights, other)), *table.rows[1:])
    )


async def test_a_file_that_is_not_the_tables_is_not_run(
    network: LocalNetwork, tmp_path: Path
) -> None:
    """Its developer could challenge whoever signed what it computes."""
    async with network.connect() as connection:
        shards = Poisoned(connection, files(network, tmp_path), PROVING_CACHE)
        facts, runner = await shards.runner(network.version_id, 0)
        for answer in load(MODEL).known_answers(0):
            outputs = runner.run(answer.inputs)
            assert boundary_digest(facts.output_edges, outputs) == answer.output_digest


async def test_a_shard_with_other_edges_than_its_tables_is_not_served(
    network: LocalNetwork, tmp_path: Path
) -> None:
    """Nobody could show that its digests are those of the table's tensors."""

    class Widened(ShardLibrary):
        async def _read(self, version_id: VersionId, shard: int) -> ShardFacts:
            facts = await super()._read(version_id, shard)
            (edge,) = facts.input_edges
            return replace(facts, input_edges=(replace(edge, low=edge.low - 1),))

    async with network.connect() as connection:
        shards = Widened(connection, files(network, tmp_path), PROVING_CACHE)
        with pytest.raises(IntegrityError, match="other edges"):
            await shards.runner(network.version_id, 0)


async def test_an_unknown_version_is_refused(network: LocalNetwork, tmp_path: Path) -> None:
    async with network.connect() as connection:
        shards = library(connection, files(network, tmp_path))
        unknown = VersionId(b"\x01" * 32)
        with pytest.raises(InvalidInput, match="is not registered on chain 31337"):
            await shards.runner(unknown, 0)
        with pytest.raises(InvalidInput, match="is not registered on chain 31337"):
            await shards.published(unknown)
        with pytest.raises(InvalidInput, match="has shards 0 to 1, not 2"):
            await shards.runner(network.version_id, 2)


async def test_a_tampered_table_is_refused_and_asked_for_again(
    network: LocalNetwork, tmp_path: Path
) -> None:
    whole = bytes_root(load(MODEL).files[constants_path(0)]).hex()
    source = tmp_path / "source"
    source.mkdir()
    for path in network.store.iterdir():
        (source / path.name).write_bytes(b"tampered" if path.name == whole else path.read_bytes())
    async with network.connect() as connection:
        shards = library(connection, FileStore(tmp_path / "files", [str(source)]))
        with pytest.raises(IntegrityError, match="unchanged"):
            await shards.runner(network.version_id, 0)
        (source / whole).write_bytes((network.store / whole).read_bytes())
        await shards.runner(network.version_id, 0)


async def test_a_store_without_the_version_is_unavailable(
    network: LocalNetwork, tmp_path: Path
) -> None:
    async with network.connect() as connection:
        shards = library(connection, FileStore(tmp_path / "files", [str(tmp_path)]))
        with pytest.raises(Unavailable, match=r"miner\.json"):
            await shards.runner(network.version_id, 0)


async def test_a_full_disk_is_said(
    network: LocalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    async with network.connect() as connection:
        shards = library(connection, files(network, tmp_path))
        with pytest.raises(ExhaustedResource, match="free some space"):
            await shards.runner(network.version_id, 0)


async def test_a_machine_that_computes_otherwise_runs_nothing(
    network: LocalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ShardRunner.run
    monkeypatch.setattr(
        ShardRunner, "run", lambda self, tensors: tuple(t[::-1] for t in right(self, tensors))
    )
    async with network.connect() as connection:
        shards = library(connection, files(network, tmp_path))
        with pytest.raises(IntegrityError, match="comes out differently"):
            await shards.runner(network.version_id, 0)


async def test_a_circuit_has_the_chains_digest(network: LocalNetwork, tmp_path: Path) -> None:
    async with network.connect() as connection:
        shards = library(connection, files(network, tmp_path))
        facts = await shards.facts(network.version_id, 0)
        assert (await shards.circuit(network.version_id, 0)).digest == facts.circuit_digest


async def test_the_development_string_is_refused_on_a_real_chain(
    network: LocalNetwork, tmp_path: Path
) -> None:
    async with elsewhere(network, 1) as connection:
        shards = library(connection, files(network, tmp_path))
        with pytest.raises(Incompatible, match="development only reference string"):
            await shards.circuit(network.version_id, 0)


@pytest.mark.parametrize("compiles", [True, False])
async def test_what_is_rebuilt_is_what_the_chain_states(
    network: LocalNetwork, tmp_path: Path, compiles: bool
) -> None:
    solc = find_solc() if compiles else None
    if compiles and solc is None:
        pytest.skip("there is no solc on this machine")
    async with network.connect() as connection:
        shards = await with_keys(connection, files(network, tmp_path), network, tmp_path)
        facts = await shards.facts(network.version_id, 0)
        rebuilt = await rebuild(shards, network.version_id, 0, solc)
        assert rebuilt.circuit_digest == facts.circuit_digest
        assert rebuilt.verifier_code_hash == facts.verifier_code_hash
        assert rebuilt.how == (COMPILED_HERE if compiles else SOURCE_COMPARED)
        assert await rebuild(shards, network.version_id, 0, None) == rebuilt


async def test_a_published_verifier_of_another_key_is_refused(
    network: LocalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(_: object) -> str:
        return "contract Halo2Verifier {}"

    monkeypatch.setattr(circuits, "_generated_source", other)
    async with network.connect() as connection:
        shards = await with_keys(connection, files(network, tmp_path), network, tmp_path)
        with pytest.raises(IntegrityError, match="do not take this seat"):
            await rebuild(shards, network.version_id, 0, None)


async def test_a_circuit_that_computes_otherwise_is_refused(
    network: LocalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(*_: object) -> list[int]:
        return [0]

    monkeypatch.setattr(Prover, "witness", other)
    async with network.connect() as connection:
        shards = await with_keys(connection, files(network, tmp_path), network, tmp_path)
        with pytest.raises(IntegrityError, match="differ on known answer 0"):
            await rebuild(shards, network.version_id, 0, None)


async def with_keys(
    connection: Connection, store: FileStore, network: LocalNetwork, tmp_path: Path
) -> ShardLibrary:
    """A library with a cache of its own that has the keys, but no notes."""
    prover = await library(connection, store).prover(network.version_id, 0)
    cache = tmp_path / "proving"
    cache.mkdir()
    home = prover.keys.compiled.parent
    (cache / home.name).symlink_to(home)
    return library(connection, store, cache)
