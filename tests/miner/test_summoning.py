"""Members whose committee comes up short call the silent ones, within their budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest_asyncio

from nesa.chain.committees import Seat
from nesa.chain.disputes import Dispute
from nesa.protocol.errors import Rejected
from nesa.protocol.ids import Address, Amount, QueryId, Timestamp
from nesa.protocol.queries import Assurance
from nesa.protocol.summons import Call, SummonsRules
from nesa_miner.agreement.silence import HEARD_WITHIN
from nesa_miner.applying import log_bytes
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.duties import Duty
from nesa_miner.jobs import JobKey
from nesa_miner.summoning import (
    LOST_SECONDS,
    Clocks,
    Seated,
    Summoning,
    has_kept_a_bond,
    missing,
    unanswered,
)
from nesa_miner.summonses import Summoned
from tests.miner.committee_network import DEPLOYMENT, VERSION, CommitteeNetwork, open_request
from tests.miner.test_spares import found_absent, until
from tests.miner.test_summonses import Chain as Answering
from tests.miner.test_summonses import absent, answered, summoned, with_answers

RULES = SummonsRules(16, 10, Amount(100), 40, 3, 7)
"""A turn is 2 s: the first member calls from 1,016 on, the second from 1,018."""

KEY = JobKey((1, 0))
LATER = 1e9
"""By the miners' own clock everybody had time to say something."""


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()
    assert made.failures == []


async def short(network: CommitteeNetwork, *dead: int) -> Duty:
    """The duty of the first miner when some of its committee died before they worked."""
    for number in dead:
        network.kill(number)
    network.tell(open_request(network.model, 1))
    here = [number for number in range(4) if number not in dead]
    await until(network, lambda: all(_heard(duty_of(network, one)) >= len(here) for one in here))
    return duty_of(network)


def duty_of(network: CommitteeNetwork, number: int = 0) -> Duty:
    engine = network.miners[number].engine
    assert engine is not None
    return engine.duties[KEY]


def _heard(duty: Duty) -> int:
    states = (one.agreement for one in duty.computations if one.agreement is not None)
    return max((sum(commit is not None for commit in state.commits) for state in states), default=0)


def seated(position: int) -> Seated:
    return Seated(QueryId(1), 0, 0, position)


def called(seat: Seat, position: int, summoner: Address, slot: int | None = None) -> Call:
    head = (QueryId(1), 0, 0, 4, position, position if slot is None else slot, VERSION)
    return Call(*head, seat.operator, seat.signer, summoner, Timestamp(1_030))


def known_as(call: Call, *, ended: bool = False, missed: bool = False) -> Summoned:
    event = replace(summoned(call.signer, f"summoned {call.position}"), call=call)
    return Summoned(log_bytes(event.log), event, b"end" if ended else b"", missed)


def at(chain: int, own: float = LATER) -> Clocks:
    return Clocks(Timestamp(chain), own)


