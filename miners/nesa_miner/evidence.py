"""Keeps what this miner shows of its work, and wakes those who wait for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from nesa.protocol.evidence import ShardEvidence, decode_evidence, encode_evidence
from nesa.protocol.messages import MAX_CARRIED_BYTES
from nesa_miner.duties import Computation, Duty
from nesa_miner.jobs import WorkKey
from nesa_miner.journal import Journal
from nesa_miner.work import is_sealed


@dataclass(frozen=True, slots=True)
class EvidenceStore:
    """Evidence by computation, in the journal; `changed` is notified of everything new."""

    journal: Journal
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def keep(self, duty: Duty, computation: Computation, evidence: ShardEvidence) -> Computation:
        """The computation with its evidence stored; what is served shows no sealed tensor.

        Nor long ones: nothing that is long can be proved, and the next shard fetches its parts.
        """
        assert duty.place is not None
        work = duty.work(computation.in_digest)
        proof = evidence.proof or self._known_proof(work, computation, evidence)
        evidence = replace(evidence, proof=proof)
        served = evidence
        if is_sealed(duty.query) or _is_long(evidence):
            served = replace(evidence, tensors_in=(), tensors_out=())
        self.journal.keep_evidence(work, duty.place.shard, encode_evidence(served))
        return replace(computation, evidence=evidence)

    async def announce(self) -> None:
        """Wake everybody who waits for evidence."""
        async with self.changed:
            self.changed.notify_all()

    def _known_proof(
        self, work: WorkKey, computation: Computation, evidence: ShardEvidence
    ) -> bytes | None:
        """The proof of the same output that was made before, also before a restart."""
        known = computation.evidence
        stored = self.journal.evidence_of(work)
        if known is None and stored is not None:
            known = decode_evidence(stored)
        is_same = known is not None and known.out_digest == evidence.out_digest
        return known.proof if known is not None and is_same else None


def _is_long(evidence: ShardEvidence) -> bool:
    return sum(map(len, (*evidence.tensors_in, *evidence.tensors_out))) > MAX_CARRIED_BYTES
