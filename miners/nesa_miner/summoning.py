"""Summons members that say nothing, so that spares get their slots: of this miner's own committees,
and of the next shard where nobody takes what was settled here.

Who speaks has its pay at stake, and a bond is all that it costs. Who answers its summons has the
bond and may stay as silent as it was: nobody is called again whom this miner lost a bond to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

import structlog

from nesa.chain.docket import EMPTY, Docket
from nesa.chain.summonses import Summons
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import NesaError
from nesa.protocol.ids import Address, QueryId, Timestamp
from nesa.protocol.queries import MAX_REPLICAS, Assurance, Query
from nesa.protocol.summons import Call, SummonsRules
from nesa_miner.agreement.silence import silent
from nesa_miner.agreement.state import State
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.duties import Duty, Place
from nesa_miner.retrying import Retries, reason_of
from nesa_miner.summonses import Summoned
from nesa_miner.tasks import Spawn

REST_SECONDS: Final = 0.5
LONGEST_PAUSE: Final = 30.0
LOST_SECONDS: Final = 300.0
"""After which a summons that was mined and that no event tells of was dropped by a reorganisation;
the contract takes a second one only then."""

log = structlog.get_logger("nesa_miner")


class Seated(NamedTuple):
    """A place in the draw of one attempt."""

    query_id: QueryId
    attempt: int
    shard: int
    position: int


@dataclass(frozen=True, slots=True)
class Clocks:
    """The chain's time, and this miner's in seconds, by which agreements run."""

    chain: Timestamp
    own: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Slots of a committee whose occupants say nothing. `turns` others that miss them too call them
    before this miner does.
    """

    context: ShardContext
    lineup: tuple[int, ...]
    slots: frozenset[int]
    turns: int


def missing(
    duty: Duty, known: Sequence[Summoned], rules: SummonsRules, clocks: Clocks
) -> tuple[Seated, ...]:
    """Whom this miner is to summon now for a duty of its own.

    Members take turns by slots, so that two of them seldom call one. It has to be early enough for
    an answer.
    """
    silence = _silence(duty, clocks)
    if silence is None or clocks.chain + rules.answer_window > duty.query.answer_deadline:
        return ()
    found, called = [], {seat_of(one.event.call) for one in known}
    place, wait = silence.context, silence.turns * _turn(rules)
    for slot in sorted(silence.slots):
        seated = Seated(duty.query.query_id, place.attempt, place.shard, silence.lineup[slot])
        since = _since(duty, place, slot, known) + rules.patience
        if clocks.chain >= since + wait and seated not in called:
            found.append(seated)
    return tuple(found)


def unanswered(
    duty: Duty, known: Iterable[Summoned], rules: SummonsRules, clocks: Clocks
) -> Iterator[Call]:
    """Summonses of others among those whom a duty misses that nobody ends, in this miner's turn."""
    silence = _silence(duty, clocks)
    if silence is None:
        return
    wait = (1 + silence.turns) * _turn(rules)
    for one in known:
        call = one.event.call
        if call.is_about(silence.context) and one.is_open and clocks.chain > call.deadline + wait:
            yield call


def has_kept_a_bond(operator: Address, known: Iterable[Summoned], me: Address) -> bool:
    """Whether an operator answered a summons of `me` that is still remembered."""
    calls = (one.event.call for one in known if one.is_answered)
    return any((call.operator, call.summoner) == (operator, me) for call in calls)


def seat_of(call: Call) -> Seated:
    """Whom a summons calls."""
    return Seated(call.query_id, call.attempt, call.shard, call.position)


def _silence(duty: Duty, clocks: Clocks) -> Silence | None:
    """Whom a duty misses at the moment; provers have turns instead."""
    place = duty.place
    if place is None or duty.query.assurance is Assurance.PROVED or duty.doubts:
        return None
    lineup = place.committees.lineup(place.shard)
    state = _under_way(duty)
    if state is not None:
        gone = silent(state, clocks.own)
        turns = sum(slot not in gone for slot in range(state.committee.me))
        return Silence(place.context, lineup, gone, turns)
    if not _nobody_takes_it(duty, place):
        return None
    context = replace(place.context, shard=place.shard + 1)
    behind = place.committees.lineup(context.shard)
    return Silence(context, behind, frozenset(range(len(behind))), lineup.index(place.position))


def _under_way(duty: Duty) -> State | None:
    """The agreement that has not settled."""
    open_ = (one.agreement for one in duty.computations if one.evidence is None)
    return next((state for state in open_ if state is not None), None)


