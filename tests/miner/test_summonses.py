"""A miner answers its summonses, once it can, and remembers those that it did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest_asyncio

from nesa.chain.events import ChainEvent, MemberAbsent, MemberSummoned, SummonsAnswered
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, QueryId, Timestamp, VersionId
from nesa.protocol.summons import Call
from nesa_miner.applying import log_bytes
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey
from nesa_miner.summonses import Answers, decode_summonses, encode_summonses, following
from tests.miner.committee_network import CommitteeNetwork, log_key, open_request

SOMEBODY = Address("0x" + "11" * 20)
DEADLINE = Timestamp(1_030)


def call_of(signer: Address, position: int = 0, query_id: int = 1) -> Call:
    head = (QueryId(query_id), 0, 0, 4, position, position, VersionId(b"\x02" * 32))
    return Call(*head, SOMEBODY, signer, SOMEBODY, DEADLINE)


def summoned(signer: Address, name: str = "summoned", **given: int) -> MemberSummoned:
    call = call_of(signer, **given)
    return MemberSummoned(log_key(name), call.query_id, SOMEBODY, SOMEBODY, call)


def answered(call: Call, name: str = "answered") -> SummonsAnswered:
    place = (call.attempt, call.shard, call.position)
    return SummonsAnswered(log_key(name), call.query_id, call.operator, *place, ZERO_DIGEST)


def absent(call: Call, name: str = "absent") -> MemberAbsent:
    place = (call.attempt, call.shard, call.position, call.slot)
    return MemberAbsent(log_key(name), call.query_id, call.operator, *place, 1)


def told(*events: ChainEvent) -> list[tuple[bytes, ChainEvent]]:
    return [(log_bytes(event.log), event) for event in events]


ME = Address("0x" + "22" * 20)


def is_mine(call: Call) -> bool:
    return call.signer == ME


class TestFollowing:
    def test_only_ones_own_are_kept(self) -> None:
        events = told(summoned(ME), summoned(SOMEBODY, "other"))
        (known,) = following((), (), events, is_mine)
        assert known.event.call.signer == ME

    def test_an_answer_ends_it(self) -> None:
        event = summoned(ME)
        (known,) = following((), (), told(event, answered(event.call)), is_mine)
        assert known.ended_by
        assert not known.is_missed

    def test_an_absence_is_a_miss(self) -> None:
        event = summoned(ME)
        (known,) = following((), (), told(event, absent(event.call)), is_mine)
        assert known.is_missed

    def test_an_answer_of_another_ends_nothing(self) -> None:
        event = summoned(ME)
        (known,) = following((), (), told(event, answered(call_of(ME, position=2))), is_mine)
        assert not known.ended_by

    def test_a_reorganisation_takes_back_what_its_logs_did(self) -> None:
        event = summoned(ME)
        ending = answered(event.call)
        known = following((), (), told(event, ending), is_mine)
        (again,) = following(known, [log_bytes(ending.log)], (), is_mine)
        assert not again.ended_by
        assert following(known, [log_bytes(event.log)], (), is_mine) == ()

    def test_the_journal_gives_back_what_it_took(self) -> None:
        event = summoned(ME)
        known = following((), (), told(event, absent(event.call)), is_mine)
        assert decode_summonses(encode_summonses(known)) == known


@dataclass
class Chain:
    """Takes answers, unless it is told not to."""

    answers: list[tuple[Call, Digest]] = field(default_factory=list)
    is_down: bool = False
    tries: int = 0

    async def send(self, call: Call, commitment: Digest) -> None:
        self.tries += 1
        if self.is_down:
            raise Unavailable("the node does not answer")
        self.answers.append((call, commitment))


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()
    assert made.failures == []


def with_answers(network: CommitteeNetwork, number: int, chain: Chain) -> Engine:
    """The miner started again, with a way to answer summonses."""
    engine = network.miners[number].engine
    assert engine is not None
    around = engine.around
    parts = (around.identity, around.journal, chain.send, around.spawn, around.clock)
    again = Engine(around, summonses=Answers(*parts, around.metrics))
    again.restart()
    again.is_following = True
    network.miners[number].engine = again
    return again


async def until_tried(chain: Chain, tries: int = 1) -> None:
    async with asyncio.timeout(60):
        while chain.tries < tries:
            await asyncio.sleep(0.01)


def advance(network: CommitteeNetwork, events: Sequence[ChainEvent], time: int = 1_010) -> None:
    network.tell(*events, time_=time)
    engine = network.miners[0].engine
    assert engine is not None
    engine.advance()


async def test_a_summoned_miner_answers_with_its_commitment(network: CommitteeNetwork) -> None:
    chain = Chain()
    engine = with_answers(network, 0, chain)
    for number in (1, 2, 3):
        network.kill(number)
    network.tell(open_request(network.model, 1))
    async with asyncio.timeout(60):
        while not _commitment(engine):
            engine.advance()
            await asyncio.sleep(0.02)
    event = summoned(network.miners[0].seat.signer)
    advance(network, [event])
    await until_tried(chain)
    assert chain.answers == [(event.call, _commitment(engine))]
    assert engine.summonses is not None
    assert engine.summonses.summary() == {"known": 1, "open": 1, "missed": 0}
    advance(network, [answered(event.call)], 1_011)
    assert engine.summonses.summary() == {"known": 1, "open": 0, "missed": 0}


def _commitment(engine: Engine) -> Digest | None:
    duty = engine.duties.get(JobKey((1, 0)))
    states = [one.agreement for one in duty.computations] if duty is not None else []
    for state in states:
        own = None if state is None else state.commits[state.committee.me]
        if own is not None:
            return own.commitment
    return None


async def test_who_has_no_work_says_that_it_is_there(network: CommitteeNetwork) -> None:
    chain = Chain()
    with_answers(network, 0, chain)
    event = summoned(network.miners[0].seat.signer, query_id=7)
    advance(network, [event])
    await until_tried(chain)
    assert chain.answers == [(event.call, ZERO_DIGEST)]


async def test_a_node_that_is_away_is_asked_again(network: CommitteeNetwork) -> None:
    chain = Chain(is_down=True)
    engine = with_answers(network, 0, chain)
    now = [0.0]
    assert engine.summonses is not None
    engine.summonses.clock = lambda: now[0]
    event = summoned(network.miners[0].seat.signer)
    advance(network, [event])
    await until_tried(chain)
    await asyncio.sleep(0)
    chain.is_down = False
    engine.advance()
    assert chain.tries == 1
    now[0] = 60.0
    engine.advance()
    await until_tried(chain, 2)
    assert chain.answers == [(event.call, ZERO_DIGEST)]


async def test_nothing_is_sent_after_the_deadline(network: CommitteeNetwork) -> None:
    chain = Chain()
    engine = with_answers(network, 0, chain)
    event = summoned(network.miners[0].seat.signer)
    advance(network, [event], DEADLINE + 1)
    advance(network, [absent(event.call)], DEADLINE + 2)
    await asyncio.sleep(0.05)
    assert chain.tries == 0
    assert engine.summonses is not None
    assert engine.summonses.misses == 1


async def test_a_restart_forgets_no_summons(network: CommitteeNetwork) -> None:
    down, chain = Chain(is_down=True), Chain()
    with_answers(network, 0, down)
    event = summoned(network.miners[0].seat.signer)
    advance(network, [event])
    await until_tried(down)
    again = with_answers(network, 0, chain)
    again.roster.chain_time = Timestamp(1_012)
    again.advance()
    await until_tried(chain)
    assert [call for call, _ in chain.answers] == [event.call]


async def test_what_is_long_over_is_forgotten(network: CommitteeNetwork) -> None:
    chain = Chain()
    engine = with_answers(network, 0, chain)
    event = summoned(network.miners[0].seat.signer)
    advance(network, [event])
    await until_tried(chain)
    advance(network, [replace(event, log=log_key("later"))], DEADLINE + 86_401)
    assert engine.summonses is not None
    assert engine.summonses.known == ()
