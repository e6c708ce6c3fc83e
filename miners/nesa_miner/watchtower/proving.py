"""Proofs that an attested input gives another output: they open a challenge without a bond."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from nesa.models.disputes.traces import Charge
from nesa.models.proving.prover import Prover
from nesa.protocol.errors import NesaError
from nesa.protocol.ids import VersionId
from nesa.protocol.queries import Privacy, Query
from nesa.protocol.versions import ShardFacts
from nesa_miner.disputes.inputs import outputs_of, recompute
from nesa_miner.log_format import origin_of
from nesa_miner.surroundings import WitnessLibrary
from nesa_miner.tasks import Spawn
from nesa_miner.work import Task

MOST_BYTES: Final = 512
"""Of an input or an output that the court takes a proof of."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class FaultProof:
    """A proof, and the canonical bytes that it is about."""

    given: bytes
    computed: bytes
    proof: bytes = field(repr=False)


class ProvingLibrary(WitnessLibrary, Protocol):
    """A library that can prove, and knows whether it could at once."""

    async def facts(self, version_id: VersionId, shard: int) -> ShardFacts:
        """What the chain knows of a shard."""

    async def has_keys(self, version_id: VersionId, shard: int) -> bool:
        """Whether the proving keys of a shard are on this machine."""

    async def prover(self, version_id: VersionId, shard: int) -> Prover:
        """Proves a shard; makes its keys first."""


@dataclass(slots=True)
class FaultProver:
    """Proves what wrong shards should have answered, where the keys for it are there.

    Making keys takes a minute, which is more than a challenge may wait: it is done beforehand.
    """

    library: ProvingLibrary
    spawn: Spawn
    _prepared: set[VersionId] = field(default_factory=set)

    def prepare(self, query: Query) -> None:
        """Make the keys of a version's provable shards, once, while nobody waits for them."""
        if query.version_id not in self._prepared:
            self._prepared.add(query.version_id)
            self.spawn(self._prepare(query))

    async def prove(self, query: Query, sent: bytes, charge: Charge) -> FaultProof | None:
        """A proof of what the charged shard gives; None where there can be none now.

        A proof that fails is none: a bond opens the same challenge.
        """
        try:
            if not await self._can_prove(query, charge.shard):
                return None
            return await self._proved(query, sent, charge)
        except NesaError as error:
            log.warning(
                "no fault proof", query=query.query_id, shard=charge.shard, reason=str(error)
            )
            return None

    async def _can_prove(self, query: Query, shard: int) -> bool:
        facts = await self.library.facts(query.version_id, shard)
        edges = (*facts.input_edges, *facts.output_edges)
        is_short = len(edges) == 2 and max(edge.nbytes for edge in edges) <= MOST_BYTES
        is_open = query.privacy is Privacy.OPEN  # a proof would show the input
        is_provable = is_open and is_short and any(facts.circuit_digest)
        return is_provable and await self.library.has_keys(query.version_id, shard)

    async def _proved(self, query: Query, sent: bytes, charge: Charge) -> FaultProof:
        ours = await recompute(self.library, Task(query, charge.shard, None), sent, charge)
        witness = ours.witness
        (given,) = map(witness.encoded, witness.table.shards[charge.shard].inputs)
        (computed,) = outputs_of(witness, charge.shard)
        prover = await self.library.prover(query.version_id, charge.shard)
        proof = await prover.prove(given, computed)
        return FaultProof(given, computed, proof.proof)

    async def _prepare(self, query: Query) -> None:
        for shard in range(query.shards):
            place = {"version": f"0x{query.version_id.hex()}", "shard": shard}
            try:
                facts = await self.library.facts(query.version_id, shard)
                if any(facts.circuit_digest):
                    await self.library.prover(query.version_id, shard)
                    log.info("proving keys are ready", **place)
            except NesaError as error:
                log.warning("no proving keys", **place, reason=str(error))
            except Exception as error:
                log.error("no proving keys", **place, **origin_of(error))
