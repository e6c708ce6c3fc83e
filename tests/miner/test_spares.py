"""Spares take the slots of members that were found absent, and the query goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from nesa.chain.events import MemberAbsent
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Address, QueryId
from nesa_miner.jobs import JobKey
from tests.miner.committee_network import CommitteeNetwork, log_key, open_request
from tests.miner.test_claims import Answered

KEY = JobKey((1, 0))
SPARES = (8, 9)


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    for number in SPARES:
        made.miners.append(made._miner(number))
        made.start(number)
    yield made
    await made.close()
    assert made.failures == []


async def until(
    network: CommitteeNetwork, condition: Callable[[], bool], seconds: float = 20.0
) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            for miner in network.miners:
                if miner.engine is not None:
                    miner.engine.advance()
            await asyncio.sleep(0.02)


def found_absent(network: CommitteeNetwork, shard: int, *slots: int, base: int = 0) -> None:
    """The chain says that the members in these slots of a shard did not answer."""
    known = list(network.absent)
    known[shard] = (*known[shard], *slots)
    network.absent = tuple(known)
    events = [_absent(shard, slot, base + number) for number, slot in enumerate(slots)]
    network.tell(*events, head=9, time_=1_020)


def _absent(shard: int, slot: int, number: int) -> MemberAbsent:
    nobody = Address("0x" + "00" * 20)
    return MemberAbsent(log_key(f"absent {number}"), QueryId(1), nobody, 0, shard, slot, slot, 1)


def settled(network: CommitteeNetwork, shard: int) -> list[ShardEvidence]:
    return list(network.evidence(shard))


def drawn(network: CommitteeNetwork, shard: int, *numbers: int) -> None:
    lineup: list[tuple[int, ...]] = [(0, 1, 2, 3), (4, 5, 6, 7)]
    lineup[shard] = (*lineup[shard], *numbers)
    network.lineups[network.seed] = tuple(lineup)


async def test_spares_finish_what_two_dead_members_left(network: CommitteeNetwork) -> None:
    drawn(network, 0, *SPARES)
    for number in (1, 2):
        network.kill(number)
    network.tell(open_request(network.model, 1))
    await asyncio.sleep(0.2)
    assert settled(network, 0) == []
    found_absent(network, 0, 2, 1)
    await until(network, lambda: len(settled(network, 1)) >= 3)
    (one, *_) = settled(network, 0)
    assert [result.position for result in one.results] == [0, 1, 2, 3]
    places = {number: _position(network, number) for number in (0, 3, *SPARES)}
    assert places == {0: 0, 3: 3, 8: 4, 9: 5}


def _position(network: CommitteeNetwork, number: int) -> int:
    engine = network.miners[number].engine
    assert engine is not None
    job = engine.around.journal.job(KEY)
    assert job is not None
    assert job.position is not None
    return job.position


async def test_the_next_shard_gets_its_input_again(network: CommitteeNetwork) -> None:
    drawn(network, 1, *SPARES)
    for number in (5, 6):
        network.kill(number)
    network.tell(open_request(network.model, 1))
    await until(network, lambda: len(settled(network, 0)) == 4)
    found_absent(network, 1, 1, 2)
    await until(network, lambda: len(settled(network, 1)) >= 3)
    (one, *_) = settled(network, 1)
    assert len(one.results) >= 3


async def test_who_was_replaced_takes_no_more_part(network: CommitteeNetwork) -> None:
    drawn(network, 0, *SPARES)
    for number in (2, 3):
        network.kill(number)
    network.tell(open_request(network.model, 1))
    await asyncio.sleep(0.2)
    found_absent(network, 0, 1)
    engine = network.miners[1].engine
    assert engine is not None
    await until(network, lambda: KEY not in engine.duties)
    assert settled(network, 0) == []


async def test_whose_absence_was_undone_is_a_member_again(network: CommitteeNetwork) -> None:
    drawn(network, 0, *SPARES)
    network.kill(3)
    network.tell(open_request(network.model, 1))
    network.kill(2)
    await asyncio.sleep(0.2)
    found_absent(network, 0, 1)
    engine = network.miners[1].engine
    assert engine is not None
    await until(network, lambda: KEY not in engine.duties)
    network.absent = ((), ())
    network.tell(head=10, time_=1_021, undone=[_absent(0, 1, 0)])
    await until(network, lambda: KEY in engine.duties and engine.duties[KEY].place is not None)
    network.start(2)
    network.tell(head=10, time_=1_022)
    await until(network, lambda: len(settled(network, 0)) >= 3)
    (one, *_) = settled(network, 0)
    assert [result.position for result in one.results] == [0, 1, 2]


async def test_a_spare_that_the_report_left_out_claims_its_slot(network: CommitteeNetwork) -> None:
    drawn(network, 0, *SPARES)
    for number in (1, 2):
        network.kill(number)
    network.tell(open_request(network.model, 1))
    await asyncio.sleep(0.2)
    found_absent(network, 0, 2, 1)
    await until(network, lambda: len(settled(network, 0)) == 4 and len(settled(network, 1)) == 4)
    shards = [max(settled(network, shard), key=lambda one: len(one.results)) for shard in (0, 1)]
    answered = Answered(network, open_request(network.model, 1).query, shards)
    paid = 0b0011_1001 & ~(1 << 5)
    network.tell(answered.event((paid, 0b1111)), head=11, time_=1_030)
    await until(network, lambda: bool(network.claimed))
    ((signer, claim),) = network.claimed
    assert signer == network.miners[9].seat.signer
    (work,) = [one for one in shards[0].results if one.position == 1]
    assert claim.result == replace(work, position=5)
    assert (claim.shard, claim.is_paid, claim.commitments) == (0, False, shards[0].commitments)


async def test_a_silent_spare_is_replaced_too(network: CommitteeNetwork) -> None:
    drawn(network, 0, *SPARES)
    for number in (1, 2, 8):
        network.kill(number)
    network.tell(open_request(network.model, 1))
    found_absent(network, 0, 2)
    await asyncio.sleep(0.2)
    assert settled(network, 0) == []
    found_absent(network, 0, 2, base=1)
    await until(network, lambda: len(settled(network, 1)) >= 3)
    (one, *_) = settled(network, 0)
    assert [result.position for result in one.results] == [0, 2, 3]
    assert _position(network, 9) == 5