class TestMissing:
    async def test_the_silent_are_missed_once_patience_is_over(
        self, network: CommitteeNetwork
    ) -> None:
        duty = await short(network, 1, 2)
        assert missing(duty, (), RULES, at(1_015)) == ()
        assert missing(duty, (), RULES, at(1_016)) == (seated(1), seated(2))

    async def test_members_that_speak_take_turns(self, network: CommitteeNetwork) -> None:
        await short(network, 1, 2)
        last = duty_of(network, 3)
        assert missing(last, (), RULES, at(1_017)) == ()
        assert missing(last, (), RULES, at(1_018)) == (seated(1), seated(2))

    async def test_nobody_is_missed_before_it_could_be_heard(
        self, network: CommitteeNetwork
    ) -> None:
        """After a restart a member has heard nobody yet."""
        duty = await short(network, 1, 2)
        (computation,) = duty.computations
        assert computation.agreement is not None
        joined_at = computation.agreement.joined_at
        assert missing(duty, (), RULES, at(1_016, joined_at + HEARD_WITHIN - 0.1)) == ()
        assert missing(duty, (), RULES, at(1_016, joined_at + HEARD_WITHIN))

    async def test_nobody_is_called_twice(self, network: CommitteeNetwork) -> None:
        duty = await short(network, 1, 2)
        call = called(network.miners[1].seat, 1, DEPLOYMENT.market)
        for known in (known_as(call), known_as(call, ended=True)):
            assert missing(duty, (known,), RULES, at(1_016)) == (seated(2),)

    async def test_nobody_is_called_who_could_not_answer_in_time(
        self, network: CommitteeNetwork
    ) -> None:
        duty = await short(network, 1, 2)
        duty = replace(duty, query=replace(duty.query, answer_deadline=Timestamp(1_030)))
        assert missing(duty, (), RULES, at(1_020))
        assert missing(duty, (), RULES, at(1_021)) == ()

    async def test_of_a_proof_nobody_is_missed(self, network: CommitteeNetwork) -> None:
        duty = await short(network, 1, 2)
        proved = replace(duty, query=replace(duty.query, assurance=Assurance.PROVED))
        assert missing(proved, (), RULES, at(1_100)) == ()

    async def test_nobody_is_missed_of_what_is_settled(self, network: CommitteeNetwork) -> None:
        network.kill(2)
        network.tell(open_request(network.model, 1))
        await network.settle(0, 3)
        assert missing(duty_of(network), (), RULES, at(1_100)) == ()

    async def test_a_spare_has_its_own_time(self, network: CommitteeNetwork) -> None:
        """The slot of the dead member is a spare's from the end of its summons on."""
        network.miners.append(network._miner(8))
        network.lineups[network.seed] = ((0, 1, 2, 3, 8), (4, 5, 6, 7))
        await short(network, 1, 2)
        call = called(network.miners[1].seat, 1, DEPLOYMENT.market)
        found_absent(network, 0, 1)
        await until(
            network,
            lambda: (
                duty_of(network).place.seats[1].signer == network.miners[8].seat.signer  # type: ignore[union-attr]
                and _heard(duty_of(network)) == 2
            ),
        )
        duty, known = duty_of(network), (known_as(call, ended=True, missed=True),)
        assert missing(duty, known, RULES, at(1_045)) == (seated(2),)
        assert missing(duty, known, RULES, at(1_046)) == (seated(4), seated(2))


class TestMissingBehind:
    """Of the next shard members are missed when nobody of it takes what was settled."""

    @staticmethod
    async def handed_over(network: CommitteeNetwork, *dead: int, unreached: int) -> Duty:
        for number in dead:
            network.kill(number)
        network.tell(open_request(network.model, 1))
        await until(network, lambda: len(duty_of(network).unreached) == unreached)
        return duty_of(network)

    async def test_all_of_a_silent_shard_are_missed_in_turns(
        self, network: CommitteeNetwork
    ) -> None:
        duty = await self.handed_over(network, 4, 5, 6, 7, unreached=4)
        everybody = tuple(Seated(QueryId(1), 0, 1, position) for position in range(4))
        assert missing(duty, (), RULES, at(1_015)) == ()
        assert missing(duty, (), RULES, at(1_016)) == everybody
        await until(network, lambda: len(duty_of(network, 2).unreached) == 4)
        assert missing(duty_of(network, 2), (), RULES, at(1_019)) == ()
        assert missing(duty_of(network, 2), (), RULES, at(1_020)) == everybody

    async def test_nobody_is_missed_where_anybody_is_there(self, network: CommitteeNetwork) -> None:
        """It is not paid without the others, and calls them itself."""
        duty = await self.handed_over(network, 4, 5, 6, unreached=3)
        assert missing(duty, (), RULES, at(1_100)) == ()

    async def test_who_comes_back_is_missed_no_more(self, network: CommitteeNetwork) -> None:
        await self.handed_over(network, 4, 5, 6, 7, unreached=4)
        network.start(5)
        network.tell_one(network.miners[5], open_request(network.model, 1))
        await until(network, lambda: len(duty_of(network).unreached) == 3)
        assert missing(duty_of(network), (), RULES, at(1_100)) == ()

    async def test_summonses_of_the_next_shard_are_ended_too(
        self, network: CommitteeNetwork
    ) -> None:
        duty = await self.handed_over(network, 4, 5, 6, 7, unreached=4)
        call = replace(called(network.miners[4].seat, 0, DEPLOYMENT.market), shard=1)
        known = (known_as(call),)
        assert len(missing(duty, known, RULES, at(1_016))) == 3
        assert list(unanswered(duty, known, RULES, at(1_032))) == []
        assert list(unanswered(duty, known, RULES, at(1_033))) == [call]

    async def test_spares_finish_what_a_silent_shard_left(self, network: CommitteeNetwork) -> None:
        for number in (8, 9, 10):
            network.miners.append(network._miner(number))
            network.start(number)
        network.lineups[network.seed] = ((0, 1, 2, 3), (4, 5, 6, 7, 8, 9, 10))
        duty, chain = await self.handed_over(network, 4, 5, 6, 7, unreached=4), Chain()
        made = summoning(network, chain)
        made.advance(Timestamp(1_016), [duty], ())
        await until(network, lambda: len(chain.made("summon")) == 4)
        assert sorted(chain.made("summon")) == [("summon", 1, one) for one in range(4)]
        found_absent(network, 1, 0, 1, 2, 3)
        await until(network, lambda: len(network.evidence(1)) >= 3)
        assert missing(duty_of(network), (), RULES, at(1_100)) == ()


