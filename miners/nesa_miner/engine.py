"""Applies what arrives to the duties, stores what must not be lost, and starts what is due.

Everything that changes a duty runs on one event loop between two awaits, so nothing here is locked.
What takes time (a read, a run, a proof, a delivery) is a task that comes back with its result.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.events import (
    AttemptOpened,
    ChainEvent,
    LogKey,
    QueryFulfilled,
    QueryRefunded,
    QueryRequested,
    SlotClaimed,
)
from nesa.chain.logs import Batch, Cursor
from nesa.models.proving.prover import Prover
from nesa.privacy.envelopes import Deployment, Opened
from nesa.privacy.sealing import WrapContext, unwrap_content_key
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidInput, InvalidMessage, NesaError, Unavailable
from nesa.protocol.evidence import ShardEvidence, decode_evidence, encode_evidence
from nesa.protocol.ids import BlockNumber, Digest, Timestamp, VersionId
from nesa.protocol.messages import ContentKey, Handoff, Inquiry, MemberMessage, Message
from nesa.protocol.outcomes import closing_time, prover_begins
from nesa.protocol.queries import Query, decode_query, encode_query
from nesa.protocol.versions import ShardFacts
from nesa.protocol.wire import decode_message, encode_message
from nesa_miner.agreement import actions as agreed
from nesa_miner.agreement.events import Event, MessageReceived, OwnResult, Restarted, Started, Tick
from nesa_miner.agreement.machine import begin, next_wake, restore, step
from nesa_miner.agreement.records import decode_record, encode_record
from nesa_miner.agreement.terms import Committee, Timing
from nesa_miner.claiming import Claims, SendClaim
from nesa_miner.duties import (
    Action,
    Computation,
    Compute,
    Duty,
    Expire,
    HandOver,
    Place,
    Prove,
    ReadDraw,
    next_action,
)
from nesa_miner.identity import Identity
from nesa_miner.jobs import Job, JobKey, Phase, WorkKey
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics
from nesa_miner.tasks import KeyedTasks, Spawn
from nesa_miner.waiting import WaitingRoom
from nesa_miner.work import (
    Run,
    Tensors,
    compute,
    is_sealed,
    requested_input,
    require_handed_input,
)

CURSOR: Final = "cursor"
RETRY_SECONDS: Final = 1.0
PRUNE_SECONDS: Final = 60
"""Chain time between two looks for jobs that can be forgotten."""

RETENTION_SECONDS: Final = 86_400
MOST_QUERIES: Final = 1 << 63
"""Numbers of queries that the journal can hold; the chain will not get there."""

GENESIS: Final = BlockNumber(0)
LONG_AGO: Final = Timestamp(0)

log = structlog.get_logger("nesa_miner")


class Runner(Protocol):
    """Runs one shard."""

    @property
    def run(self) -> Run:
        """Canonical bytes in, canonical bytes out."""


class Library(Protocol):
    """The shards that this miner can run and prove."""

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        """A warm shard and what the chain knows of it."""

    async def prover(self, version_id: VersionId, shard: int) -> Prover:
        """Something that proves the shard."""


ReadCommittees = Callable[[Query], Awaitable[DrawnCommittees]]
"""Reads the seed and the seats of an attempt and draws."""

Deliver = Callable[[Seat, Message], Awaitable[bool]]
"""Delivers a message to a seat with a few tries; False when nobody answered there."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside of the engine. What is over is kept for `retention` seconds."""

    identity: Identity
    deployment: Deployment
    journal: Journal
    library: Library
    read_committees: ReadCommittees
    deliver: Deliver
    claim: SendClaim
    spawn: Spawn
    clock: Callable[[], float]
    metrics: Metrics
    timing: Timing = field(default_factory=Timing)
    retention: int = RETENTION_SECONDS


