"""Summonses, absences and jails on the whole suite, against books in Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import astuple, dataclass
from enum import Enum, auto
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Address, QueryId
from nesa.protocol.queries import Assurance, Privacy, Query
from nesa.protocol.summons import Call, sign_answer, unpack_absences, work_id
from tests.deployment import EPOCH_SECONDS, REQUEST_LIMITS, SUMMONS_RULES
from tests.invariants.market_world import MEMBERS, OWNER, PERSONS, STRANGER, MarketWorld
from tests.invariants.test_query_market import NO_SHRINKING
from tests.market import TENSORS
from tests.revm import Revert, RevmChain

PLACES = 8
REFUSAL = "^(summons|vault|absence): "


class Ending(Enum):
    """What became of a summons."""

    OPEN = auto()
    ANSWERED = auto()
    ABSENT = auto()


@dataclass(slots=True)
class Summoned:
    """A summons in the books."""

    call: Call
    ending: Ending = Ending.OPEN


picks = st.integers(0, 5)


class SummonsMachine(RuleBasedStateMachine):
    """Clients ask, anybody summons, some members answer; nobody works, which is the worst case."""

    calls: ClassVar[Counter[str]] = Counter()

    @initialize()
    def deploy(self) -> None:
        self.world = MarketWorld(RevmChain())
        self.chain, self.vault = self.world.chain, self.world.vault
        below = (self.world.token, self.world.market, self.world.committee, self.vault)
        addresses = [contract.address for contract in below]
        self.contract = self.chain.deploy(
            "contracts/market/Summons", *addresses, astuple(SUMMONS_RULES), sender=OWNER
        )
        self.vault.set_summoner(self.contract.address, sender=OWNER)
        self.callers = (*PERSONS, STRANGER)
        for caller in self.callers:
            self.world.token.transfer(caller, 10_000 * ONE_NES, sender=OWNER)
            self.world.token.approve(self.contract.address, 2**256 - 1, sender=caller)
        self.queries: list[Query] = []
        self.summoned: dict[tuple[int, int], Summoned] = {}
        self.absent: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.missed: dict[tuple[bytes, str], list[int]] = defaultdict(list)
        self.jailed: set[tuple[bytes, str]] = set()
        self.stakes = {owner: self.vault.ledger(owner)[0] for owner in self.world.places}
        self.given = 0

    # Seeing

    @property
    def now(self) -> int:
        return self.chain.timestamp

    def misses(self, version_id: bytes, operator: str) -> int:
        period = self.now // SUMMONS_RULES.period
        recent = [
            missed
            for missed in self.missed[version_id, operator]
            if missed + SUMMONS_RULES.jail_periods > period
        ]
        return min(len(recent), SUMMONS_RULES.jail_misses)

    def query(self, index: int) -> Query | None:
        return self.queries[-1 - index % len(self.queries)] if self.queries else None

    def open_summons(self, index: int) -> Summoned | None:
        found = [one for one in self.summoned.values() if one.ending is Ending.OPEN]
        return found[-1 - index % len(found)] if found else None

    def ask(self, allowed: bool, call: Any, *arguments: Any, **options: Any) -> Any:
        """Result of the call; it must succeed exactly when `allowed`."""
        self.calls[f"{call.__name__} {'done' if allowed else 'refused'}"] += 1
        if allowed:
            return call(*arguments, **options)
        with pytest.raises(Revert, match=REFUSAL):
            call(*arguments, **options)
        return None

    # Doing

    @rule(client=st.sampled_from(PERSONS))
    def request(self, client: str) -> None:
        order = (self.world.versions[1], Assurance.AGREED, Privacy.OPEN, 4)
        tail = (1_000 * ONE_NES, 0, ZERO_DIGEST)
        given = ((*order, *tail), TENSORS[1][0])
        seated = MEMBERS - len({owner for _, owner in self.jailed})
        if seated < REQUEST_LIMITS.min_seats:
            # Jailed seats are drawn until their epoch ends: go there to see the refusal.
            self.chain.mine(1, EPOCH_SECONDS)
            self.ask(False, self.world.market.request, *given, sender=client)
            return
        self.world.market.request(*given, sender=client)
        (event,) = self.world.events("QueryRequested")
        self.queries.append(Query.from_abi(tuple(event["query"])))
        self.chain.mine(2, 2)

    @rule(seconds=st.sampled_from((1, 5, 10, SUMMONS_RULES.patience, EPOCH_SECONDS, 60)))
    def wait(self, seconds: int) -> None:
        self.chain.mine(1, seconds)

    @rule(index=picks, position=st.integers(0, PLACES), caller=st.integers(0, 2))
    def summon(self, index: int, position: int, caller: int) -> None:
        query = self.query(index)
        if query is not None:
            self.summon_for(query, position, self.callers[caller])

    def summon_for(self, query: Query, position: int, caller: str) -> Call | None:
        number = query.query_id
        absent = self.absent[number]
        since = int(query.opened_at)
        has_slot = position < query.replicas
        slot = position
        if not has_slot and position - query.replicas < len(absent):
            slot, since = absent[position - query.replicas]
            has_slot = position < PLACES
        fits = self.now + SUMMONS_RULES.answer_window <= query.answer_deadline
        is_time = self.now >= since + SUMMONS_RULES.patience
        is_new = (number, position) not in self.summoned
        allowed = has_slot and fits and is_time and is_new
        made = self.ask(allowed, self.contract.summon, query.as_abi(), 0, position, sender=caller)
        if made is None:
            return None
        call = Call(*made)
        signer = self.world.drawn(query, 0, position + 1)[position]
        assert call.signer.lower() == signer.lower()
        assert (call.slot, call.position) == (slot, position)
        self.summoned[number, position] = Summoned(call)
        return call

    @rule(index=picks, forged=st.booleans())
    def answer(self, index: int, forged: bool) -> None:
        found = self.open_summons(index)
        if found is None:
            return
        call = found.call
        keys = {signer.lower(): key for signer, key in self.world.keys.items()}
        key = keys[call.signer.lower()]
        if forged:
            key = next(other for other in keys.values() if other != key)
        address = Address(self.contract.address)
        signed = sign_answer(key, self.chain.chain_id, address, call)
        allowed = not forged and self.now <= call.deadline
        given = (call.as_abi(), ZERO_DIGEST, *signed)
        if self.ask(allowed, self.contract.answer, *given) is not None:
            found.ending = Ending.ANSWERED

    @rule(index=picks, patient=st.booleans())
    def declare_absent(self, index: int, patient: bool) -> None:
        found = self.open_summons(index)
        if found is None:
            return
        call = found.call
        if patient and self.now <= call.deadline:
            self.chain.mine(1, call.deadline + 1 - self.now)
        allowed = self.now > call.deadline
        if self.ask(allowed, self.contract.declare_absent, call.as_abi()) is None:
            return
        found.ending = Ending.ABSENT
        if call.replicas + len(self.absent[call.query_id]) < PLACES:
            self.absent[call.query_id].append((call.slot, self.now))
        missed = self.missed[call.version_id, call.operator]
        period = self.now // SUMMONS_RULES.period
        if not missed or missed[-1] != period:
            missed.append(period)

    @rule(index=picks, caller=st.integers(0, 2))
    def silence_all(self, index: int, caller: int) -> None:
        """Everybody who may be summoned is, and nobody answers."""
        query = self.query(index)
        if query is None or self.now > query.answer_deadline:
            return
        self.chain.mine(1, max(0, query.opened_at + SUMMONS_RULES.patience - self.now))
        for position in range(query.replicas):
            if self.now + SUMMONS_RULES.answer_window <= query.answer_deadline:
                self.summon_for(query, position, self.callers[caller])
        for _ in range(query.replicas):
            self.declare_absent(0, patient=True)

    @rule(number=st.integers(0, 30))
    def jail(self, number: int) -> None:
        """The operator with the most misses, or another one."""
        version_id, owners = self.world.versions[1], list(self.world.places)
        worst = max(owners, key=lambda owner: self.misses(version_id, owner.lower()))
        owner = worst if number > len(owners) // 2 else owners[number]
        self.jail_owner(version_id, owner.lower())

    def jail_owner(self, version_id: bytes, owner: str) -> None:
        enough = self.misses(version_id, owner) >= SUMMONS_RULES.jail_misses
        allowed = enough and (version_id, owner) not in self.jailed
        if self.ask(allowed, self.contract.jail, version_id, owner) is not None:
            self.jailed.add((version_id, owner))
            self.missed[version_id, owner].clear()

    @rule(amount=st.integers(1, ONE_NES))
    def give(self, amount: int) -> None:
        self.world.token.transfer(self.contract.address, amount, sender=STRANGER)
        self.given += amount

    # What always holds

    @invariant()
    def bonds_are_those_of_open_summonses(self) -> None:
        waiting = [one for one in self.summoned.values() if one.ending is Ending.OPEN]
        held = self.world.token.balanceOf(self.contract.address)
        assert held == len(waiting) * SUMMONS_RULES.bond + self.given
        for one in self.summoned.values():
            is_open = one.ending is Ending.OPEN
            assert self.contract.is_open(one.call.as_abi()) == is_open

    @invariant()
    def misses_are_unanswered_summonses(self) -> None:
        version_id = self.world.versions[1]
        silent = {o.call.operator for o in self.summoned.values() if o.ending is Ending.ABSENT}
        for owner in self.world.places:
            counted = self.contract.misses(version_id, owner)
            assert counted == self.misses(version_id, owner.lower())
            assert counted == 0 or owner.lower() in silent

    @invariant()
    def spares_fill_absent_slots(self) -> None:
        for query in self.queries:
            key = work_id(Address(self.world.market.address), QueryId(query.query_id), 0, 0)
            found = unpack_absences(self.vault.absences(key))
            assert [(one.slot, one.since) for one in found] == self.absent[query.query_id]

    @invariant()
    def jailed_seats_had_their_misses(self) -> None:
        for owner, stake in self.stakes.items():
            assert self.vault.ledger(owner)[0] == stake
        version_id = self.world.versions[1]
        for owner, places in self.world.places.items():
            if (version_id, 0) not in places:
                continue
            shard, slot = self.vault.seat_of(version_id, owner)
            ((_, _, _, to_epoch),) = self.vault.seats(version_id, shard, [slot])
            has_ended = to_epoch != 2**32 - 1
            assert has_ended == ((version_id, owner.lower()) in self.jailed)


@pytest.fixture
def machine() -> SummonsMachine:
    found = SummonsMachine()
    found.deploy()
    return found


def check(machine: SummonsMachine) -> None:
    machine.bonds_are_those_of_open_summonses()
    machine.misses_are_unanswered_summonses()
    machine.spares_fill_absent_slots()
    machine.jailed_seats_had_their_misses()


def test_silent_committees_end_in_jail(machine: SummonsMachine) -> None:
    for _ in range(8):
        machine.request(PERSONS[0])
        machine.silence_all(0, 0)
        check(machine)
    version_id = machine.world.versions[1]
    for owner in machine.world.places:
        machine.jail_owner(version_id, owner.lower())
    assert machine.jailed
    check(machine)


def test_summonses_keep_their_invariants() -> None:
    quick = settings(max_examples=8, stateful_step_count=40, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(SummonsMachine, settings=quick)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_summonses_keep_their_invariants_for_long() -> None:
    deep = settings(max_examples=400, stateful_step_count=100, deadline=None)
    run_state_machine_as_test(SummonsMachine, settings=deep)