async def test_summonses_that_nobody_ends_are_ended_in_turn(network: CommitteeNetwork) -> None:
    duty = await short(network, 1, 2)
    open_ = known_as(called(network.miners[1].seat, 1, DEPLOYMENT.market))
    ended = known_as(called(network.miners[2].seat, 2, DEPLOYMENT.market), ended=True)
    assert list(unanswered(duty, (open_, ended), RULES, at(1_032))) == []
    assert list(unanswered(duty, (open_, ended), RULES, at(1_033))) == [open_.event.call]


def test_who_kept_a_bond_is_remembered() -> None:
    me, other = Address("0x" + "33" * 20), Address("0x" + "44" * 20)
    seat = Seat(0, other, other, "", b"")
    call = called(seat, 1, me)
    assert has_kept_a_bond(other, [known_as(call, ended=True)], me)
    assert not has_kept_a_bond(other, [known_as(call, ended=True)], other)
    assert not has_kept_a_bond(other, [known_as(call)], me)
    assert not has_kept_a_bond(other, [known_as(call, ended=True, missed=True)], me)


@dataclass
class Chain:
    """An account with NES, and the contract that takes its summonses."""

    balance: int = 1_000
    sent: list[Any] = field(default_factory=list)
    refuses: bool = False
    address: Address = DEPLOYMENT.market

    @property
    def room(self) -> Courtroom:
        token = SimpleNamespace(
            balance_of=self._answer(self.balance),
            allowance=self._answer(0),
            approve=lambda taker, bond: ("approve", taker, bond),
        )
        sender = SimpleNamespace(address=self.address)
        contracts = SimpleNamespace(token=token)
        return cast(Courtroom, SimpleNamespace(sender=sender, contracts=contracts, send=self._send))

    @property
    def summons(self) -> Any:
        return SimpleNamespace(
            address="summons",
            summon=lambda query, shard, position: ("summon", shard, position),
            is_open=self._answer(True),
            declare_absent=lambda call: ("declare", call.position),
        )

    @staticmethod
    def _answer(value: Any) -> Any:
        async def read(*_: object) -> Any:
            return value

        return read

    async def _send(self, call: Any) -> None:
        if self.refuses and call[0] == "summon":
            raise Rejected("summons: summoned before")
        self.sent.append(call)

    def made(self, kind: str) -> list[Any]:
        return [call for call in self.sent if call[0] == kind]


def summoning(
    network: CommitteeNetwork,
    chain: Chain,
    most: int = 1_000,
    clock: Callable[[], float] = lambda: LATER,
) -> Summoning:
    bonds = Bonds(chain.room, Amount(most), "max_bonds")
    return Summoning(chain.summons, RULES, bonds, network.spawn, clock)


async def settle_down(network: CommitteeNetwork) -> None:
    async with asyncio.timeout(60):
        while network.tasks:
            await asyncio.sleep(0.01)


