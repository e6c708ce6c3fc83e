"""What a miner owes: one duty an attempt it may be drawn for, as values; no clock, no network.

    requested --(seed block there)--> drawn --(input there)--> computing --> agreeing --> settled

A duty says what is known; `next_action` says the one thing to do next about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.protocol.commitments import ShardContext
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Address, BlockNumber, Timestamp
from nesa.protocol.queries import Assurance, Query
from nesa.protocol.versions import ShardFacts
from nesa_miner.agreement.state import State
from nesa_miner.journal import JobKey
from nesa_miner.work import Task, Tensors, is_sealed


@dataclass(frozen=True, slots=True)
class Place:
    """Where this miner was drawn: shard and position, among whom."""

    committees: DrawnCommittees
    context: ShardContext
    position: int
    facts: ShardFacts

    @property
    def shard(self) -> int:
        """Index of the shard."""
        return self.context.shard

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The shard's committee; a proof is one member's own affair."""
        drawn = self.committees.shards[self.shard]
        if self.committees.query.assurance is Assurance.PROVED:
            return (drawn[self.position],)
        return drawn

    @property
    def signers(self) -> tuple[Address, ...]:
        """Signers of the committee in draw order."""
        return tuple(seat.signer for seat in self.seats)

    def upstream(self, sender: Address) -> tuple[ShardContext, tuple[Address, ...]] | None:
        """Context and signers of the committee that hands over, if `sender` is one of them."""
        if self.shard == 0:
            return None
        drawn = self.committees.shards[self.shard - 1]
        signers = tuple(seat.signer for seat in drawn)
        if sender not in signers:
            return None
        if self.committees.query.assurance is Assurance.PROVED:
            signers = (sender,)
        return replace(self.context, shard=self.shard - 1), signers

    def upstream_position(self, sender: Address) -> int:
        """Where `sender`, one of those who hand over, was drawn."""
        drawn = self.committees.shards[self.shard - 1]
        return [seat.signer for seat in drawn].index(sender)

    @property
    def downstream(self) -> tuple[Seat, ...]:
        """Everybody drawn for the next shard, spares included; nobody after the last."""
        shards = self.committees.shards
        return shards[self.shard + 1] if self.shard + 1 < len(shards) else ()


@dataclass(frozen=True, slots=True)
class Duty:
    """One attempt of one query as far as this miner knows it.

    `tensors_in` is known from a hand-over; `busy` names the actions that are under way. `doubts`
    counts reorganisations since the draw was last compared with the chain. All values of one duty
    share a `life`; a duty that starts over has another, and late results of the first do not count.
    """

    key: JobKey
    query: Query
    sent: bytes
    place: Place | None = None
    content_key: bytes | None = None
    tensors_in: Tensors | None = None
    agreement: State | None = None
    evidence: ShardEvidence | None = None
    handed_over: bool = False
    busy: frozenset[type[Action]] = frozenset()
    doubts: int = 0
    life: object = field(default_factory=object, repr=False)

    def anew(self) -> Duty:
        """The duty as it was before the draw; the content key is for the attempt, not the draw."""
        return Duty(self.key, self.query, self.sent, content_key=self.content_key)

    @property
    def starts_at(self) -> Timestamp:
        """When this miner may begin: at once, or for a spare of a proof at its turn."""
        if self.place is None or self.query.assurance is not Assurance.PROVED:
            return self.query.opened_at
        wait = self.place.position * self.query.rules.prover_turn
        return Timestamp(self.query.opened_at + wait)

    @property
    def task(self) -> Task:
        """What is to be computed; only for a duty with a place."""
        assert self.place is not None
        return Task(self.query, self.place.shard, self.content_key)

    @property
    def has_input(self) -> bool:
        """Whether the shard can be run."""
        if self.place is None or (is_sealed(self.query) and self.content_key is None):
            return False
        return self.place.shard == 0 or self.tensors_in is not None


@dataclass(frozen=True, slots=True)
class ReadDraw:
    """Read the seed and the seats, and see who was drawn, or whether it still is."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Run the shard and start to agree."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the settled output to the members of the next shard."""


@dataclass(frozen=True, slots=True)
class Prove:
    """Prove the shard and add the proof to the evidence."""


@dataclass(frozen=True, slots=True)
class Expire:
    """Let go of an attempt that can no longer be answered."""


Action: TypeAlias = ReadDraw | Compute | HandOver | Prove | Expire


def next_action(duty: Duty, head: BlockNumber, now: Timestamp) -> Action | None:
    """The most urgent thing to do about `duty` at block `head` (confirmed) and chain time `now`."""
    action = _wanted(duty, head, now)
    return None if action is None or type(action) in duty.busy else action


def _wanted(duty: Duty, head: BlockNumber, now: Timestamp) -> Action | None:
    if now > duty.query.answer_deadline:
        return Expire()
    if duty.place is None or duty.doubts:
        return ReadDraw() if head >= duty.query.seed_block else None
    if duty.agreement is None:
        return Compute() if duty.has_input and now >= duty.starts_at else None
    if duty.evidence is None:
        return None
    if not duty.handed_over and duty.place.downstream:
        return HandOver()
    if duty.query.assurance is Assurance.PROVED and duty.evidence.proof is None:
        return Prove()
    return None
