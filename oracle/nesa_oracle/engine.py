"""Applies what the chain says, stores what must not be lost, and starts what is due.

Everything that changes a duty runs on one event loop between two awaits. What takes time is a task
that comes back with its result.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from nesa.chain.committees import DrawnCommittees
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.chain.events import (
    AttemptOpened,
    ChainEvent,
    LogKey,
    MemberAbsent,
    QueryDelivered,
    QueryFulfilled,
    QueryOverturned,
    QueryRefunded,
    QueryReleased,
    QueryRequested,
)
from nesa.chain.logs import Batch
from nesa.chain.status import tally
from nesa.protocol.errors import InvalidInput, NesaError
from nesa.protocol.ids import Address, BlockNumber, Digest, Timestamp
from nesa.protocol.outcomes import closing_time
from nesa.protocol.queries import Assurance, Outcome, Query
from nesa_oracle.checks import Case
from nesa_oracle.duties import (
    Action,
    Deliver,
    Duty,
    Finish,
    Gather,
    PinSeed,
    ReadDraw,
    Situation,
    Submit,
    next_action,
)
from nesa_oracle.journal import Job, JobKey, Journal, Phase
from nesa_oracle.observability import Metrics
from nesa_oracle.report import Report
from nesa_oracle.submission import Fate, Submitter
from nesa_oracle.turns import delivery_delay

RETRY_SECONDS: Final = 1.0
EARLY_SECONDS: Final = 0.2
LONGEST_PAUSE: Final = 15.0
GENESIS: Final = BlockNumber(0)
LONG_AGO: Final = Timestamp(0)

log = structlog.get_logger("nesa_oracle")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside of the engine."""

    me: Address
    chain_id: int
    market: Address
    finality: int
    journal: Journal
    submitter: Submitter
    seed_hash: Callable[[Query], Awaitable[Digest]]
    read_committees: Callable[[Query, Digest], Awaitable[DrawnCommittees]]
    gather: Callable[[Case, bytes], Awaitable[Report]]
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    clock: Callable[[], float]
    metrics: Metrics


