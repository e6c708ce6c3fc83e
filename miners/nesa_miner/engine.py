"""One miner at work: what chain and peers say changes its duties, and what is due is started.

    chain events, messages --> duties --> next action --> performed --> duties

Everything that changes a duty runs on one event loop between two awaits, so nothing here is locked.
What takes time (a read, a run, a proof, a delivery) is a task that comes back with its result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass, field

import structlog

from nesa.chain.docket import EMPTY
from nesa.chain.logs import Batch
from nesa.privacy.envelopes import Opened
from nesa.protocol.ids import ZERO_DIGEST, BlockNumber, Digest
from nesa.protocol.summons import Call
from nesa_miner.admission import admitted
from nesa_miner.agreeing import Agreements
from nesa_miner.applying import Applier
from nesa_miner.claiming import Claims
from nesa_miner.computing import Computations
from nesa_miner.convicting import FaultStore
from nesa_miner.delivering import Deliveries
from nesa_miner.disputes.equivocating import Equivocators
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.disputes.suing import Suits
from nesa_miner.drawing import Draws
from nesa_miner.duties import Compute, Duty, Fetch, next_action
from nesa_miner.evidence import EvidenceStore
from nesa_miner.fetching import Fetches
from nesa_miner.jobs import JobKey
from nesa_miner.performing import Performer
from nesa_miner.receiving import Receiver
from nesa_miner.requests import RequestedInputs
from nesa_miner.roster import Roster
from nesa_miner.summoning import Summoning
from nesa_miner.summonses import Answers
from nesa_miner.surroundings import Surroundings

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class Engine:
    """One miner's duties and what it does about them; `is_following` is set by who reads blocks.

    `disputes` are those about what it signed, `equivocators` members that it has seen sign two
    outputs of one input, `suits` what it brings against a split committee; None where there is no
    court. `summonses` are those of its committees, `summoning` calls members itself; None where
    nobody can be summoned, or the miner may not.
    """

    around: Surroundings
    disputes: Litigation | None = None
    equivocators: Equivocators | None = None
    suits: Suits | None = None
    summonses: Answers | None = None
    summoning: Summoning | None = None
    is_following: bool = False
    roster: Roster = field(init=False)
    claims: Claims = field(init=False)
    _evidence: EvidenceStore = field(init=False)
    _agreements: Agreements = field(init=False)
    _applier: Applier = field(init=False)
    _receiver: Receiver = field(init=False)
    _performer: Performer = field(init=False)

    def __post_init__(self) -> None:
        around = self.around
        self.roster = roster = Roster(around)
        self.claims = Claims(
            around.identity,
            around.deployment,
            around.journal,
            around.claim,
            around.spawn,
            around.clock,
            self._is_held,
        )
        self._evidence = evidence = EvidenceStore(around.journal)
        deliveries = Deliveries(around, roster)
        convict = None if self.equivocators is None else self.equivocators.add
        faults = FaultStore(around.journal, around.metrics, convict)
        self._agreements = agreements = Agreements(
            around, roster, evidence, deliveries, faults, self.suits
        )
        self._applier = Applier(around, roster, self.claims, self.disputes, self.summonses)
        fetches = Fetches(around, roster, deliveries, RequestedInputs(around, roster))
        self._receiver = Receiver(around, roster, agreements, faults, fetches)
        replay = self._receiver.replay
        draws = Draws(around, roster, replay)
        computations = Computations(around, roster, agreements, evidence, deliveries, replay)
        self._performer = Performer(
            roster, draws, fetches, computations, around.metrics, self.advance
        )

    def _is_held(self, query_id: int) -> bool:
        """Whether a dispute has stopped the clock of a query."""
        return self.disputes is not None and self.disputes.holds(query_id)

    @property
    def duties(self) -> dict[JobKey, Duty]:
        """What is owed, by attempt."""
        return self.roster.duties

    @property
    def head(self) -> BlockNumber:
        """The newest block that was read."""
        return self.roster.head

    @property
    def evidence_changed(self) -> asyncio.Condition:
        """Notified of all new evidence."""
        return self._evidence.changed

    def restart(self) -> None:
        """Take up what the journal holds; places and agreements come back with the draw."""
        self._applier.restart()
        if self.equivocators is not None:
            self.equivocators.reload()
        if self.suits is not None:
            self.suits.reload()

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        self._applier.apply(batch)
        if self.equivocators is not None and batch.undone:
            self.equivocators.reload()

    def receive(self, opened: Opened) -> None:
        """Take in one message whose envelope checked out.

        Raises:
            InvalidInput: it is for nothing that this miner has to do with, or not what it says.
            ExhaustedResource, Unavailable: it cannot be used yet; it may be sent again.
        """
        self._receiver.receive(opened)

    def advance(self) -> None:
        """Start everything that is due now."""
        now = self.around.clock()
        may_begin = admitted(self.duties.values(), self.around.memory_limit)
        for key in list(self.duties):
            self._agreements.wake(key, now)
            if not self.roster.is_put_off(key, now):
                self._start_due(key, may_begin)
        self.claims.advance(self.roster.chain_time)
        if self.disputes is not None and self.is_following:
            self.disputes.advance(self.roster.chain_time)
            if self.suits is not None:
                self.suits.advance(self.disputes.docket)
        if self.equivocators is not None and self.is_following:
            self.equivocators.advance()
        if self.summonses is not None and self.is_following:
            self.summonses.advance(self.roster.chain_time, self._commitment)
            self._summon(self.summonses)
        for version_id in self.roster.take_drained():
            self.around.library.release(version_id)
            log.info("version released", version=f"0x{version_id.hex()}")

    def _summon(self, summonses: Answers) -> None:
        """Call members that say nothing, where this miner may."""
        if self.summoning is not None:
            docket = EMPTY if self.disputes is None else self.disputes.docket
            now, duties = self.roster.chain_time, list(self.duties.values())
            self.summoning.advance(now, duties, summonses.known, docket)

    def _commitment(self, call: Call) -> Digest:
        """This member's commitment of the round that runs, zero before it has one."""
        duty = self.roster.duties.get(JobKey((call.query_id, call.attempt)))
        for computation in () if duty is None else duty.computations:
            state = computation.agreement
            own = None if state is None else state.commits[state.committee.me]
            if own is not None:
                return own.commitment
        return ZERO_DIGEST

    def _start_due(self, key: JobKey, may_begin: Container[JobKey]) -> None:
        roster = self.roster
        while (duty := roster.duties.get(key)) is not None:
            action = next_action(duty, roster.head, roster.chain_time)
            if action is None or (isinstance(action, Fetch | Compute) and key not in may_begin):
                break
            self._performer.start(duty, action)
