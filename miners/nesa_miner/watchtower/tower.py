"""One watchtower at work: what the chain says makes cases, and what is due for them is started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import structlog

from nesa.chain.events import ChainEvent, QueryFulfilled, QueryHeld, QueryOverturned, QueryReleased
from nesa.chain.history import QueryHistory
from nesa.chain.logs import Batch, Cursor
from nesa.protocol.errors import NesaError, Unavailable
from nesa.protocol.ids import ONE_NES, QueryId, Timestamp, VersionId
from nesa.protocol.outcomes import closing_time
from nesa.protocol.queries import Outcome, Query
from nesa_miner.applying import log_bytes
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.log_format import origin_of
from nesa_miner.roster import LONG_AGO
from nesa_miner.surroundings import WitnessLibrary
from nesa_miner.tasks import Spawn
from nesa_miner.watchtower.accusing import Accuser
from nesa_miner.watchtower.cases import (
    Accuse,
    Case,
    Forget,
    Inspect,
    Right,
    Sealed,
    Step,
    Unseen,
    Verdict,
    Wrong,
    bonds_out,
    is_sampled,
    next_step,
)
from nesa_miner.watchtower.inspecting import inspect, view_of
from nesa_miner.watchtower.journal import WatchJournal
from nesa_miner.watchtower.observability import WatchMetrics

INSPECTED_AT_ONCE: Final = 2
MOST_VERSIONS: Final = 4
"""Versions whose shards stay in memory."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
GRANT_PAUSE: Final = 15.0
"""Seconds after which it is looked again whether somebody granted the view of a sealed query."""

LONGEST_WINDOW: Final = 30 * 86_400
"""Seconds for which an answer is under watch before its own windows are known."""

log = structlog.get_logger("nesa_miner")

ReadHistory = Callable[[QueryId], Awaitable[QueryHistory]]
ReadContentKey = Callable[[Query], bytes | None]
"""What opens a sealed query, None while nobody granted the view of it."""