def _nobody_takes_it(duty: Duty, place: Place) -> bool:
    """Whether what was settled reached nobody in the slots of the next shard: if anybody is there,
    it has its own pay to speak for."""
    if not place.downstream or place.position not in place.committees.lineup(place.shard):
        return False
    behind = place.committees.occupants(place.shard + 1)
    return all(seat.signer in duty.unreached for seat in behind)


def _since(duty: Duty, context: ShardContext, slot: int, known: Iterable[Summoned]) -> Timestamp:
    """Since when a slot's occupant has it, or a moment before: the chain knows exactly, and refuses
    what is too early."""
    missed = (one.event.call for one in known if one.is_missed)
    ends = [call.deadline for call in missed if call.is_about(context) and call.slot == slot]
    return max(ends, default=duty.query.opened_at)


def _turn(rules: SummonsRules) -> int:
    return rules.patience // MAX_REPLICAS


@dataclass(slots=True)
class Summoning:
    """Calls and ends summonses, within `bonds`."""

    summons: Summons
    rules: SummonsRules
    bonds: Bonds
    spawn: Spawn
    clock: Callable[[], float]
    _known: tuple[Summoned, ...] = ()
    _sent: dict[Seated, float] = field(default_factory=dict)
    _calls: Retries[Seated] = field(init=False)
    _ends: Retries[Seated] = field(init=False)

    def __post_init__(self) -> None:
        told = (self.spawn, self.clock, _tell, REST_SECONDS, LONGEST_PAUSE)
        self._calls, self._ends = Retries(*told), Retries(*told)
        self.bonds.elsewhere = self.bonds_out

    def bonds_out(self) -> int:
        """NES units in bonds of this miner's summonses that are not over."""
        mine = {seat_of(one.event.call) for one in self._known if self._is_by_me(one)}
        open_ = sum(one.is_open for one in self._known if self._is_by_me(one))
        return self.rules.bond * (open_ + len(self._sent.keys() - mine))

    def advance(
        self,
        now: Timestamp,
        duties: Iterable[Duty],
        known: tuple[Summoned, ...],
        docket: Docket = EMPTY,
    ) -> None:
        """Try everything that is due at chain time `now`."""
        self._known, clocks = known, Clocks(now, self.clock())
        due, ends = {}, {}
        for duty in duties:
            for seated in missing(duty, known, self.rules, clocks):
                if not has_kept_a_bond(_operator(duty, seated), known, self._me):
                    due[seated] = duty.query
            for call in unanswered(duty, known, self.rules, clocks):
                ends[seat_of(call)] = call
        for one in known:
            if one.is_open and self._is_by_me(one) and now > one.event.call.deadline:
                ends[seat_of(one.event.call)] = one.event.call
        self._sent = {
            seated: at
            for seated, at in self._sent.items()
            if seated in due and clocks.own < at + LOST_SECONDS
        }
        for seated in due.keys() - self._sent.keys():
            self._calls.start(seated, partial(self._summon, due[seated], seated, docket))
        for seated, call in ends.items():
            self._ends.start(seated, partial(self._end, call))
        self._calls.keep_only(due)
        self._ends.keep_only(ends)

    @property
    def _me(self) -> Address:
        return self.bonds.room.sender.address

    def _is_by_me(self, one: Summoned) -> bool:
        return one.event.call.summoner == self._me

    async def _summon(self, query: Query, seated: Seated, docket: Docket) -> None:
        """Call one member.

        Raises:
            ExhaustedResource: the budget or the account does not allow it now.
            Rejected: the contract refuses; somebody else may have called it.
            Unavailable: the node does not answer.
        """
        bond = self.rules.bond
        async with self.bonds.lock:
            await self.bonds.check(bond, docket)
            await self.bonds.approve(bond, self.summons.address)
            call = self.summons.summon(query, seated.shard, seated.position)
            await self.bonds.room.send(call)
            self._sent[seated] = self.clock()
        log.warning("member summoned", **seated._asdict())

    async def _end(self, call: Call) -> None:
        """Find a member absent; errors as the sender."""
        if await self.summons.is_open(call, "latest"):
            await self.bonds.room.send(self.summons.declare_absent(call))
            log.warning("member absent", **seat_of(call)._asdict())


def _operator(duty: Duty, seated: Seated) -> Address:
    assert duty.place is not None
    return duty.place.committees.shards[seated.shard][seated.position].operator


def _tell(seated: Seated, seconds: float, error: Exception) -> None:
    tell = log.warning if isinstance(error, NesaError) else log.error
    tell("not summoned", **seated._asdict(), seconds=seconds, **reason_of(error))
