"""Takes agreements a step further: journalled in one transaction, then told to the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from nesa.protocol.commitments import set_digest
from nesa.protocol.faults import faults_in
from nesa.protocol.statements import encode_statement
from nesa_miner.agreement import actions as agreed
from nesa_miner.agreement import machine
from nesa_miner.agreement.events import Event, Tick
from nesa_miner.agreement.machine import next_wake
from nesa_miner.agreement.records import encode_record
from nesa_miner.convicting import FaultStore
from nesa_miner.delivering import Deliveries
from nesa_miner.disputes.suing import Suits
from nesa_miner.duties import Computation, Duty
from nesa_miner.evidence import EvidenceStore
from nesa_miner.jobs import JobKey, Phase
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings
from nesa_miner.work import is_sealed

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreements of the duties' computations."""

    around: Surroundings
    roster: Roster
    evidence: EvidenceStore
    deliveries: Deliveries
    faults: FaultStore
    suits: Suits | None = None

    def step(self, duty: Duty, computation: Computation, event: Event) -> None:
        """Give an event to an agreement and do what it answers; nothing if it has not begun."""
        if computation.agreement is None:
            return
        state, actions = machine.step(computation.agreement, event, self.around.clock())
        computation = replace(computation, agreement=state)
        with self.around.journal.transaction():
            for action in actions:
                computation = self._record(duty, computation, action)
        self.roster.update(duty.having(computation))
        for action in actions:
            self._tell(duty, action)

    def wake(self, key: JobKey, now: float) -> None:
        """Tell the agreements of one duty whose time has come that it has."""
        for in_digest in [one.in_digest for one in self.roster.duties[key].computations]:
            duty = self.roster.duties[key]
            computation = duty.computation(in_digest)
            due = None if computation.agreement is None else next_wake(computation.agreement)
            if due is not None and due <= now:
                self.step(duty, computation, Tick())

    def _record(self, duty: Duty, computation: Computation, action: agreed.Action) -> Computation:
        journal = self.around.journal
        match action:
            case agreed.Journal(record):
                journal.add_record(duty.work(computation.in_digest), encode_record(record))
            case agreed.Settled(evidence) | agreed.Extended(evidence):
                journal.move(duty.key, Phase.DRAWN, Phase.SETTLED)
                return self.evidence.keep(duty, computation, evidence)
            case agreed.Dissent() | agreed.Equivocated():
                self._convict(duty, computation)
            case agreed.Opposed(statement) if not is_sealed(duty.query):
                journal.keep_statement(duty.key, statement.signer, encode_statement(statement))
        return computation

    def _convict(self, duty: Duty, computation: Computation) -> None:
        place, state = duty.place, computation.agreement
        assert place is not None
        assert state is not None
        context = state.committee.context
        certified = [(one.round, one.commitments) for one in state.certificates]
        sets = {set_digest(context, *one): one[1] for one in certified}
        self.faults.keep(place.seats, faults_in(state.committee.size, state.reveals, sets))

    def _tell(self, duty: Duty, action: agreed.Action) -> None:
        place = duty.place
        assert place is not None
        match action:
            case agreed.Send(positions, message):
                for position in positions:
                    self.around.spawn(self.deliveries.send(place.seats[position], message))
            case agreed.Settled() | agreed.Extended():
                log.info("settled", query=duty.key[0], shard=place.shard)
                self.around.spawn(self.evidence.announce())
            case agreed.Dissent(position, _):
                operator = place.seats[position].operator
                self.around.metrics.dissents.inc()
                log.warning("dissent", query=duty.key[0], shard=place.shard, operator=operator)
            case agreed.Opposed(statement):
                operator = place.seats[statement.reveal.position].operator
                log.warning("split", query=duty.key[0], shard=place.shard, against=operator)
                # A game would show everybody what the client of a sealed query pays to keep.
                if self.suits is not None and not is_sealed(duty.query):
                    self.suits.add(duty.query, statement)
            case agreed.Finished(silent) if silent:
                operators = [place.seats[position].operator for position in silent]
                log.warning("silent", query=duty.key[0], shard=place.shard, operators=operators)
            case agreed.Dropped(position, reason):
                log.debug("message dropped", query=duty.key[0], member=position, reason=reason)