@dataclass(slots=True)
class Tower:
    """Answers under watch, and the challenges that came of them.

    `share` (0 to 1) of all answers is looked at. Everything that changes a case runs on one event
    loop between two awaits.
    """

    journal: WatchJournal
    library: WitnessLibrary
    read_history: ReadHistory
    content_key: ReadContentKey
    accuser: Accuser
    disputes: Litigation
    share: float
    spawn: Spawn
    clock: Callable[[], float]
    metrics: WatchMetrics
    is_following: bool = False
    chain_time: Timestamp = LONG_AGO
    cases: dict[bytes, Case] = field(default_factory=dict)
    _cursor: Cursor | None = None
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(INSPECTED_AT_ONCE))
    _versions: list[VersionId] = field(default_factory=list)
    _busy: set[bytes] = field(default_factory=set)
    _pauses: dict[bytes, float] = field(default_factory=dict)
    _retry_at: dict[bytes, float] = field(default_factory=dict)
    _sealed: set[bytes] = field(default_factory=set)

    def reload(self) -> None:
        """Take up what the journal holds."""
        self.cases = {case.log_key: case for case in self.journal.cases()}
        self.disputes.reload()

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        self.chain_time = batch.head.timestamp
        if batch.cursor == self._cursor and not batch.events:
            return
        undone = [log_bytes(one.log) for one in batch.undone]
        with self.journal.transaction():
            for log_key in undone:
                self.journal.forget_case(log_key)
            for event in batch.events:
                self._store(event)
            told = [(log_bytes(event.log), event) for event in batch.events]
            self.disputes.store(undone, told, self.chain_time)
            self.journal.set_cursor(batch.cursor.to_json())
        self._cursor = batch.cursor
        self.reload()

    def advance(self) -> None:
        """Start everything that is due now; nothing before the chain is read to its end."""
        if not self.is_following:
            return
        docket, me = self.disputes.docket, self.disputes.me.account
        for case in list(self.cases.values()):
            step = next_step(case, docket, me, self.chain_time)
            if step is not None and self._may_start(case):
                self._start(case, step)
        self.disputes.advance(self.chain_time)
        self.metrics.cases.set(len(self.cases))
        self.metrics.bonds.set(bonds_out(docket, me) / ONE_NES)

    def _store(self, event: ChainEvent) -> None:
        match event:
            case QueryFulfilled():
                self._take_up(event)
            case QueryHeld():
                # Its windows stand still; the release says until when they are open then.
                self.journal.reopen(event.query_id, Timestamp(self.chain_time + LONGEST_WINDOW))
            case QueryReleased():
                self.journal.reopen(event.query_id, event.closes_at)
            case QueryOverturned():
                self.journal.reopen(event.query_id, self.chain_time)

    def _take_up(self, answer: QueryFulfilled) -> None:
        deployment = self.accuser.room.connection.deployment
        ids = (deployment.chain_id, deployment.market, answer.query_id)
        if not is_sampled(self.journal.secret, *ids, self.share):
            self.metrics.skipped.inc()
            return
        until = unknown_end(answer.outcome)
        self.journal.keep_case(Case(log_bytes(answer.log), answer.query_id, until))

    def _may_start(self, case: Case) -> bool:
        waits = self._retry_at.get(case.log_key, 0.0) > self.clock()
        return not (waits or case.log_key in self._busy)

    def _start(self, case: Case, step: Step) -> None:
        match step:
            case Forget():
                self._forget(case)
            case Inspect() | Accuse():
                self._busy.add(case.log_key)
                self.spawn(self._try(case, step))
            case _:
                assert_never(step)

    def _forget(self, case: Case) -> None:
        self.journal.forget_case(case.log_key)
        self.cases.pop(case.log_key, None)
        self._sealed.discard(case.log_key)
        for kept in (self._pauses, self._retry_at):
            kept.pop(case.log_key, None)

    async def _try(self, case: Case, step: Inspect | Accuse) -> None:
        """One try; what fails is tried again after a growing pause, until the windows close."""
        key = case.log_key
        pause = self._pauses.pop(key, FIRST_PAUSE)
        try:
            self._retry_at[key] = self.clock() + await self._perform(case, step)
        except NesaError as error:
            self._put_off(case, pause, reason=str(error))
        except Exception as error:
            self._put_off(case, pause, **origin_of(error))
        finally:
            self._busy.discard(key)

    async def _perform(self, case: Case, step: Inspect | Accuse) -> float:
        """Returns after how many seconds the next try may come, if one is due."""
        match step:
            case Inspect():
                async with self._gate:
                    verdict = await self._inspect(case)
                return GRANT_PAUSE if isinstance(verdict, Sealed) else FIRST_PAUSE
            case Accuse(shard):
                history = await self._history(case)
                content_key = self.content_key(history.query)
                view = await view_of(history, shard, self.library, content_key)
                await self.accuser.accuse(history, shard, self.disputes.docket, view)
                return FIRST_PAUSE
        assert_never(step)

    async def _inspect(self, case: Case) -> Verdict:
        history = await self._history(case)
        outcome = history.outcome
        assert outcome is not None
        if case.closes_at == unknown_end(outcome):
            closes_at = closing_time(history.query, outcome.fulfilled_at)
            self._keep(replace(case, closes_at=closes_at))
        content_key = self.content_key(history.query)
        verdict = await inspect(history, outcome, self.library, content_key)
        self._used(history.query.version_id)
        if (current := self.cases.get(case.log_key)) is not None:
            self._note(current, verdict)
        return verdict

    def _used(self, version_id: VersionId) -> None:
        """Keep the versions that were asked last in memory, and let go of the others."""
        self._versions = [one for one in self._versions if one != version_id] + [version_id]
        for old in self._versions[:-MOST_VERSIONS]:
            self.library.release(old)
        self._versions = self._versions[-MOST_VERSIONS:]

    def _note(self, case: Case, verdict: Verdict) -> None:
        """Keep what was found wrong, or may be seen later, and let go of everything else."""
        if isinstance(verdict, Sealed):
            if case.log_key not in self._sealed:
                log.info("sealed, and nobody granted the view of it yet", query=case.query_id)
            self._sealed.add(case.log_key)
            return
        kind = type(verdict).__name__.lower()
        self.metrics.inspected.labels(kind).inc()
        tell = log.warning if isinstance(verdict, Wrong) else log.info
        tell("inspected", query=case.query_id, verdict=kind)
        match verdict:
            case Wrong(shard):
                self._keep(replace(case, wrong_shard=shard))
            case Right() | Unseen():
                self._forget(case)

    def _keep(self, case: Case) -> None:
        if case.log_key in self.cases:
            self.cases[case.log_key] = case
            self.journal.keep_case(case)

    async def _history(self, case: Case) -> QueryHistory:
        """The query's history, which has the very answer that is under watch.

        Raises:
            Unavailable: a reorganisation is under way.
        """
        found = await self.read_history(case.query_id)
        if found.fulfilled is None or log_bytes(found.fulfilled.log) != case.log_key:
            raise Unavailable(f"query {case.query_id} has another answer at the moment")
        return found

    def _put_off(self, case: Case, pause: float, **why: object) -> None:
        self.metrics.failures.inc()
        log.warning("put off", query=case.query_id, seconds=pause, **why)
        self._pauses[case.log_key] = min(2 * pause, LONGEST_PAUSE)
        self._retry_at[case.log_key] = self.clock() + pause


def unknown_end(outcome: Outcome) -> Timestamp:
    """Until when an answer is under watch before its query's own windows are known."""
    return Timestamp(outcome.fulfilled_at + LONGEST_WINDOW)
