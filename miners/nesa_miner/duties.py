"""What a miner owes: one duty an attempt it may be drawn for, as values; no clock, no network.

    requested --(seed block there)--> drawn --(input there)--> computing --> agreeing --> settled

A duty says what is known; `next_action` says the one thing to do next about it.

A committee that agrees hands over one input. Of those who prove, each hands over what it made,
right or wrong, and nobody can tell before the proofs are there: a prover works on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from nesa.chain.committees import DrawnCommittees, Seat, opened_lineup
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.commitments import ShardContext
from nesa.protocol.evidence import MAX_PIECES, ShardEvidence, evidence_of
from nesa.protocol.ids import Address, BlockNumber, Digest, Timestamp
from nesa.protocol.messages import Handoff
from nesa.protocol.outcomes import MAX_TURNS
from nesa.protocol.queries import Assurance, Query
from nesa.protocol.versions import ShardFacts
from nesa_miner.agreement.state import State
from nesa_miner.jobs import JobKey, WorkKey
from nesa_miner.work import Task, Tensors, has_long_input, is_sealed

Upstream: TypeAlias = tuple[ShardContext, tuple[Address, ...]]
"""Who hands over together: their context and their signers in draw order."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where this miner was drawn: shard and position, among whom.

    `circuits` are those of a version that prove a sealed query.
    """

    committees: DrawnCommittees
    context: ShardContext
    position: int
    facts: ShardFacts
    circuits: CircuitKind = CircuitKind.PUBLIC

    @property
    def shard(self) -> int:
        """Index of the shard."""
        return self.context.shard

    @property
    def has_input_in_request(self) -> bool:
        """Whether the request carries the shard's input itself."""
        return self.shard == 0 and not has_long_input(self.committees.query, self.facts)

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The shard's committee; a proof is one member's own affair."""
        if self.committees.query.assurance is Assurance.PROVED:
            return (self.committees.shards[self.shard][self.position],)
        return self.committees.occupants(self.shard)

    @property
    def spares(self) -> frozenset[int]:
        """Slots of the committee that spares fill."""
        if self.committees.query.assurance is Assurance.PROVED:
            return frozenset()
        return frozenset(self.committees.absent_slots(self.shard))

    @property
    def signers(self) -> tuple[Address, ...]:
        """Signers of the committee in draw order."""
        return tuple(seat.signer for seat in self.seats)

    def upstream(self, sender: Address, handoff: Handoff) -> Upstream | None:
        """Context and signers, by slot, of the committee that hands over, if `sender` is drawn."""
        if self.shard == 0:
            return None
        drawn = self.committees.shards[self.shard - 1]
        if sender not in {seat.signer for seat in drawn}:
            return None
        context = replace(self.context, shard=self.shard - 1)
        if self.committees.query.assurance is Assurance.PROVED:
            return context, (sender,)
        lineup = opened_lineup(self.committees, context, evidence_of(handoff))
        return context, tuple(drawn[position].signer for position in lineup)

    def upstream_position(self, sender: Address) -> int:
        """Where `sender`, one of those who hand over, was drawn."""
        drawn = self.committees.shards[self.shard - 1]
        return [seat.signer for seat in drawn].index(sender)

    def upstream_seats(self, signers: tuple[Address, ...]) -> tuple[Seat, ...]:
        """The seats of some of those who hand over."""
        drawn = {seat.signer: seat for seat in self.committees.shards[self.shard - 1]}
        return tuple(drawn[signer] for signer in signers)

    @property
    def downstream(self) -> tuple[Seat, ...]:
        """Everybody drawn for the next shard, spares included; nobody after the last."""
        shards = self.committees.shards
        return shards[self.shard + 1] if self.shard + 1 < len(shards) else ()


@dataclass(frozen=True, slots=True)
class Computation:
    """One input of a drawn shard and what came of it.

    `tensors_in` is None for what the request carries, and for long ones until they are fetched.

    `number` counts inputs as they came: the agreement about each begins in a round of its own, so
    that a member locks once a round. `rank` counts those of one sender: the first ones go first,
    so that nobody who hands over many keeps the others waiting.
    """

    in_digest: Digest
    tensors_in: Tensors | None = None
    number: int = 0
    rank: int = 0
    agreement: State | None = None
    evidence: ShardEvidence | None = None
    handed_over: bool = False
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Duty:
    """One attempt of one query as far as this miner knows it.

    `handed` are the hand-overs that were taken, without their tensors, by sender's position.
    `unreached` are those of the next shard who did not take one when they were last tried.
    `busy` are the actions that are under way. `doubts` counts reorganisations since the draw was
    last compared with the chain, `searches` how often a long input was found nowhere. All values of
    one duty share a `life`; a duty that starts over has another, and late results of the first do
    not count.
    """

    key: JobKey
    query: Query
    sent: bytes
    place: Place | None = None
    content_key: bytes | None = None
    handed: tuple[tuple[int, Handoff], ...] = ()
    computations: tuple[Computation, ...] = ()
    unreached: frozenset[Address] = frozenset()
    busy: frozenset[Action] = frozenset()
    doubts: int = 0
    searches: int = 0
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
        return Task(self.query, self.place.shard, self.content_key, self.place.circuits)

    @property
    def may_get_another_input(self) -> bool:
        """Whether one input that cannot be used leaves hope for others."""
        later = self.place is not None and self.place.shard > 0
        return later and self.query.assurance is Assurance.PROVED

    @property
    def is_settled(self) -> bool:
        """Whether there is evidence to show."""
        return any(one.evidence is not None for one in self.computations)

    def drawn_at(self, place: Place) -> Duty:
        """The duty once the draw is known; the first shard has its input from the request."""
        own = (Computation(self.query.input_digest),) if place.shard == 0 else ()
        return replace(self, place=place, computations=own)

    def tried(self, receiver: Address, *, was_taken: bool) -> Duty:
        """The duty after a hand-over was brought to a member of the next shard, or could not be."""
        others = self.unreached - {receiver}
        return replace(self, unreached=others if was_taken else others | {receiver})

    def among(self, committees: DrawnCommittees) -> Duty:
        """The duty with its place among others, once spares have slots of absent members.

        An agreement that has not settled goes on from its journal with whoever fills the slots now,
        and what is settled is handed over again: the next shard may have new members.
        """
        assert self.place is not None
        place = replace(self.place, committees=committees)
        is_other = place.signers != self.place.signers
        computations = tuple(
            replace(
                one,
                handed_over=False,
                agreement=None if is_other and one.evidence is None else one.agreement,
            )
            for one in self.computations
        )
        return replace(self, place=place, computations=computations)

    def work(self, in_digest: Digest) -> WorkKey:
        """Under what the journal has one of the computations; only for a duty with a place."""
        assert self.place is not None
        return WorkKey(self.key, self.place.context.seed, in_digest)

    def computation(self, in_digest: Digest) -> Computation:
        """The computation on an input that this duty has."""
        return next(one for one in self.computations if one.in_digest == in_digest)

    def having(self, computation: Computation) -> Duty:
        """The duty with another state of one computation."""
        return replace(
            self,
            computations=tuple(
                computation if one.in_digest == computation.in_digest else one
                for one in self.computations
            ),
        )

    def wants(self, position: int, handoff: Handoff) -> bool:
        """Whether a hand-over of the member at `position` of the shard before is news.

        An honest prover hands over once for each input of its own.
        """
        if self.query.assurance is not Assurance.PROVED:
            return not self.computations
        known = self._handed_by(position)
        most = min(self.query.rules.prover_turns, MAX_TURNS)
        has_room = len(known) < most and len(self.computations) < MAX_PIECES
        return has_room and handoff.in_digest not in known

    def contradicted_by(self, position: int, handoff: Handoff) -> tuple[Handoff, ...]:
        """Hand-overs that were taken and that its signers cannot have signed too.

        Provers sign alone: one of them says nothing about the others.
        """
        is_proved = self.query.assurance is Assurance.PROVED
        return tuple(
            taken
            for sender, taken in self.handed
            if taken.in_digest == handoff.in_digest
            and taken.out_digest != handoff.out_digest
            and (sender == position or not is_proved)
        )

    def taking(self, position: int, handoff: Handoff) -> Duty:
        """The duty with a hand-over that it wants; the same tensors again are no new work."""
        rank = len(self._handed_by(position))
        bare = replace(handoff, tensors=())
        duty = replace(self, handed=(*self.handed, (position, bare)))
        if handoff.out_digest in {one.in_digest for one in self.computations}:
            return duty
        number = len(self.computations)
        new = Computation(handoff.out_digest, handoff.tensors or None, number, rank)
        return replace(duty, computations=(*self.computations, new))

    def _handed_by(self, position: int) -> list[Digest]:
        return [handed.in_digest for sender, handed in self.handed if sender == position]


@dataclass(frozen=True, slots=True)
class ReadDraw:
    """Read the seed and the seats, and see who was drawn, or whether it still is."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch an input that was too long to be handed over, or to be in the request."""

    in_digest: Digest


