"""A miner that lies, for demonstrations and tests: `python scripts/lying_miner.py --dir FOLDER`.

It runs under the keys and the stake of the miner in FOLDER and does everything as that miner
would, except that the first element of every result is off by one, and that it takes any input: of
one out of its range, the nearest within. Members that lie so agree. When it is challenged it is
silent, or with --defend shows false values to the end. The product cannot do this.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nesa.chain.keystore import read_password
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.models.judging.undefined import bounded
from nesa.models.proving.prover import Prover
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.edges import EdgeType
from nesa.protocol.ids import VersionId
from nesa.protocol.versions import ShardFacts
from nesa_miner import daemon
from nesa_miner.config import read_settings
from nesa_miner.keys import PASSWORD_VARIABLE, open_identity
from nesa_miner.log_format import configure_logging
from nesa_miner.surroundings import Runner, WitnessLibrary


@dataclass(frozen=True, slots=True)
class LyingRunner:
    """Runs a shard and changes what comes out."""

    honest: Runner
    facts: ShardFacts

    def run(self, tensors: Sequence[bytes]) -> tuple[bytes, ...]:
        """The shard's output with its first element off by one, still of the right type."""
        pairs = zip(self.facts.input_edges, tensors, strict=True)
        nearest = [edge.encode(bounded(edge, data)[0]) for edge, data in pairs]
        first, *others = self.honest.run(nearest)
        return (_off_by_one(self.facts.output_edges[0], first), *others)


@dataclass(frozen=True, slots=True)
class LyingLibrary:
    """Hands out shards that lie; proofs stay true, for no circuit proves a lie.

    With `defends` the values behind a lie are bent too, so that the miner believes in it.
    """

    honest: WitnessLibrary
    defends: bool = False

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        """A shard that lies."""
        facts, runner = await self.honest.runner(version_id, shard)
        return facts, LyingRunner(runner, facts)

    async def circuits(self, version_id: VersionId) -> CircuitKind:
        """What its circuits hash."""
        return await self.honest.circuits(version_id)

    async def prover(self, version_id: VersionId, shard: int) -> Prover:
        """The honest prover."""
        return await self.honest.prover(version_id, shard)

    async def outline(self, version_id: VersionId) -> Table:
        """The true outline."""
        return await self.honest.outline(version_id)

    async def witness(self, version_id: VersionId, shard: int, tensors: Sequence[bytes]) -> Witness:
        """All values of the shard; the true ones, unless the lie is to be defended."""
        witness = await self.honest.witness(version_id, shard, tensors)
        return _bent(witness, shard) if self.defends else witness

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        """As the honest library does."""
        self.honest.release(version_id, shard)


def _off_by_one(edge: EdgeType, data: bytes) -> bytes:
    values = edge.decode(data).copy()
    flat = values.reshape(-1)
    flat[0] += 1 if flat[0] < edge.high else -1
    return edge.encode(values)


def _bent(witness: Witness, shard: int) -> Witness:
    """Values with the lie in the place of the shard's first output."""
    table = witness.table
    written = table.shards[shard].outputs[0]
    edge = table.type_of(written)
    lie = edge.decode(_off_by_one(edge, witness.encoded(written))).astype(np.int64)
    return witness.changed({written: lie})


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description="A miner that lies.")
    parser.add_argument("--dir", type=Path, required=True, help="folder of the miner it plays")
    parser.add_argument("--defend", action="store_true", help="defend the lie when challenged")
    options = parser.parse_args()
    folder: Path = options.dir
    settings = read_settings(folder)
    configure_logging(as_json=None)
    identity = open_identity(folder, settings, read_password(PASSWORD_VARIABLE))
    lying = partial(LyingLibrary, defends=options.defend)
    asyncio.run(daemon.run(folder, settings, identity, lying))


if __name__ == "__main__":
    main()
