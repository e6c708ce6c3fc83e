"""The duties of the moment, and what ends together with one: its tasks, its pause, its messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import structlog

from nesa.protocol.ids import BlockNumber, Timestamp, VersionId
from nesa.protocol.outcomes import suing_ends
from nesa_miner.duties import Duty
from nesa_miner.jobs import JobKey
from nesa_miner.surroundings import Surroundings
from nesa_miner.tasks import KeyedTasks
from nesa_miner.waiting import WaitingRoom

RETRY_SECONDS: Final = 1.0
GENESIS: Final = BlockNumber(0)
LONG_AGO: Final = Timestamp(0)

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class Roster:
    """The duties by attempt, as of block `head` and `chain_time`.

    A duty changes only between two awaits on one event loop, so nothing here is locked.
    """

    around: Surroundings
    head: BlockNumber = GENESIS
    chain_time: Timestamp = LONG_AGO
    duties: dict[JobKey, Duty] = field(default_factory=dict)
    waiting: WaitingRoom = field(default_factory=WaitingRoom)
    retired: set[VersionId] = field(default_factory=set)
    """Versions off offer whose shards may still be in memory."""
    tasks: KeyedTasks[JobKey] = field(init=False)
    _retry_at: dict[JobKey, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tasks = KeyedTasks(self.around.spawn)

    def current(self, duty: Duty) -> Duty | None:
        """What became of a duty meanwhile; None when it is over or has started over."""
        current = self.duties.get(duty.key)
        return current if current is not None and current.life is duty.life else None

    def update(self, duty: Duty) -> None:
        """Replace a duty by its next value, unless it is over or has started over."""
        if self.current(duty) is not None:
            self.duties[duty.key] = duty

    def take_drained(self) -> frozenset[VersionId]:
        """Retired versions of which no query is under way any more; each is told once."""
        if not self.retired:
            return frozenset()
        busy = {duty.query.version_id for duty in self.duties.values()}
        drained = frozenset(self.retired - busy)
        self.retired -= drained
        return drained

    def needs(self, shard: tuple[VersionId, int]) -> bool:
        """Whether a query under way drew this miner for a shard, (version, number)."""
        return any(
            duty.place is not None and (duty.query.version_id, duty.place.shard) == shard
            for duty in self.duties.values()
        )

    def put_off(self, duty: Duty) -> None:
        """Start nothing for a duty for a moment."""
        self._retry_at[duty.key] = self.around.clock() + RETRY_SECONDS

    def is_put_off(self, key: JobKey, now: float) -> bool:
        """Whether nothing is to be started for a duty yet."""
        return self._retry_at.get(key, 0.0) > now

    def end(self, duty: Duty, why: str) -> None:
        """Nothing more to do for this attempt, although it is not answered."""
        kept = duty.query.answer_deadline + self.around.retention
        self.around.journal.end(duty.key, max(kept, suing_ends(duty.query)))
        self.drop(duty.key, why)

    def drop(self, key: JobKey, why: str) -> None:
        """Let go of a duty, if there is one, and of everything that is under way for it."""
        self.tasks.cancel(key)
        self.waiting.forget(key)
        self._retry_at.pop(key, None)
        if self.duties.pop(key, None) is not None:
            log.info("duty over", query=key[0], attempt=key[1], why=why)