class TestSummoning:
    async def test_the_silent_are_called_once(self, network: CommitteeNetwork) -> None:
        duty, chain = await short(network, 1, 2), Chain()
        made = summoning(network, chain)
        for _ in range(3):
            made.advance(Timestamp(1_016), [duty], ())
            await settle_down(network)
        assert sorted(chain.made("summon")) == [("summon", 0, 1), ("summon", 0, 2)]
        assert chain.made("approve") == [("approve", "summons", 100)] * 2
        assert made.bonds_out() == 200

    async def test_a_summons_that_a_reorganisation_dropped_is_sent_again(
        self, network: CommitteeNetwork
    ) -> None:
        """It was mined, and before any event of it was followed the block was gone."""
        duty, chain, own = await short(network, 1, 2, 3), Chain(), [LATER]
        made = summoning(network, chain, clock=lambda: own[0])
        for wait in (0.0, LOST_SECONDS - 1, 1.0, 1.0):
            own[0] += wait
            made.advance(Timestamp(1_016), [duty], ())
            await settle_down(network)
        assert sorted(chain.made("summon")) == sorted([("summon", 0, one) for one in (1, 2, 3)] * 2)
        assert made.bonds_out() == 300

    async def test_the_budget_holds_for_summonses_and_suits(
        self, network: CommitteeNetwork
    ) -> None:
        duty, chain = await short(network, 1, 2), Chain()
        made = summoning(network, chain, most=250)
        made.bonds.paid(Dispute(QueryId(9), 0, None), Amount(100))
        made.advance(Timestamp(1_016), [duty], ())
        await settle_down(network)
        assert len(chain.made("summon")) == 1

    async def test_who_has_no_nes_calls_nobody(self, network: CommitteeNetwork) -> None:
        duty, chain = await short(network, 1, 2), Chain(balance=99)
        summoning(network, chain).advance(Timestamp(1_016), [duty], ())
        await settle_down(network)
        assert chain.sent == []

    async def test_nobody_is_called_again_who_kept_a_bond(self, network: CommitteeNetwork) -> None:
        duty, chain = await short(network, 1, 2), Chain()
        call = replace(called(network.miners[1].seat, 1, chain.address), query_id=QueryId(7))
        made = summoning(network, chain)
        made.advance(Timestamp(1_016), [duty], (known_as(call, ended=True),))
        await settle_down(network)
        assert chain.made("summon") == [("summon", 0, 2)]

    async def test_a_refused_summons_costs_no_bond(self, network: CommitteeNetwork) -> None:
        duty, chain = await short(network, 1, 2), Chain(refuses=True)
        made = summoning(network, chain)
        made.advance(Timestamp(1_016), [duty], ())
        await settle_down(network)
        assert made.bonds_out() == 0

    async def test_a_bond_comes_back_though_the_query_is_over(
        self, network: CommitteeNetwork
    ) -> None:
        chain = Chain()
        made = summoning(network, chain)
        known = (known_as(called(network.miners[1].seat, 1, chain.address)),)
        made.advance(Timestamp(1_030), [], known)
        await settle_down(network)
        assert chain.made("declare") == []
        made.advance(Timestamp(1_031), [], known)
        await settle_down(network)
        assert chain.made("declare") == [("declare", 1)]


async def test_a_miner_follows_the_summonses_of_its_committees(network: CommitteeNetwork) -> None:
    """A restart forgets neither what it called, nor who kept a bond. Those of the next shard may be
    its own; those of the one before are others' affair."""
    before, last = (with_answers(network, one, Answering()) for one in (0, 4))
    network.tell(open_request(network.model, 1))
    await until(network, lambda: all(duty_of(network, one).place is not None for one in (0, 4)))
    there, here = (summoned(network.miners[one].seat.signer, f"of {one}") for one in (1, 5))
    here = replace(here, call=replace(here.call, shard=1))
    network.tell(here, there, absent(here.call), answered(there.call), time_=1_031)
    assert before.summonses is not None
    assert last.summonses is not None
    assert {one.event for one in before.summonses.known} == {here, there}
    (kept,) = last.summonses.known
    assert (kept.event, kept.is_missed) == (here, True)
    assert last.summonses.summary() == {"known": 0, "open": 0, "missed": 0}
    again = with_answers(network, 4, Answering())
    assert again.summonses is not None
    assert again.summonses.known == (kept,)