@dataclass(frozen=True, slots=True)
class Compute:
    """Run the shard on an input and start to agree."""

    in_digest: Digest


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the settled output to the members of the next shard."""

    in_digest: Digest


@dataclass(frozen=True, slots=True)
class Prove:
    """Prove the shard and add the proof to the evidence."""

    in_digest: Digest


@dataclass(frozen=True, slots=True)
class Expire:
    """Let go of an attempt that can no longer be answered."""


Action: TypeAlias = ReadDraw | Fetch | Compute | HandOver | Prove | Expire


def next_action(duty: Duty, head: BlockNumber, now: Timestamp) -> Action | None:
    """The most urgent thing to do about `duty` at block `head` (confirmed) and chain time `now`.

    Of one duty one proof is made at a time, so that a better ranked input can still go first.
    """
    is_proving = any(isinstance(action, Prove) for action in duty.busy)
    for action in _wanted(duty, head, now):
        if action not in duty.busy and not (is_proving and isinstance(action, Prove)):
            return action
    return None


def _wanted(duty: Duty, head: BlockNumber, now: Timestamp) -> list[Action]:
    if now > duty.query.answer_deadline:
        return [Expire()]
    if duty.place is None or duty.doubts:
        return [ReadDraw()] if head >= duty.query.seed_block else []
    if now < duty.starts_at or (is_sealed(duty.query) and duty.content_key is None):
        return []
    steps = [_step(duty, duty.place, one) for one in sorted(duty.computations, key=_urgency)]
    return [action for action in steps if action is not None]


def _urgency(computation: Computation) -> tuple[int, int]:
    return computation.rank, computation.number


def _step(duty: Duty, place: Place, one: Computation) -> Action | None:
    if one.is_refused:
        return None
    if one.agreement is None:
        is_there = one.tensors_in is not None or place.has_input_in_request
        return Compute(one.in_digest) if is_there else Fetch(one.in_digest)
    if one.evidence is None:
        return None
    if not one.handed_over and place.downstream:
        return HandOver(one.in_digest)
    if duty.query.assurance is Assurance.PROVED and one.evidence.proof is None:
        return Prove(one.in_digest)
    return None