@dataclass(slots=True)
class Engine:
    """One oracle's duties and what it does about them. Nothing is done before it has caught up."""

    around: Surroundings
    block: BlockNumber = GENESIS
    time: Timestamp = LONG_AGO
    is_following: bool = False
    duties: dict[JobKey, Duty] = field(default_factory=dict)
    _retry_at: dict[JobKey, float] = field(default_factory=dict)
    _failures: dict[JobKey, int] = field(default_factory=dict)

    def restart(self) -> None:
        """Take up what the journal holds."""
        self.duties = {job.key: Duty(job) for job in self.around.journal.unfinished()}

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        journal = self.around.journal
        self.block, self.time = batch.cursor.tip.number, batch.head.timestamp
        self.is_following = self.is_following or batch.is_caught_up
        if batch.cursor == journal.cursor():
            return
        with journal.transaction():
            for undone in batch.undone:
                journal.undo(undone.log)
            for event in batch.events:
                self._store(event)
            journal.set_cursor(batch.cursor)
        self.around.metrics.reorgs.inc(len(batch.undone))
        if batch.undone or batch.events:
            self._reload(forget_draws=bool(batch.undone))
        for event in batch.events:
            if isinstance(event, MemberAbsent):
                self._draw_again(JobKey((event.query_id, event.attempt)))

    def advance(self) -> None:
        """Start everything that is due now."""
        if not self.is_following:
            return
        now, around = self.around.clock(), self.around
        situation = Situation(self.block, self.time, around.me, around.finality)
        for key in list(self.duties):
            if self._retry_at.get(key, 0.0) <= now:
                action = next_action(self.duties[key], situation)
                if action is not None:
                    self._start(self.duties[key], action)

    def summary(self) -> Mapping[str, Any]:
        """Who this is, how far it has read, and how many attempts are how far, for JSON."""
        phases = tally((str(duty.job.phase) for duty in self.duties.values()), map(str, Phase))
        return {
            "signer": None if self.around.me == ZERO_ADDRESS else self.around.me,
            "processed": self.block,
            "following": self.is_following,
            "jobs": phases,
        }

    # Chain events

    def _store(self, event: ChainEvent) -> None:
        journal = self.around.journal
        match event:
            case QueryRequested():
                journal.open(event.log, event.query, event.input)
                self.around.metrics.seen.inc()
            case AttemptOpened():
                sent = journal.input_of(event.query_id)
                self._end_attempts(event.query_id, event.log)
                journal.open(event.log, event.query, sent)
                self.around.metrics.seen.inc()
            case QueryFulfilled():
                for job in self._end_attempts(event.query_id, event.log):
                    self._await_delivery(job, event.outcome)
                journal.forget_finished(event.query_id)
            case QueryRefunded():
                self._end_attempts(event.query_id, event.log)
                journal.forget_finished(event.query_id)
            case QueryReleased():
                journal.postpone_delivery(event.query_id, event.closes_at)
            case QueryDelivered() | QueryOverturned():
                journal.delivered(event.query_id, event.log)
            case _:
                pass

    def _end_attempts(self, query_id: int, log_key: LogKey) -> list[Job]:
        """The attempts that `log_key` is the end of."""
        ended = self.around.journal.unanswered(query_id)
        for job in ended:
            self.around.journal.end(job.key, log_key)
        return ended

    def _await_delivery(self, job: Job, outcome: Outcome) -> None:
        """Nobody is paid for a delivery that calls nobody: those are left to who wants them."""
        query = job.query
        if query.assurance is Assurance.CHALLENGED and query.callback_gas > 0:
            closes_at = closing_time(query, outcome.fulfilled_at)
            delay = delivery_delay(query, outcome.reporter, self.around.me)
            self.around.journal.await_delivery(job.key, closes_at, delay)

    def _reload(self, *, forget_draws: bool) -> None:
        """Duties as the journal has them now, with what is known of them besides."""
        before, self.duties = self.duties, {}
        for job in self.around.journal.unfinished():
            old = before.get(job.key)
            duty = Duty(job) if old is None else replace(old, job=job)
            self.duties[job.key] = Duty(job, is_busy=duty.is_busy) if forget_draws else duty

    # Actions

    def _start(self, duty: Duty, action: Action) -> None:
        match action:
            case Finish(why):
                self._finish(duty, why)
                return
            case ReadDraw():
                work = self._read_draw(duty)
            case Gather():
                work = self._gather(duty)
            case PinSeed():
                work = self._pin_seed(duty)
            case Submit(until):
                work = self._submit(duty, until)
            case Deliver():
                work = self._deliver(duty)
        self.duties[duty.key] = replace(duty, is_busy=True)
        self.around.spawn(self._guarded(duty.key, work))

    async def _guarded(self, key: JobKey, work: Coroutine[Any, Any, None]) -> None:
        """Perform an action; whatever goes wrong is tried again after a growing pause.

        That goes for mistakes in this program too: one query may not end the work for all others.
        """
        try:
            await work
        except NesaError as error:
            self._put_off(key, str(error))
            if isinstance(error, InvalidInput):
                self._forget_draw(key)
        except Exception as error:
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("failed", query=key[0], attempt=key[1], where=where)
            self._put_off(key, type(error).__name__)
        else:
            self._failures.pop(key, None)
        finally:
            self._update(key, is_busy=False)
        self.advance()

    def _put_off(self, key: JobKey, reason: str) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(RETRY_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE)
        self._retry_at[key] = self.around.clock() + pause
        log.warning("put off", query=key[0], attempt=key[1], seconds=pause, reason=reason)

    async def _read_draw(self, duty: Duty) -> None:
        seed_hash = await self.around.seed_hash(duty.query)
        committees = await self.around.read_committees(duty.query, seed_hash)
        self._update(duty.key, committees=committees)

    async def _gather(self, duty: Duty) -> None:
        committees = await self._same_draw(duty)
        if committees is None:
            return
        case = Case(self.around.chain_id, self.around.market, committees)
        with self.around.metrics.gathering.time():
            report = await self.around.gather(case, duty.job.input)
        calldata = self.around.submitter.calldata(duty.query, report)
        if self.around.journal.gathered(duty.key, calldata):
            self.around.metrics.gathered.inc()
            log.info("report ready", query=duty.key[0], attempt=duty.key[1], paid=report.paid)
        self._refresh(duty.key)

    async def _submit(self, duty: Duty, until: Timestamp) -> None:
        if await self._same_draw(duty) is None:
            return
        fate = await self.around.submitter.submit(duty.job, self.block, self.time, until)
        log.info("submission", query=duty.key[0], attempt=duty.key[1], fate=fate.name)
        if fate is Fate.REFUSED:
            self.around.journal.discard_report(duty.key)
            self._forget_draw(duty.key)
        pauses = {Fate.DRY: LONGEST_PAUSE, Fate.EARLY: EARLY_SECONDS}
        self._retry_at[duty.key] = self.around.clock() + pauses.get(fate, RETRY_SECONDS)
        self._refresh(duty.key)
        if fate is Fate.MINED:
            await self.around.submitter.settle(duty.job)

    async def _deliver(self, duty: Duty) -> None:
        fate = await self.around.submitter.deliver(duty.job)
        log.info("delivery", query=duty.key[0], fate=fate.name)
        pause = RETRY_SECONDS if fate is Fate.MINED else LONGEST_PAUSE
        self._retry_at[duty.key] = self.around.clock() + pause

    async def _pin_seed(self, duty: Duty) -> None:
        await self.around.submitter.pin_seed(duty.query)
        self._update(duty.key, is_pinned=True)

    async def _same_draw(self, duty: Duty) -> DrawnCommittees | None:
        """The draw, unless a reorganisation replaced the seed block since it was read."""
        committees = duty.committees
        if committees is None or await self.around.seed_hash(duty.query) == committees.seed_hash:
            return committees
        log.warning("seed block replaced", query=duty.key[0], attempt=duty.key[1])
        self.around.journal.discard_report(duty.key)
        self._forget_draw(duty.key)
        self._refresh(duty.key)
        return None

    # The rest

    def _finish(self, duty: Duty, why: str) -> None:
        """Let go of a job; one that nobody answered stays on record, for it may be asked again."""
        key = duty.key
        self.around.journal.finish(key)
        if duty.job.ended_at is not None:
            self.around.journal.forget_finished(key[0])
        self.duties.pop(key, None)
        self._retry_at.pop(key, None)
        self._failures.pop(key, None)
        log.info("job over", query=key[0], attempt=key[1], why=why)
        if duty.job.ended_at is None and duty.is_drawn(self.around.me):
            self.around.metrics.expired.inc()
            had_report = duty.job.report is not None
            log.warning("expired unanswered", query=key[0], attempt=key[1], had_report=had_report)

    def _draw_again(self, key: JobKey) -> None:
        """A spare has a slot now: whatever was put off for want of members is tried at once."""
        self._forget_draw(key)
        self._failures.pop(key, None)
        self._retry_at.pop(key, None)

    def _forget_draw(self, key: JobKey) -> None:
        self._update(key, committees=None)

    def _refresh(self, key: JobKey) -> None:
        """The duty's job as the journal has it now."""
        job = self.around.journal.job(key)
        if job is not None:
            self._update(key, job=job)

    def _update(self, key: JobKey, **changes: Any) -> None:
        if key in self.duties:
            self.duties[key] = replace(self.duties[key], **changes)