@dataclass(slots=True)
class Engine:
    """One miner's duties and what it does about them."""

    around: Surroundings
    head: BlockNumber = GENESIS
    chain_time: Timestamp = LONG_AGO
    duties: dict[JobKey, Duty] = field(default_factory=dict)
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    evidence_changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    is_following: bool = False
    claims: Claims = field(init=False)
    tasks: KeyedTasks[JobKey] = field(init=False)
    _cursor: Cursor | None = None
    _pruned_at: Timestamp = LONG_AGO
    _retry_at: dict[JobKey, float] = field(default_factory=dict)
    _proving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def __post_init__(self) -> None:
        around = self.around
        self.tasks = KeyedTasks(around.spawn)
        self.claims = Claims(
            around.identity,
            around.deployment,
            around.journal,
            around.claim,
            around.spawn,
            around.clock,
        )

    # What arrives

    def restart(self) -> None:
        """Take up what the journal holds; places and agreements come back with the draw."""
        journal = self.around.journal
        stored = journal.fact(CURSOR)
        self._cursor = None if stored is None else Cursor.from_json(stored.decode())
        for job in journal.open_jobs():
            self.duties[job.key] = self._restored(job)
        self.claims.reload()

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        self.head, self.chain_time = batch.cursor.tip.number, batch.head.timestamp
        if batch.cursor == self._cursor and not batch.events:
            return
        journal, is_rewound = self.around.journal, self._is_rewound(batch)
        with journal.transaction():
            undone = [log_bytes(undone.log) for undone in batch.undone]
            gone, again = journal.undo(undone, self._kept_until())
            if is_rewound:
                again += journal.reopen_undrawn(self.chain_time + self.around.retention)
            opened = [self._store(event) for event in batch.events]
            journal.set_fact(CURSOR, batch.cursor.to_json().encode())
            self._prune()
        for key in gone:
            self._drop(key, "undone by a reorganisation")
        if is_rewound:
            self._doubt_draws()
        self._take_up(again)
        for event, duty in zip(batch.events, opened, strict=True):
            self._remember(event, duty)
        self.claims.reload()
        self._cursor = batch.cursor

    def _is_rewound(self, batch: Batch) -> bool:
        """Whether blocks that were read may be gone, even if no log was in them."""
        return self._cursor is not None and self._cursor.tip not in batch.cursor.blocks

    def _prune(self) -> None:
        if self.chain_time >= self._pruned_at + PRUNE_SECONDS:
            self._pruned_at = self.chain_time
            self.around.journal.prune(self.chain_time)

    def _doubt_draws(self) -> None:
        """The seed block may be another one: look at every draw again, here or under way."""
        for key, duty in self.duties.items():
            if duty.place is None:
                self.tasks.cancel(key)
                self.duties[key] = replace(duty, life=object(), busy=frozenset())
            else:
                self.duties[key] = replace(duty, doubts=duty.doubts + 1)

    def _take_up(self, keys: list[JobKey]) -> None:
        """Owe again what a reorganisation opened again."""
        for key in keys:
            job = self.around.journal.job(key)
            if job is not None and job.phase is not Phase.ENDED:
                self.duties[key] = self._restored(job)

    def receive(self, opened: Opened) -> None:
        """Take in one message whose envelope checked out.

        Raises:
            InvalidInput: it is for nothing that this miner has to do with, or not what it says.
            ExhaustedResource, Unavailable: it cannot be used yet; it may be sent again.
        """
        message = opened.message
        context = message if isinstance(message, ContentKey) else message.context
        key = JobKey((context.query_id, context.attempt))
        if context.query_id >= MOST_QUERIES:
            raise InvalidMessage("there is no such query")
        duty = self.duties.get(key)
        if duty is None:
            self._receive_unexpected(key, opened)
            return
        match message:
            case ContentKey():
                self._take_content_key(duty, opened, message)
            case Handoff():
                self._take_handoff(duty, opened, message)
            case _:
                self._take_member_message(duty, opened, message)

    def _receive_unexpected(self, key: JobKey, opened: Opened) -> None:
        """Of what is over nothing is wanted; what may come is kept if it is short, or asked for.

        Members ask each other for what was lost. Content keys and hand-overs come once, so they
        are taken only where they are stored.
        """
        job = self.around.journal.job(key)
        if job is not None and not job.may_reopen:
            return
        if job is not None or isinstance(opened.message, ContentKey | Handoff):
            raise Unavailable("this miner has no part in the attempt as far as it knows")
        self.waiting.keep_early(key, opened, self.around.clock(), self.duties)

    def advance(self) -> None:
        """Start everything that is due now."""
        now = self.around.clock()
        for key in list(self.duties):
            self._wake(key, now)
            if self._retry_at.get(key, 0.0) > now:
                continue
            while (duty := self.duties.get(key)) is not None:
                action = next_action(duty, self.head, self.chain_time)
                if action is None:
                    break
                self._start(duty, action)
        self.claims.advance(self.chain_time)

    # Chain events

    def _store(self, event: ChainEvent) -> Duty | None:
        """Store what an event opens or ends; returns the duty that it opened."""
        journal = self.around.journal
        match event:
            case QueryRequested():
                return self._open(event.log, event.query, event.input)
            case AttemptOpened():
                before = journal.job(JobKey((event.query_id, event.query.attempt - 1)))
                if before is None:
                    return None
                journal.conclude(event.query_id, log_bytes(event.log), self._kept_until())
                return self._open(event.log, event.query, before.input)
            case QueryFulfilled():
                self.claims.note_answer(event, log_bytes(event.log))
                self._conclude(event)
            case QueryRefunded():
                journal.conclude(event.query_id, log_bytes(event.log), self._kept_until())
            case SlotClaimed():
                self.claims.note_claimed(event, log_bytes(event.log))
        return None

    def _conclude(self, answer: QueryFulfilled) -> None:
        """Store that a query is answered; what shows the work is kept until nobody asks for it."""
        jobs, until = self.around.journal.attempts(answer.query_id), self._kept_until()
        if jobs:
            query = decode_query(jobs[-1].query)
            until = max(until, closing_time(query, answer.outcome.fulfilled_at))
        self.around.journal.conclude(answer.query_id, log_bytes(answer.log), until)

    def _kept_until(self) -> Timestamp:
        return Timestamp(self.chain_time + self.around.retention)

    def _open(self, log_key: LogKey, query: Query, sent: bytes) -> Duty | None:
        key = JobKey((query.query_id, query.attempt))
        is_new = self.around.journal.add_job(key, log_bytes(log_key), encode_query(query), sent)
        return self._begun(key, query, sent) if is_new else None

    def _remember(self, event: ChainEvent, duty: Duty | None) -> None:
        match event:
            case QueryRequested() | AttemptOpened():
                self._drop(JobKey((event.query_id, event.query.attempt - 1)), "retried")
                if duty is not None:
                    self.duties[duty.key] = duty
            case QueryFulfilled():
                for key in [key for key in self.duties if key[0] == event.query_id]:
                    self._note_pay(self.duties[key], event)
                    self._drop(key, "fulfilled")
            case QueryRefunded():
                for key in [key for key in self.duties if key[0] == event.query_id]:
                    self._drop(key, "refunded")

    def _note_pay(self, duty: Duty, event: QueryFulfilled) -> None:
        place = duty.place
        if place is None:
            return
        is_paid = bool(event.outcome.shards[place.shard].paid >> place.position & 1)
        self.around.metrics.answered(is_paid)
        log.info("query fulfilled", query=event.query_id, shard=place.shard, paid=is_paid)

    def _drop(self, key: JobKey, why: str) -> None:
        self.tasks.cancel(key)
        self.waiting.forget(key)
        self._retry_at.pop(key, None)
        if self.duties.pop(key, None) is not None:
            log.info("duty over", query=key[0], attempt=key[1], why=why)

    # Messages

    def _take_content_key(self, duty: Duty, opened: Opened, message: ContentKey) -> None:
        if opened.sender != duty.query.requester or not is_sealed(duty.query):
            raise InvalidMessage("only the requester of a sealed query sends its content key")
        if duty.content_key is not None:
            return
        content_key = self._unwrap(duty.query, message.wrapped)
        self.around.journal.keep_content_key(duty.key, duty.query.input_digest, message.wrapped)
        self._set(replace(duty, content_key=content_key))

    def _unwrap(self, query: Query, wrapped: bytes) -> bytes:
        around = self.around
        context = WrapContext(
            around.deployment.chain_id,
            around.deployment.market,
            query.query_id,
            query.attempt,
            around.identity.address,
        )
        return unwrap_content_key(wrapped, around.identity.encryption, context)

    def _take_handoff(self, duty: Duty, opened: Opened, message: Handoff) -> None:
        place = duty.place
        if place is None or duty.doubts or message.context.seed != place.context.seed:
            raise Unavailable("the draw that the hand-over is of is not known here yet")
        upstream = place.upstream(opened.sender)
        if upstream is None:
            raise InvalidMessage("only the committee before this one hands over to it")
        position = place.upstream_position(opened.sender)
        if not duty.wants(position, message):
            return
        if is_sealed(duty.query) and duty.content_key is None:
            raise Unavailable("the content key is not here yet")
        begins = prover_begins(duty.query, position)
        if begins is None or begins > self.chain_time:
            raise Unavailable("it is not the turn of this prover yet")
        require_handed_input(duty.task, place.facts, *upstream, message)
        body = encode_message(message)
        self.around.journal.keep_handoff(duty.key, place.context.seed, position, body)
        self._set(duty.taking(position, message))

    def _take_member_message(self, duty: Duty, opened: Opened, message: MemberMessage) -> None:
        place = duty.place
        if place is None:
            self.waiting.keep_early(duty.key, opened, self.around.clock(), self.duties)
            return
        if message.context != place.context:
            raise InvalidMessage("the message is for another shard or seed")
        if opened.sender not in place.signers:
            raise InvalidMessage("only members of the committee take part in its agreement")
        begun = [one for one in duty.computations if one.agreement is not None]
        if not begun:
            if not isinstance(message, Inquiry):
                self.waiting.keep_from_member(duty.key, opened, self.around.clock())
            return
        position = place.signers.index(opened.sender)
        self._agree(duty, begun[0], MessageReceived(position, message))

    # Agreement

    def _agree(self, duty: Duty, computation: Computation, event: Event) -> None:
        """One step of an agreement: journalled in one transaction, then told to the others."""
        if computation.agreement is None:
            return
        state, actions = step(computation.agreement, event, self.around.clock())
        computation = replace(computation, agreement=state)
        with self.around.journal.transaction():
            for action in actions:
                computation = self._record(duty, computation, action)
        self._set(duty.having(computation))
        for action in actions:
            self._tell(duty, action)

    def _record(self, duty: Duty, computation: Computation, action: agreed.Action) -> Computation:
        journal = self.around.journal
        match action:
            case agreed.Journal(record):
                journal.add_record(duty.work(computation.in_digest), encode_record(record))
            case agreed.Settled(evidence) | agreed.Extended(evidence):
                journal.move(duty.key, Phase.DRAWN, Phase.SETTLED)
                return self._with_evidence(duty, computation, evidence)
        return computation

    def _tell(self, duty: Duty, action: agreed.Action) -> None:
        place = duty.place
        assert place is not None
        match action:
            case agreed.Send(positions, message):
                for position in positions:
                    self.around.spawn(self._send(place.seats[position], message))
            case agreed.Settled() | agreed.Extended():
                log.info("settled", query=duty.key[0], shard=place.shard)
                self.around.spawn(self._announce())
            case agreed.Dissent(position, _):
                operator = place.seats[position].operator
                self.around.metrics.dissents.inc()
                log.warning("dissent", query=duty.key[0], shard=place.shard, operator=operator)
            case agreed.Finished(silent) if silent:
                operators = [place.seats[position].operator for position in silent]
                log.warning("silent", query=duty.key[0], shard=place.shard, operators=operators)
            case agreed.Dropped(position, reason):
                log.debug("message dropped", query=duty.key[0], member=position, reason=reason)

    def _with_evidence(
        self, duty: Duty, computation: Computation, evidence: ShardEvidence
    ) -> Computation:
        """The computation with its evidence stored; what is served shows no sealed tensor."""
        assert duty.place is not None
        work = duty.work(computation.in_digest)
        proof = evidence.proof or self._known_proof(work, computation, evidence)
        evidence = replace(evidence, proof=proof)
        served = evidence
        if is_sealed(duty.query):
            served = replace(evidence, tensors_in=(), tensors_out=())
        self.around.journal.keep_evidence(work, duty.place.shard, encode_evidence(served))
        return replace(computation, evidence=evidence)

    def _known_proof(
        self, work: WorkKey, computation: Computation, evidence: ShardEvidence
    ) -> bytes | None:
        """The proof of the same output that was made before, also before a restart."""
        known = computation.evidence
        stored = self.around.journal.evidence_of(work)
        if known is None and stored is not None:
            known = decode_evidence(stored)
        is_same = known is not None and known.out_digest == evidence.out_digest
        return known.proof if known is not None and is_same else None

    async def _announce(self) -> None:
        async with self.evidence_changed:
            self.evidence_changed.notify_all()

    def _wake(self, key: JobKey, now: float) -> None:
        for in_digest in [one.in_digest for one in self.duties[key].computations]:
            duty = self.duties[key]
            computation = duty.computation(in_digest)
            due = None if computation.agreement is None else next_wake(computation.agreement)
            if due is not None and due <= now:
                self._agree(duty, computation, Tick())

    # Actions

    def _start(self, duty: Duty, action: Action) -> None:
        if isinstance(action, Expire):
            self._end(duty, "the answer deadline passed")
            return
        self._set(replace(duty, busy=duty.busy | {action}))
        self.tasks.spawn(duty.key, self._guarded(duty, action))

    async def _guarded(self, duty: Duty, action: Action) -> None:
        """Perform an action: bad input ends the duty, anything else is tried again later.

        That goes for mistakes in this program too: one query may not end the work for all others.
        """
        try:
            await self._perform(duty, action)
        except InvalidInput as error:
            self._refuse(duty, action, error)
        except NesaError as error:
            self._put_off(duty, error)
        except Exception as error:
            log.error("failed", query=duty.key[0], attempt=duty.key[1], **_mistake(error))
            self._put_off(duty, error)
        finally:
            if (current := self._current(duty)) is not None:
                self._set(replace(current, busy=current.busy - {action}))
        self.advance()

    async def _perform(self, duty: Duty, action: Action) -> None:
        match action:
            case ReadDraw():
                await self._read_draw(duty)
            case Compute(in_digest):
                await self._compute(duty, in_digest)
            case HandOver(in_digest):
                self._hand_over(duty, in_digest)
            case Prove(in_digest):
                await self._prove(duty, in_digest)

    def _refuse(self, duty: Duty, action: Action, error: InvalidInput) -> None:
        current = self._current(duty)
        if current is None:
            return
        log.warning("refused", query=duty.key[0], attempt=duty.key[1], reason=_said(duty, error))
        self.around.metrics.refused.inc()
        if current.may_get_another_input and isinstance(action, Compute | Prove):
            refused = replace(current.computation(action.in_digest), is_refused=True)
            self._set(current.having(refused))
        else:
            self._end(duty, "refused")

    def _put_off(self, duty: Duty, error: Exception) -> None:
        if self._current(duty) is not None:
            log.warning(
                "put off", query=duty.key[0], attempt=duty.key[1], reason=_said(duty, error)
            )
            self._retry_at[duty.key] = self.around.clock() + RETRY_SECONDS

    def _end(self, duty: Duty, why: str) -> None:
        """Nothing more to do for this attempt, although it is not answered."""
        self.around.journal.end(duty.key, duty.query.answer_deadline + self.around.retention)
        self._drop(duty.key, why)

    async def _read_draw(self, asked: Duty) -> None:
        committees = await self.around.read_committees(asked.query)
        duty = self._of_this_draw(asked, committees)
        if duty is None:
            return
        places = committees.places_of(self.around.identity.address)
        if not places:
            self._end(duty, "not drawn")
            return
        facts, _ = await self.around.library.runner(duty.query.version_id, places[0][0])
        if (current := self._current(duty)) is not None and not current.doubts:
            self._take_place(current, committees, places[0], facts)

    def _of_this_draw(self, asked: Duty, committees: DrawnCommittees) -> Duty | None:
        """The duty that still needs its place; one that was drawn by another seed starts over."""
        duty = self._current(asked)
        job = self.around.journal.job(asked.key)
        if duty is None or job is None or duty.doubts != asked.doubts:
            return None
        if job.seed not in (None, committees.seed_hash):
            log.warning("seed block replaced", query=duty.key[0], attempt=duty.key[1])
            self.tasks.cancel(duty.key)
            self.around.journal.redraw(duty.key)
            self.duties[duty.key] = duty = duty.anew()
        if duty.doubts:
            self._set(replace(duty, doubts=0))
        return duty if duty.place is None else None

    def _take_place(
        self, duty: Duty, committees: DrawnCommittees, at: tuple[int, int], facts: ShardFacts
    ) -> None:
        key, (shard, position) = duty.key, at
        self.around.journal.draw(key, committees.seed_hash, shard, position)
        self.around.metrics.drawn.inc()
        log.info("drawn", query=key[0], attempt=key[1], shard=shard, position=position)
        context = self._context(duty.query, committees.seed_hash, shard)
        duty = duty.drawn_at(Place(committees, context, position, facts))
        for sender, body in self.around.journal.handoffs(key, committees.seed_hash):
            message = decode_message(body)
            assert isinstance(message, Handoff)
            duty = duty.taking(sender, message)
        self._set(duty)
        self._replay(key)

    def _replay(self, key: JobKey) -> None:
        """Take in what came too early."""
        for opened in self.waiting.take(key):
            try:
                self.receive(opened)
            except NesaError as error:
                log.debug("message refused", query=key[0], reason=str(error))

    async def _compute(self, duty: Duty, in_digest: Digest) -> None:
        _, runner = await self.around.library.runner(duty.query.version_id, duty.task.shard)
        if self._current(duty) is None:
            return
        work, computation = duty.work(in_digest), duty.computation(in_digest)
        records = [decode_record(body) for body in self.around.journal.records(work)]
        committee = self._committee(duty)
        begun = begin(committee, computation.number)
        state = restore(committee, records) if records else begun
        event: Event = Restarted()
        if state.result is None:
            tensors = computation.tensors_in
            result = await asyncio.to_thread(_own_result, duty, tensors, runner.run)
            event = Started(result, os.urandom(32))
        if (current := self._current(duty)) is not None:
            computation = replace(current.computation(in_digest), agreement=state)
            self._agree(current.having(computation), computation, event)
            self._replay(duty.key)

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
        )

    def _hand_over(self, begun: Duty, in_digest: Digest) -> None:
        duty = self._current(begun)
        if duty is None or duty.place is None:
            return
        computation = duty.computation(in_digest)
        if computation.evidence is None:
            return
        message = computation.evidence.handoff(duty.place.context)
        self._set(duty.having(replace(computation, handed_over=True)))
        for seat in duty.place.downstream:
            self.tasks.spawn(duty.key, self._insist(duty, seat, message))

    async def _prove(self, duty: Duty, in_digest: Digest) -> None:
        assert duty.place is not None
        evidence = duty.computation(in_digest).evidence
        assert evidence is not None
        prover = await self.around.library.prover(duty.query.version_id, duty.place.shard)
        async with self._proving:
            if self._current(duty) is None:
                return
            began = self.around.clock()
            proof = await prover.prove(evidence.tensors_in[0], evidence.tensors_out[0])
            seconds = self.around.clock() - began
        self.around.metrics.proving.observe(seconds)
        log.info("proved", query=duty.key[0], shard=duty.place.shard, seconds=round(seconds, 1))
        if (current := self._current(duty)) is not None:
            proved = replace(evidence, proof=proof.proof)
            computation = current.computation(in_digest)
            self._set(current.having(self._with_evidence(current, computation, proved)))
            await self._announce()

    async def _send(self, seat: Seat, message: Message) -> None:
        """Deliver what its receiver asks for again when it is lost."""
        await self._delivered(seat, message)

    async def _insist(self, duty: Duty, seat: Seat, message: Message) -> None:
        """Deliver what its receiver cannot ask for, as long as the duty lasts."""
        while self._current(duty) is not None:
            if await self._delivered(seat, message):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _delivered(self, seat: Seat, message: Message) -> bool:
        """False when trying again makes sense."""
        try:
            return await self.around.deliver(seat, message)
        except Exception as error:
            log.error("not delivered", to=seat.signer, **_mistake(error))
            return True

    # The rest

    def _set(self, duty: Duty) -> None:
        if self._current(duty) is not None:
            self.duties[duty.key] = duty

    def _current(self, duty: Duty) -> Duty | None:
        """What became of a duty meanwhile; None when it is over or has started over."""
        current = self.duties.get(duty.key)
        return current if current is not None and current.life is duty.life else None

    def _context(self, query: Query, seed: Digest, shard: int) -> ShardContext:
        deployment = self.around.deployment
        return ShardContext(
            deployment.chain_id, deployment.market, query.query_id, query.attempt, seed, shard
        )

    def _restored(self, job: Job) -> Duty:
        return self._begun(job.key, decode_query(job.query), job.input)

    def _begun(self, key: JobKey, query: Query, sent: bytes) -> Duty:
        """The duty before its draw, with the content key if that was sent already."""
        wrapped = self.around.journal.content_key(key, query.input_digest)
        content_key = None if wrapped is None else self._unwrap(query, wrapped)
        return Duty(key, query, sent, content_key=content_key)


def _own_result(duty: Duty, tensors: Tensors | None, run: Run) -> OwnResult:
    assert duty.place is not None
    if tensors is None:
        tensors = requested_input(duty.task, duty.place.facts, duty.sent)
    return compute(duty.task, duty.place.facts, run, tensors)


def _said(duty: Duty, error: Exception) -> str:
    """An error's words; of a sealed query only its kind, for words may hold values."""
    return type(error).__name__ if is_sealed(duty.query) else str(error)


def _mistake(error: Exception) -> dict[str, str]:
    """Where an error came from, without its words, which may hold what a sealed query hides."""
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    return {"error": type(error).__name__, "where": where}


def log_bytes(key: LogKey) -> bytes:
    """Key of a log as the journal stores it."""
    return key.block_hash + key.tx_hash + key.log_index.to_bytes(4, "big")
