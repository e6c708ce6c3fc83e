"""Applies what arrives to the duties, stores what must not be lost, and starts what is due.

Everything that changes a duty runs on one event loop between two awaits, so nothing here is locked.
What takes time (a read, a run, a proof, a delivery) is a task that comes back with its result.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import structlog

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.events import (
    AttemptOpened,
    ChainEvent,
    LogKey,
    QueryFulfilled,
    QueryRefunded,
    QueryRequested,
)
from nesa.chain.logs import Batch
from nesa.models.proving.prover import Prover
from nesa.privacy.envelopes import Deployment, Opened
from nesa.privacy.sealing import WrapContext, unwrap_content_key
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidInput, InvalidMessage, NesaError
from nesa.protocol.evidence import ShardEvidence, encode_evidence
from nesa.protocol.ids import BlockNumber, Digest, Timestamp, VersionId
from nesa.protocol.messages import ContentKey, Handoff, MemberMessage, Message
from nesa.protocol.queries import Query, decode_query, encode_query
from nesa.protocol.versions import ShardFacts
from nesa.protocol.wire import decode_message, encode_message
from nesa_miner.agreement import actions as agreed
from nesa_miner.agreement.events import Event, MessageReceived, OwnResult, Restarted, Started, Tick
from nesa_miner.agreement.machine import begin, next_wake, restore, step
from nesa_miner.agreement.records import decode_record, encode_record
from nesa_miner.agreement.terms import Committee, Timing
from nesa_miner.duties import (
    Action,
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
from nesa_miner.journal import Job, JobKey, Journal, Phase
from nesa_miner.observability import Metrics
from nesa_miner.waiting import WaitingRoom
from nesa_miner.work import Run, Tensors, compute, handed_input, is_sealed, requested_input

CURSOR: Final = "cursor"
HANDOFF: Final = "handoff"
CONTENT_KEY: Final = "content key"
RETRY_SECONDS: Final = 1.0
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

Deliver = Callable[[Seat, Message, Timestamp], Coroutine[Any, Any, None]]
"""Delivers a message to a seat, trying until a time; losing it is no error."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside of the engine."""

    identity: Identity
    deployment: Deployment
    journal: Journal
    library: Library
    read_committees: ReadCommittees
    deliver: Deliver
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    clock: Callable[[], float]
    metrics: Metrics
    timing: Timing = field(default_factory=Timing)


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
    _retry_at: dict[JobKey, float] = field(default_factory=dict)

    # What arrives

    def restart(self) -> None:
        """Take up what the journal holds; places and agreements come back with the draw."""
        for job in self.around.journal.open_jobs():
            self.duties[job.key] = self._restored(job)

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        journal = self.around.journal
        with journal.transaction():
            gone = journal.undo([log_bytes(undone.log) for undone in batch.undone])
            opened = [self._store(event) for event in batch.events]
            journal.set_fact(CURSOR, batch.cursor.to_json().encode())
        for key in gone:
            self._drop(key, "undone by a reorganisation")
        self._redraw_replaced(batch)
        for event, duty in zip(batch.events, opened, strict=True):
            self._remember(event, duty)
        self.head = batch.cursor.blocks[-1].number if batch.cursor.blocks else self.head
        self.chain_time = batch.head.timestamp

    def _redraw_replaced(self, batch: Batch) -> None:
        """Start over where a reorganisation replaced the seed block but not the request."""
        hashes = {block.number: block.hash for block in batch.cursor.blocks}
        for key, duty in self.duties.items():
            if duty.place is None:
                continue
            seed_hash = duty.place.committees.seed_hash
            if hashes.get(duty.query.seed_block, seed_hash) != seed_hash:
                log.warning("seed block replaced", query=key[0], attempt=key[1])
                self.around.journal.redraw(key)
                self.duties[key] = Duty(key, duty.query, duty.sent)

    def receive(self, opened: Opened) -> None:
        """Take in one message whose envelope checked out.

        Raises:
            InvalidMessage: it is for nothing that this miner has to do with.
        """
        message = opened.message
        context = message if isinstance(message, ContentKey) else message.context
        key = JobKey((context.query_id, context.attempt))
        duty = self.duties.get(key)
        if duty is None or duty.place is None:
            if duty is not None or self.around.journal.job(key) is None:
                self.waiting.keep(key, opened)
            return
        match message:
            case ContentKey():
                self._take_content_key(duty, opened, message)
            case Handoff():
                self._take_handoff(duty, opened, message)
            case _:
                self._take_member_message(duty, opened, message)

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
                journal.end(before.key)
                return self._open(event.log, event.query, before.input)
            case QueryFulfilled() | QueryRefunded():
                for job in journal.open_jobs():
                    if job.key[0] == event.query_id:
                        journal.end(job.key)
        return None

    def _open(self, log_key: LogKey, query: Query, sent: bytes) -> Duty | None:
        key = JobKey((query.query_id, query.attempt))
        is_new = self.around.journal.add_job(key, log_bytes(log_key), encode_query(query), sent)
        return Duty(key, query, sent) if is_new else None

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
        self.around.journal.keep_message(duty.key, CONTENT_KEY, message.wrapped)
        self._set(replace(duty, content_key=content_key))
        self._replay(duty.key)

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
        upstream = None if place is None else place.upstream(opened.sender)
        if place is None or upstream is None:
            raise InvalidMessage("only the committee before this one hands over to it")
        if duty.tensors_in is not None:
            return
        if is_sealed(duty.query) and duty.content_key is None:
            self.waiting.keep(duty.key, opened)
            return
        tensors = handed_input(duty.task, place.facts, *upstream, message)
        self.around.journal.keep_message(duty.key, HANDOFF, encode_message(message))
        self._set(replace(duty, tensors_in=tensors))

    def _take_member_message(self, duty: Duty, opened: Opened, message: MemberMessage) -> None:
        place = duty.place
        if place is None or message.context != place.context:
            raise InvalidMessage("the message is for another shard or seed")
        if opened.sender not in place.signers:
            raise InvalidMessage("only members of the committee take part in its agreement")
        if duty.agreement is None:
            self.waiting.keep(duty.key, opened)
            return
        position = place.signers.index(opened.sender)
        self._agree(duty, MessageReceived(position, message))

    # Agreement

    def _agree(self, duty: Duty, event: Event) -> None:
        """One step of the agreement: journalled in one transaction, then told to the others."""
        if duty.agreement is None:
            return
        state, actions = step(duty.agreement, event, self.around.clock())
        duty = replace(duty, agreement=state)
        with self.around.journal.transaction():
            for action in actions:
                duty = self._record(duty, action)
        self._set(duty)
        for action in actions:
            self._tell(duty, action)

    def _record(self, duty: Duty, action: agreed.Action) -> Duty:
        journal = self.around.journal
        match action:
            case agreed.Journal(record):
                journal.add_record(duty.key, encode_record(record))
            case agreed.Settled(evidence) | agreed.Extended(evidence):
                journal.move(duty.key, Phase.DRAWN, Phase.SETTLED)
                duty = self._with_evidence(duty, evidence)
        return duty

    def _tell(self, duty: Duty, action: agreed.Action) -> None:
        place = duty.place
        assert place is not None
        match action:
            case agreed.Send(positions, message):
                for position in positions:
                    self._send(place.seats[position], message, duty)
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

    def _with_evidence(self, duty: Duty, evidence: ShardEvidence) -> Duty:
        """The duty with its evidence stored; what a sealed query hides is not in what is served."""
        assert duty.place is not None
        known = duty.evidence.proof if duty.evidence is not None else None
        evidence = replace(evidence, proof=evidence.proof or known)
        served = evidence
        if is_sealed(duty.query):
            served = replace(evidence, tensors_in=(), tensors_out=())
        body = encode_evidence(served)
        self.around.journal.keep_evidence(duty.key, duty.place.shard, body)
        return replace(duty, evidence=evidence)

    async def _announce(self) -> None:
        async with self.evidence_changed:
            self.evidence_changed.notify_all()

    def _wake(self, key: JobKey, now: float) -> None:
        duty = self.duties[key]
        if duty.agreement is None:
            return
        due = next_wake(duty.agreement)
        if due is not None and due <= now:
            self._agree(duty, Tick())

    # Actions

    def _start(self, duty: Duty, action: Action) -> None:
        match action:
            case Expire():
                self.around.journal.end(duty.key)
                self._drop(duty.key, "the answer deadline passed")
                return
            case ReadDraw():
                work = self._read_draw(duty.key)
            case Compute():
                work = self._compute(duty.key)
            case HandOver():
                work = self._hand_over(duty.key)
            case Prove():
                work = self._prove(duty.key)
        self._set(replace(duty, busy=duty.busy | {type(action)}))
        self.around.spawn(self._guarded(duty.key, action, work))

    async def _guarded(self, key: JobKey, action: Action, work: Coroutine[Any, Any, None]) -> None:
        """Perform an action: bad input ends the duty, anything else is tried again later."""
        try:
            await work
        except InvalidInput as error:
            log.warning("refused", query=key[0], attempt=key[1], reason=str(error))
            self.around.metrics.refused.inc()
            self.around.journal.end(key)
            self._drop(key, "refused")
        except NesaError as error:
            log.warning("put off", query=key[0], attempt=key[1], reason=str(error))
            self._retry_at[key] = self.around.clock() + RETRY_SECONDS
        finally:
            if (duty := self.duties.get(key)) is not None:
                self._set(replace(duty, busy=duty.busy - {type(action)}))
        self.advance()

    async def _read_draw(self, key: JobKey) -> None:
        committees = await self.around.read_committees(self.duties[key].query)
        if (duty := self.duties.get(key)) is None:
            return
        places = committees.places_of(self.around.identity.address)
        if not places:
            self.around.journal.end(key)
            self._drop(key, "not drawn")
            return
        shard, position = places[0]
        facts, _ = await self.around.library.runner(duty.query.version_id, shard)
        context = self._context(duty.query, committees.seed_hash, shard)
        self.around.journal.draw(key, committees.seed_hash, shard, position)
        self.around.metrics.drawn.inc()
        log.info("drawn", query=key[0], attempt=key[1], shard=shard, position=position)
        if key in self.duties:
            place = Place(committees, context, position, facts)
            self._set(replace(self.duties[key], place=place))
            self._replay(key)

    def _replay(self, key: JobKey) -> None:
        """Take in what came too early."""
        for opened in self.waiting.take(key):
            try:
                self.receive(opened)
            except InvalidInput as error:
                log.debug("message refused", query=key[0], reason=str(error))

    async def _compute(self, key: JobKey) -> None:
        duty = self.duties[key]
        _, runner = await self.around.library.runner(duty.query.version_id, duty.task.shard)
        records = [decode_record(body) for body in self.around.journal.records(key)]
        committee = self._committee(duty)
        state = restore(committee, records) if records else begin(committee)
        event: Event = Restarted()
        if state.result is None:
            result = await asyncio.to_thread(_own_result, duty, runner.run)
            event = Started(result, os.urandom(32))
        if key in self.duties:
            self._set(replace(self.duties[key], agreement=state))
            self._agree(self.duties[key], event)
            self._replay(key)

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

    async def _hand_over(self, key: JobKey) -> None:
        duty = self.duties[key]
        assert duty.place is not None
        assert duty.evidence is not None
        message = duty.evidence.handoff(duty.place.context)
        self._set(replace(duty, handed_over=True))
        for seat in duty.place.downstream:
            self._send(seat, message, duty)

    async def _prove(self, key: JobKey) -> None:
        duty = self.duties[key]
        assert duty.place is not None
        assert duty.evidence is not None
        evidence = duty.evidence
        prover = await self.around.library.prover(duty.query.version_id, duty.place.shard)
        began = self.around.clock()
        proof = await prover.prove(evidence.tensors_in[0], evidence.tensors_out[0])
        seconds = self.around.clock() - began
        self.around.metrics.proving.observe(seconds)
        log.info("proved", query=key[0], shard=duty.place.shard, seconds=round(seconds, 1))
        duty = self.duties.get(key, duty)
        self._set(self._with_evidence(duty, replace(evidence, proof=proof.proof)))
        await self._announce()

    def _send(self, seat: Seat, message: Message, duty: Duty) -> None:
        deadline = duty.query.answer_deadline
        self.around.spawn(self.around.deliver(seat, message, deadline))

    # The rest

    def _set(self, duty: Duty) -> None:
        if duty.key in self.duties:
            self.duties[duty.key] = duty

    def _context(self, query: Query, seed: Digest, shard: int) -> ShardContext:
        deployment = self.around.deployment
        return ShardContext(
            deployment.chain_id, deployment.market, query.query_id, query.attempt, seed, shard
        )

    def _restored(self, job: Job) -> Duty:
        query = decode_query(job.query)
        duty = Duty(job.key, query, job.input)
        wrapped = self.around.journal.message(job.key, CONTENT_KEY)
        if wrapped is not None:
            duty = replace(duty, content_key=self._unwrap(query, wrapped))
        stored = self.around.journal.message(job.key, HANDOFF)
        if stored is not None:
            message = decode_message(stored)
            assert isinstance(message, Handoff)
            duty = replace(duty, tensors_in=message.tensors)
        return duty


def _own_result(duty: Duty, run: Run) -> OwnResult:
    assert duty.place is not None
    tensors: Tensors | None = duty.tensors_in
    if tensors is None:
        tensors = requested_input(duty.task, duty.place.facts, duty.sent)
    return compute(duty.task, duty.place.facts, run, tensors)


def log_bytes(key: LogKey) -> bytes:
    """Key of a log as the journal stores it."""
    return key.block_hash + key.tx_hash + key.log_index.to_bytes(4, "big")
