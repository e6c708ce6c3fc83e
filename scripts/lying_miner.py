"""A miner that lies, for demonstrations and tests: `python scripts/lying_miner.py --dir FOLDER`.

It runs under the keys and the stake of the miner in FOLDER and does everything as that miner
would, except that the first element of every result is off by one. The product cannot do this.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nesa.chain.keystore import read_password
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.models.proving.prover import Prover
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
        first, *others = self.honest.run(tensors)
        return (_off_by_one(self.facts.output_edges[0], first), *others)


@dataclass(frozen=True, slots=True)
class LyingLibrary:
    """Hands out shards that lie; proofs stay true, for no circuit proves a lie."""

    honest: WitnessLibrary

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        """A shard that lies."""
        facts, runner = await self.honest.runner(version_id, shard)
        return facts, LyingRunner(runner, facts)

    async def prover(self, version_id: VersionId, shard: int) -> Prover:
        """The honest prover."""
        return await self.honest.prover(version_id, shard)

    async def table(self, version_id: VersionId) -> Table:
        """The true table."""
        return await self.honest.table(version_id)

    async def witness(self, version_id: VersionId, shard: int, tensors: Sequence[bytes]) -> Witness:
        """The honest values, of which the miner sees that it cannot defend its output."""
        return await self.honest.witness(version_id, shard, tensors)

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        """As the honest library does."""
        self.honest.release(version_id, shard)


def _off_by_one(edge: EdgeType, data: bytes) -> bytes:
    values = edge.decode(data).copy()
    flat = values.reshape(-1)
    flat[0] += 1 if flat[0] < edge.high else -1
    return edge.encode(values)


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description="A miner that lies.")
    parser.add_argument("--dir", type=Path, required=True, help="folder of the miner it plays")
    folder: Path = parser.parse_args().dir
    settings = read_settings(folder)
    configure_logging(as_json=None)
    identity = open_identity(folder, settings, read_password(PASSWORD_VARIABLE))
    asyncio.run(daemon.run(folder, settings, identity, LyingLibrary))


if __name__ == "__main__":
    main()
