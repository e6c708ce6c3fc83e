"""Works on one input of a drawn shard: runs it and starts to agree, hands over, proves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from nesa.protocol.ids import Digest
from nesa_miner.agreeing import Agreements
from nesa_miner.agreement.events import Event, OwnResult, Restarted, Started
from nesa_miner.agreement.machine import begin, restore
from nesa_miner.agreement.records import decode_record
from nesa_miner.agreement.terms import Committee
from nesa_miner.delivering import Deliveries
from nesa_miner.duties import Duty
from nesa_miner.evidence import EvidenceStore
from nesa_miner.jobs import JobKey
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings
from nesa_miner.work import Run, Tensors, compute, requested_input

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Computations:
    """The work on the duties' inputs, one proof at a time.

    `replay` takes in the messages that came before their agreement began.
    """

    around: Surroundings
    roster: Roster
    agreements: Agreements
    evidence: EvidenceStore
    deliveries: Deliveries
    replay: Callable[[JobKey], None]
    _proving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def compute(self, duty: Duty, in_digest: Digest) -> None:
        """Run the shard on an input and start to agree, or go on where the journal left off.

        Raises:
            InvalidInput: the input cannot be used.
            Unavailable: the shard cannot be had now.
        """
        _, runner = await self.around.library.runner(duty.query.version_id, duty.task.shard)
        if self.roster.current(duty) is None:
            return
        work, computation = duty.work(in_digest), duty.computation(in_digest)
        records = [decode_record(body) for body in self.around.journal.records(work)]
        committee = self._committee(duty)
        begun = begin(committee, computation.number)
        state = restore(committee, records) if records else begun
        event: Event = Restarted()
        if state.result is None:
            tensors = computation.tensors_in
            self._observe_start(duty)
            result = await asyncio.to_thread(_own_result, duty, tensors, runner.run)
            self._observe_end(duty)
            event = Started(result, os.urandom(32))
        if (current := self.roster.current(duty)) is not None:
            # Spares may have got slots meanwhile.
            state = replace(state, committee=self._committee(current))
            computation = replace(current.computation(in_digest), agreement=state)
            self.agreements.step(current.having(computation), computation, event)
            self.replay(duty.key)

    def hand_over(self, begun: Duty, in_digest: Digest) -> None:
        """Give the settled output to everybody drawn for the next shard."""
        duty = self.roster.current(begun)
        if duty is None or duty.place is None:
            return
        computation = duty.computation(in_digest)
        if computation.evidence is None:
            return
        message = computation.evidence.handoff(duty.place.context)
        self.roster.update(duty.having(replace(computation, handed_over=True)))
        if not computation.evidence.tensors_out:
            return  # it computed something else, and the others have what is right
        for seat in duty.place.downstream:
            self.roster.tasks.spawn(duty.key, self.deliveries.insist(duty, seat, message))

    async def prove(self, duty: Duty, in_digest: Digest) -> None:
        """Prove the shard and add the proof to the evidence.

        Raises:
            InvalidInput: the circuit does not compute this output from this input.
            Unavailable: the prover cannot be had now.
        """
        assert duty.place is not None
        evidence = duty.computation(in_digest).evidence
        assert evidence is not None
        prover = await self.around.library.prover(duty.query.version_id, duty.place.shard)
        async with self._proving:
            if self.roster.current(duty) is None:
                return
            began = self.around.clock()
            tensors = evidence.tensors_in[0], evidence.tensors_out[0]
            proof = await prover.prove(*tensors, duty.task.proof_blind)
            seconds = self.around.clock() - began
        self.around.metrics.proving.observe(seconds)
        log.info("proved", query=duty.key[0], shard=duty.place.shard, seconds=round(seconds, 1))
        if (current := self.roster.current(duty)) is not None:
            proved = replace(evidence, proof=proof.proof)
            computation = self.evidence.keep(current, current.computation(in_digest), proved)
            self.roster.update(current.having(computation))
            await self.evidence.announce()

    def _observe_start(self, duty: Duty) -> None:
        if duty.place is not None and len(duty.place.seats) > 1:
            shard = duty.place.facts.file_digest
            self.around.observed.begin(duty.key, shard, self.around.clock())

    def _observe_end(self, duty: Duty) -> None:
        if duty.place is not None and len(duty.place.seats) > 1:
            shard, me = duty.place.facts.file_digest, self.around.identity.address
            self.around.observed.committed(duty.key, shard, me, self.around.clock())
        for (shard, peer), finding in self.around.observed.newly_slow().items():
            name, ratio = shard.hex(), round(finding.ratio, 1)
            log.warning("slow peer", shard_file=name, peer=peer, ratio=ratio, runs=finding.runs)

    def _committee(self, duty: Duty) -> Committee:
        place, task = duty.place, duty.task
        assert place is not None
        return Committee(
            place.context,
            place.signers,
            place.signers.index(self.around.identity.address),
            self.around.identity.sign,
            lambda tensors: task.digest(task.shard + 1, place.facts.output_edges, tensors),
            self.around.timing,
            place.spares,
        )


def _own_result(duty: Duty, tensors: Tensors | None, run: Run) -> OwnResult:
    assert duty.place is not None
    if tensors is None:
        tensors = requested_input(duty.task, duty.place.facts, duty.sent)
    return compute(duty.task, duty.place.facts, run, tensors)
