"""One watchtower at work: what the chain says makes cases, and what is due for them is started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, assert_never

import structlog

from nesa.chain.docket import bonds_of
from nesa.chain.events import (
    ChainEvent,
    OperatorSlashed,
    QueryFulfilled,
    QueryHeld,
    QueryOverturned,
    QueryReleased,
)
from nesa.chain.history import QueryHistory
from nesa.chain.logs import Batch, Cursor
from nesa.protocol.errors import Unavailable
from nesa.protocol.faults import Equivocation
from nesa.protocol.ids import ONE_NES, Address, Timestamp, VersionId
from nesa.protocol.outcomes import closing_time
from nesa.protocol.queries import Outcome
from nesa_miner.applying import log_bytes
from nesa_miner.disputes.equivocating import Equivocators
from nesa_miner.disputes.inputs import ReadContentKey, ReadHistory
from nesa_miner.disputes.litigation import Litigation
from nesa_miner.retrying import Retries, reason_of
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
    is_sampled,
    next_step,
)
from nesa_miner.watchtower.evicting import Evictions, Sweeps
from nesa_miner.watchtower.inspecting import inspect, view_of
from nesa_miner.watchtower.journal import Checked, WatchJournal
from nesa_miner.watchtower.observability import WatchMetrics
from nesa_miner.watchtower.requests import Complete, as_it_is

INSPECTED_AT_ONCE: Final = 2
MOST_VERSIONS: Final = 4
"""Versions whose shards stay in memory."""

REST_SECONDS: Final = 0.5
LONGEST_PAUSE: Final = 60.0
GRANT_PAUSE: Final = 15.0
"""Seconds after which it is looked again whether somebody granted the view of a sealed query."""

LONGEST_WINDOW: Final = 30 * 86_400
"""Seconds for which an answer is under watch before its own windows are known."""

log = structlog.get_logger("nesa_miner")

ReadStatements = Callable[[QueryHistory], Awaitable[Sequence[tuple[Address, Equivocation]]]]
"""Who signed two outputs for an answer, as the chain and the members show it."""


@dataclass(slots=True)
class Tower:
    """Answers under watch, and what came of them: challenges, convictions, evictions.

    Without `evictions` and `sweeps` seats that nobody should be drawn from are left to others.
    `share` (0 to 1) of all answers is looked at. Everything that changes a case runs on one event
    loop between two awaits.
    """

    journal: WatchJournal
    library: WitnessLibrary
    read_history: ReadHistory
    content_key: ReadContentKey
    read_statements: ReadStatements
    accuser: Accuser
    disputes: Litigation
    equivocators: Equivocators
    evictions: Evictions | None
    sweeps: Sweeps | None
    share: float
    spawn: Spawn
    clock: Callable[[], float]
    metrics: WatchMetrics
    complete: Complete = as_it_is
    is_following: bool = False
    chain_time: Timestamp = LONG_AGO
    cases: dict[bytes, Case] = field(default_factory=dict)
    _cursor: Cursor | None = None
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(INSPECTED_AT_ONCE))
    _versions: list[VersionId] = field(default_factory=list)
    _compared: set[bytes] = field(default_factory=set)
    _judged: set[bytes] = field(default_factory=set)
    _sealed: set[bytes] = field(default_factory=set)
    _retries: Retries[bytes] = field(init=False)
    _comparisons: Retries[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._retries, self._comparisons = (
            Retries(self.spawn, self.clock, self._put_off, REST_SECONDS, LONGEST_PAUSE)
            for _ in range(2)
        )

    def restart(self) -> None:
        """Take up what the journal holds."""
        self._reload()
        self.equivocators.reload()
        if self.evictions is not None:
            self.evictions.reload()

    def _reload(self) -> None:
        self.cases = {case.log_key: case for case in self.journal.cases()}
        for kept in (self._compared, self._judged, self._sealed):
            kept.intersection_update(self.cases)  # an answer that was undone may come back
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
                self.journal.undo_slash(log_key)
            for event in batch.events:
                self._store(event)
            told = [(log_bytes(event.log), event) for event in batch.events]
            self.disputes.store(undone, told, self.chain_time)
            self.journal.forget_old(self.chain_time)
            self.journal.set_cursor(batch.cursor.to_json())
        self._cursor = batch.cursor
        self._reload()
        if undone:
            self.equivocators.reload()
        if self.evictions is not None and (undone or _slashes(batch.events)):
            self.evictions.reload()

    def advance(self) -> None:
        """Start everything that is due now; nothing before the chain is read to its end."""
        if not self.is_following:
            return
        docket, me = self.disputes.docket, self.disputes.me.account
        for case in list(self.cases.values()):
            step = next_step(case, docket, me, self.chain_time)
            if step is not None:
                self._start(case, step)
            if case.log_key not in self._compared:
                self._comparisons.start(case.log_key, partial(self._compare, case))
        for tries in (self._retries, self._comparisons):
            tries.keep_only(self.cases)
        self.disputes.advance(self.chain_time)
        self.equivocators.advance()
        if self.evictions is not None:
            self.evictions.advance()
        if self.sweeps is not None:
            self.sweeps.advance()
        self.metrics.cases.set(len(self.cases))
        self.metrics.bonds.set(bonds_of(docket, me) / ONE_NES)

    def summary(self) -> dict[str, object]:
        """What it did and does, for people."""
        docket, me = self.disputes.docket, self.disputes.me.account
        return {
            "account": me,
            "following": self.is_following,
            "share": self.share,
            **self.journal.summary(),
            "bonds_out": bonds_of(docket, me),
            "disputes": self.disputes.summary(),
            "equivocators": [key._asdict() for key in self.equivocators.pending],
        }

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
            case OperatorSlashed(operator=operator):
                self.journal.keep_slash(log_bytes(event.log), operator, self.chain_time)

    def _take_up(self, answer: QueryFulfilled) -> None:
        deployment = self.accuser.room.connection.deployment
        ids = (deployment.chain_id, deployment.market, answer.query_id)
        if not is_sampled(self.journal.secret, *ids, self.share):
            self.metrics.skipped.inc()
            return
        until = unknown_end(answer.outcome)
        self.journal.keep_case(Case(log_bytes(answer.log), answer.query_id, until))

    def _start(self, case: Case, step: Step) -> None:
        match step:
            case Forget():
                self._forget(case)
            case Inspect() if case.log_key in self._judged:
                pass  # it is right, and waits for the comparison of what was signed for it
            case Inspect() | Accuse():
                self._retries.start(case.log_key, partial(self._perform, case, step))
            case _:
                assert_never(step)

    def _forget(self, case: Case) -> None:
        """The windows are over."""
        with self.journal.transaction():
            if case.log_key in self._sealed:
                why = "nobody granted the view of it"
                self.journal.keep_checked(Checked(case.query_id, "sealed", why, self.chain_time))
            self.journal.forget_case(case.log_key)
        self._drop(case)

    def _drop(self, case: Case) -> None:
        self.cases.pop(case.log_key, None)
        for kept in (self._compared, self._judged, self._sealed):
            kept.discard(case.log_key)

    async def _perform(self, case: Case, step: Inspect | Accuse) -> None:
        match step:
            case Inspect():
                await self._inspect(case)
            case Accuse(shard):
                history = await self.complete(await self._history(case))
                content_key = self.content_key(history.query)
                view = await view_of(history, shard, self.library, content_key)
                await self.accuser.accuse(history, shard, self.disputes.docket, view)

    async def _inspect(self, case: Case) -> None:
        history = await self._history(case)
        outcome = history.outcome
        assert outcome is not None
        if case.closes_at == unknown_end(outcome):
            closes_at = closing_time(history.query, outcome.fulfilled_at)
            self._keep(replace(case, closes_at=closes_at))
        if self.accuser.prover is not None:
            self.accuser.prover.prepare(history.query)
        content_key = self.content_key(history.query)
        async with self._gate:
            history = await self.complete(history)
            verdict = await inspect(history, outcome, self.library, content_key)
        self._used(history.query.version_id)
        if (current := self.cases.get(case.log_key)) is not None:
            self._note(current, verdict)

    async def _compare(self, case: Case) -> None:
        """Look, once, whether a member signed two outputs.

        Members may be slow to show what they signed, so no inspection waits for it.
        """
        found = await self.read_statements(await self._history(case))
        for signer, fault in found:
            self.journal.keep_equivocation(signer, fault, self.chain_time)
            log.warning("equivocation", query=case.query_id, signer=signer)
            self.equivocators.add(signer, fault)
        if case.log_key in self.cases:
            self._compared.add(case.log_key)
        if case.log_key in self._judged:
            self.journal.forget_case(case.log_key)
            self._drop(case)

    def _used(self, version_id: VersionId) -> None:
        """Keep the versions that were asked last in memory, and let go of the others."""
        self._versions = [one for one in self._versions if one != version_id] + [version_id]
        for old in self._versions[:-MOST_VERSIONS]:
            self.library.release(old)
        self._versions = self._versions[-MOST_VERSIONS:]

    def _note(self, case: Case, verdict: Verdict) -> None:
        """Keep what was found wrong, or may be seen later; let go of everything else as soon as
        what was signed for it has been compared."""
        if isinstance(verdict, Sealed):
            self._wait_for_grant(case)
            return
        kind, why = type(verdict).__name__.lower(), _why(verdict)
        wrong = replace(case, wrong_shard=verdict.shard) if isinstance(verdict, Wrong) else None
        is_over = wrong is None and case.log_key in self._compared
        with self.journal.transaction():
            self.journal.keep_checked(Checked(case.query_id, kind, why, self.chain_time))
            if wrong is not None:
                self.journal.keep_case(wrong)
            if is_over:
                self.journal.forget_case(case.log_key)
        if wrong is not None:
            self.cases[case.log_key] = wrong
        elif is_over:
            self._drop(case)
        else:
            self._judged.add(case.log_key)
        self.metrics.inspected.labels(kind).inc()
        tell = log.warning if isinstance(verdict, Wrong) else log.info
        said = "not inspected" if isinstance(verdict, Unseen) else "inspected"
        tell(said, query=case.query_id, verdict=kind, **({"why": why} if why else {}))

    def _wait_for_grant(self, case: Case) -> None:
        if case.log_key not in self._sealed:
            log.info("sealed, and nobody granted the view of it yet", query=case.query_id)
        self._sealed.add(case.log_key)
        self._retries.put_off(case.log_key, GRANT_PAUSE)

    def _keep(self, case: Case) -> None:
        if case.log_key in self.cases:
            self.journal.keep_case(case)
            self.cases[case.log_key] = case

    async def _history(self, case: Case) -> QueryHistory:
        """The query's history, which has the very answer that is under watch.

        Raises:
            Unavailable: a reorganisation is under way.
        """
        found = await self.read_history(case.query_id)
        if found.fulfilled is None or log_bytes(found.fulfilled.log) != case.log_key:
            raise Unavailable(f"query {case.query_id} has another answer at the moment")
        return found

    def _put_off(self, log_key: bytes, seconds: float, error: Exception) -> None:
        self.metrics.failures.inc()
        case = self.cases.get(log_key)
        query = None if case is None else case.query_id
        log.warning("put off", query=query, seconds=seconds, **reason_of(error))


def _slashes(events: Sequence[ChainEvent]) -> bool:
    return any(isinstance(event, OperatorSlashed) for event in events)


def _why(verdict: Right | Wrong | Unseen) -> str:
    match verdict:
        case Right():
            return ""
        case Wrong(shard):
            return f"shard {shard}"
        case Unseen(why):
            return why
    assert_never(verdict)


def unknown_end(outcome: Outcome) -> Timestamp:
    """Until when an answer is under watch before its query's own windows are known."""
    return Timestamp(outcome.fulfilled_at + LONGEST_WINDOW)
