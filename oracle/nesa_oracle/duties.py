"""What an oracle owes, as data, and the one thing that it should do next about each query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nesa.chain.committees import DrawnCommittees
from nesa.protocol.ids import Address, BlockNumber, Timestamp
from nesa.protocol.queries import Query
from nesa_oracle.journal import Job, JobKey, Phase
from nesa_oracle.turns import next_chance

LEAD_SECONDS = 3
"""How long before its chance an oracle begins to gather, when others come first."""

SEED_BLOCKS = 192
LATE_SEED_BLOCKS = 224
"""Age of a seed block at which it is pinned by whoever has a chance to report, and by those who
wait for one if nobody did. The chain forgets it after 256 blocks."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A job with what is known of it while the program runs."""

    job: Job
    committees: DrawnCommittees | None = None
    is_busy: bool = False
    is_pinned: bool = False

    @property
    def key(self) -> JobKey:
        """(query id, attempt)."""
        return self.job.key

    @property
    def query(self) -> Query:
        """The terms."""
        return self.job.query

    def is_drawn(self, signer: Address) -> bool:
        """Whether `signer` has a turn of its own to report; False also while nobody knows."""
        drawn = () if self.committees is None else self.committees.oracles
        return any(seat.signer == signer for seat in drawn)


@dataclass(frozen=True, slots=True)
class Situation:
    """Where the chain stands, who asks, and how deep an answer must lie to be forgotten."""

    block: BlockNumber
    time: Timestamp
    me: Address
    finality: int


@dataclass(frozen=True, slots=True)
class ReadDraw:
    """Read the seed and the seats, and see who was drawn."""


@dataclass(frozen=True, slots=True)
class Gather:
    """Collect evidence until there is a report."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Send the report; not after `until`."""

    until: Timestamp


@dataclass(frozen=True, slots=True)
class PinSeed:
    """Keep the seed's hash on chain, because it is about to be forgotten."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Let go of the job."""

    why: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Call whoever asked with a CHALLENGED answer that stood."""


Action: TypeAlias = ReadDraw | Gather | Submit | PinSeed | Deliver | Finish


def next_action(duty: Duty, at: Situation) -> Action | None:
    """The most urgent thing to do about `duty`, or nothing for now."""
    if duty.is_busy:
        return None
    if duty.job.phase is Phase.MINED:
        return _when_ended(duty, at)
    if at.time > duty.query.answer_deadline:
        return Finish("nobody answered in time")
    if duty.committees is None:
        return ReadDraw() if at.block >= duty.query.seed_block else None
    return _report_step(duty, duty.committees, at)


def _when_ended(duty: Duty, at: Situation) -> Action | None:
    over_at = duty.job.over_at
    if over_at is not None:
        return Finish("ended") if at.block >= over_at + at.finality else None
    return Deliver() if duty.job.is_due(at.time) else None


def _report_step(duty: Duty, committees: DrawnCommittees, at: Situation) -> Action | None:
    chance = next_chance(duty.query, committees.oracles, at.me, at.time)
    if chance is None:
        return None
    is_near = at.time >= chance.begins - LEAD_SECONDS
    if _is_seed_old(duty, at, SEED_BLOCKS if is_near else LATE_SEED_BLOCKS):
        return PinSeed()
    if duty.job.phase is Phase.SEEN:
        return Gather() if is_near else None
    return Submit(chance.ends) if chance.holds(at.time) else None


def _is_seed_old(duty: Duty, at: Situation, blocks: int) -> bool:
    return not duty.is_pinned and at.block > duty.query.seed_block + blocks
