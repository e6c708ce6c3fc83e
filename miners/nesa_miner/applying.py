"""What the chain says: its events open and end duties, and what they do is stored with the cursor.

A reorganisation takes back what its logs did and casts doubt on every draw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from nesa.chain.disputes import Challenge
from nesa.chain.events import (
    AttemptOpened,
    ChainEvent,
    ChallengeOpened,
    LogKey,
    MemberAbsent,
    QueryFulfilled,
    QueryRefunded,
    QueryReleased,
    QueryRequested,
    SlotClaimed,
    VersionRetired,
)
from nesa.chain.logs import Batch, Cursor
from nesa.protocol.ids import Timestamp
from nesa.protocol.outcomes import closing_time, suing_ends
from nesa.protocol.queries import Query, decode_query, encode_query
from nesa_miner.claiming import Claims
from nesa_miner.disputes.litigation import Litigation, longest_end
from nesa_miner.duties import Duty
from nesa_miner.jobs import Job, JobKey, Phase
from nesa_miner.roster import LONG_AGO, Roster
from nesa_miner.summonses import Answers
from nesa_miner.surroundings import Surroundings

CURSOR: Final = "cursor"
PRUNE_SECONDS: Final = 60
"""Chain time between two looks for jobs that can be forgotten."""

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class Applier:
    """Applies what happens on chain to the journal first and then to the duties."""

    around: Surroundings
    roster: Roster
    claims: Claims
    disputes: Litigation | None = None
    summonses: Answers | None = None
    _cursor: Cursor | None = None
    _pruned_at: Timestamp = LONG_AGO

    def restart(self) -> None:
        """Take up what the journal holds; places and agreements come back with the draw."""
        journal = self.around.journal
        stored = journal.fact(CURSOR)
        self._cursor = None if stored is None else Cursor.from_json(stored.decode())
        for job in journal.open_jobs():
            self.roster.duties[job.key] = self._restored(job)
        self._reload()

    def apply(self, batch: Batch) -> None:
        """Take in what happened on chain, together with the cursor, in one transaction."""
        self.roster.head, self.roster.chain_time = batch.cursor.tip.number, batch.head.timestamp
        if batch.cursor == self._cursor and not batch.events:
            return
        journal, is_rewound = self.around.journal, self._is_rewound(batch)
        with journal.transaction():
            undone = [log_bytes(undone.log) for undone in batch.undone]
            gone, again = journal.undo(undone, self._kept_until())
            if is_rewound:
                again += journal.reopen_unanswered(self._kept_until())
            opened = [self._store(event) for event in batch.events]
            again += self._with_slots(batch.events)
            told = [(log_bytes(event.log), event) for event in batch.events]
            if self.disputes is not None:
                self.disputes.store(undone, told, self.roster.chain_time)
            if self.summonses is not None:
                self.summonses.store(undone, told, self.roster.chain_time)
            journal.set_fact(CURSOR, batch.cursor.to_json().encode())
            if batch.is_caught_up:  # else what comes next may be a challenge of what is old
                self._prune()
        for key in gone:
            self.roster.drop(key, "undone by a reorganisation")
        if is_rewound:
            self._doubt_draws()
        self._take_up(again)
        for event, duty in zip(batch.events, opened, strict=True):
            self._remember(event, duty)
        self._reload()
        self._cursor = batch.cursor

    def _reload(self) -> None:
        self.claims.reload()
        if self.disputes is not None:
            self.disputes.reload()
        if self.summonses is not None:
            self.summonses.reload()

    # Into the journal

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
                self._conclude_unanswered(event.log, event.query)
                return self._open(event.log, event.query, before.input)
            case QueryFulfilled():
                self.claims.note_answer(event, log_bytes(event.log))
                self._conclude(event)
            case QueryRefunded():
                jobs = journal.attempts(event.query_id)
                if jobs:
                    self._conclude_unanswered(event.log, decode_query(jobs[-1].query))
            case SlotClaimed():
                self.claims.note_claimed(event, log_bytes(event.log))
            case QueryReleased():
                self.claims.note_released(event, log_bytes(event.log))
            case ChallengeOpened(challenge=challenge):
                self._keep_disputed(challenge)
        return None

    def _with_slots(self, events: Iterable[ChainEvent]) -> list[JobKey]:
        """Jobs of others that an absence may have made this miner's, as a spare."""
        journal, now = self.around.journal, self.roster.chain_time
        absences = [event for event in events if isinstance(event, MemberAbsent)]
        return [key for event in absences for key in journal.reopen_undrawn(now, event.query_id)]

    def _open(self, log_key: LogKey, query: Query, sent: bytes) -> Duty | None:
        key = JobKey((query.query_id, query.attempt))
        is_new = self.around.journal.add_job(key, log_bytes(log_key), encode_query(query), sent)
        return self._begun(key, query, sent) if is_new else None

    def _conclude(self, answer: QueryFulfilled) -> None:
        """Store that a query is answered; what shows the work is kept until nobody asks for it."""
        jobs, until = self.around.journal.attempts(answer.query_id), self._kept_until()
        if jobs:
            query = decode_query(jobs[-1].query)
            until = max(until, closing_time(query, answer.outcome.fulfilled_at))
        self.around.journal.conclude(answer.query_id, log_bytes(answer.log), until)

    def _conclude_unanswered(self, log_key: LogKey, query: Query) -> None:
        """Store that the attempts so far are over; what shows the work is kept as long as members
        can be sued for it under the terms of `query`."""
        until = max(self._kept_until(), suing_ends(query))
        self.around.journal.conclude(query.query_id, log_bytes(log_key), until)
        self.around.journal.keep_longer(query.query_id, until)

    def _keep_disputed(self, challenge: Challenge) -> None:
        """Keep the work that a challenge is about until its last game may end, and then as long as
        after an answer: the query's windows stand still meanwhile."""
        jobs = self.around.journal.attempts(challenge.query_id)
        ended = longest_end(challenge)
        kept = Timestamp(ended + self.around.retention)
        self.around.journal.sessions.keep_longer(challenge.query_id, kept)
        if not jobs:
            return
        until = max(kept, closing_time(decode_query(jobs[-1].query), ended))
        self.around.journal.keep_longer(challenge.query_id, until)

    def _kept_until(self) -> Timestamp:
        return Timestamp(self.roster.chain_time + self.around.retention)

    def _prune(self) -> None:
        now = self.roster.chain_time
        if now >= self._pruned_at + PRUNE_SECONDS:
            self._pruned_at = now
            self.around.journal.prune(now)

    # Into the duties

    def _remember(self, event: ChainEvent, duty: Duty | None) -> None:
        roster = self.roster
        match event:
            case QueryRequested() | AttemptOpened():
                roster.drop(JobKey((event.query_id, event.query.attempt - 1)), "retried")
                if duty is not None:
                    roster.duties[duty.key] = duty
            case QueryFulfilled():
                for key in [key for key in roster.duties if key[0] == event.query_id]:
                    self._note_pay(roster.duties[key], event)
                    roster.drop(key, "fulfilled")
            case QueryRefunded():
                for key in [key for key in roster.duties if key[0] == event.query_id]:
                    roster.drop(key, "refunded")
            case MemberAbsent():
                self._doubt_draws(event.query_id)
            case VersionRetired():
                roster.retired.add(event.version_id)

    def _note_pay(self, duty: Duty, event: QueryFulfilled) -> None:
        place = duty.place
        if place is None:
            return
        is_paid = bool(event.outcome.shards[place.shard].paid >> place.position & 1)
        self.around.metrics.answered(is_paid)
        log.info("query fulfilled", query=event.query_id, shard=place.shard, paid=is_paid)

    def _begun(self, key: JobKey, query: Query, sent: bytes) -> Duty:
        """The duty before its draw, with the content key if that was sent already."""
        return Duty(key, query, sent, content_key=self.around.content_key(query))

    def _restored(self, job: Job) -> Duty:
        return self._begun(job.key, decode_query(job.query), job.input)

    # Reorganisations

    def _is_rewound(self, batch: Batch) -> bool:
        """Whether blocks that were read may be gone, even if no log was in them."""
        return self._cursor is not None and self._cursor.tip not in batch.cursor.blocks

    def _doubt_draws(self, query_id: int | None = None) -> None:
        """The seed block or who fills the slots may be another: look at the draws of one query, or
        at all of them, again, here or under way."""
        roster = self.roster
        for key, duty in roster.duties.items():
            if query_id not in (None, key[0]):
                continue
            if duty.place is None:
                roster.tasks.cancel(key)
                roster.duties[key] = replace(duty, life=object(), busy=frozenset())
            else:
                roster.duties[key] = replace(duty, doubts=duty.doubts + 1)

    def _take_up(self, keys: list[JobKey]) -> None:
        """Owe again what a reorganisation opened again."""
        for key in keys:
            job = self.around.journal.job(key)
            if job is not None and job.phase is not Phase.ENDED:
                self.roster.duties[key] = self._restored(job)


def log_bytes(key: LogKey) -> bytes:
    """Key of a log as the journal stores it."""
    return key.block_hash + key.tx_hash + key.log_index.to_bytes(4, "big")
