"""Inputs that are too long for a request reach the first shard, whoever has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from nesa.chain.events import QueryRequested
from nesa.models.reference import run
from nesa.privacy.sealing import input_digest, open_answer, seal_input
from nesa.protocol.contents import content_name, encode_locator
from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa.protocol.queries import Privacy
from nesa.protocol.summons import Call
from nesa_miner.contents import kept_content
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey
from nesa_miner.requests import is_asked_again
from tests.miner.committee_network import (
    VERSION,
    CommitteeNetwork,
    content_key_for,
    open_request,
    request_with,
)
from tests.miner.wide_model import wide_model

KEY = JobKey((1, 0))
LENGTH, WIDTH = 5_000, 8
CONTENT_KEY = bytes(range(32))
URL, OTHER_URL = "https://client.example/one", "https://client.example/two"


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path, wide_model(LENGTH * WIDTH, WIDTH))
    yield made
    await made.close()
    assert made.failures == []


def input_of(network: CommitteeNetwork) -> bytes:
    return open_request(network.model, 1).input


def long_request(network: CommitteeNetwork, *urls: str) -> QueryRequested:
    whole = open_request(network.model, 1)
    return replace(whole, input=encode_locator(urls or [URL]))


def publish(network: CommitteeNetwork, data: bytes, *numbers: int, url: str = URL) -> None:
    """For some miners; whoever else asks is told that there is nothing."""
    for number in numbers:
        network.published[url, network.miners[number].seat.signer] = data


def right_answer(network: CommitteeNetwork) -> bytes:
    (answer,) = run(network.model.table, (input_of(network),))
    return answer


def answer_digest(network: CommitteeNetwork) -> Digest:
    return boundary_digest([network.model.output_edge], [right_answer(network)])


def engine_of(network: CommitteeNetwork, number: int) -> Engine:
    engine = network.miners[number].engine
    assert engine is not None
    return engine


def handed_out(network: CommitteeNetwork, number: int, name: bytes) -> bytes | None:
    found = kept_content(engine_of(network, number).around, 1, Digest(name))
    return None if found is None else found()


async def test_a_long_query_is_answered_by_digest(network: CommitteeNetwork) -> None:
    publish(network, input_of(network), 0, 1, 2, 3)
    network.tell(long_request(network))
    evidence = await network.settle(1, 4)
    name = answer_digest(network)
    assert {(one.payload, one.out_digest) for one in evidence} == {(name, name)}
    for number in range(4, 8):
        assert handed_out(network, number, name) == right_answer(network)
    for number in range(4):
        digest = long_request(network).query.input_digest
        assert handed_out(network, number, digest) == input_of(network)


async def test_whoever_has_an_input_hands_it_on(network: CommitteeNetwork) -> None:
    """The client publishes for one member; all four commit and settle."""
    publish(network, input_of(network), 2)
    network.tell(long_request(network))
    evidence = await network.settle(0, 4)
    assert all(len(one.results) == 4 for one in evidence[:1])


async def test_wrong_contents_are_passed_over(network: CommitteeNetwork) -> None:
    wrong = bytes(LENGTH)
    publish(network, wrong, 0, 1, 2, 3)
    publish(network, input_of(network), 3, url=OTHER_URL)
    network.falsified[network.miners[1].seat.endpoint] = wrong
    network.tell(long_request(network, URL, OTHER_URL))
    await network.settle(0, 4)


async def test_what_is_nowhere_is_looked_for_and_nobody_seems_absent(
    network: CommitteeNetwork,
) -> None:
    network.tell(long_request(network))
    engines = [engine_of(network, number) for number in range(4)]
    await network.until(lambda: all(engine.duties[KEY].searches >= 3 for engine in engines))
    assert network.evidence(0) == []
    for number, engine in enumerate(engines):
        signer = network.miners[number].seat.signer
        assert [who for who, _ in network.asked].count(signer) == 2  # the third time not
        assert engine._commitment(summons_of(network, number)) == ZERO_DIGEST
    publish(network, input_of(network), 0)
    for engine in [engine_of(network, 0)]:
        engine.roster.update(replace(engine.duties[KEY], searches=0))
    await network.settle(0, 4)


def summons_of(network: CommitteeNetwork, number: int) -> Call:
    seat = network.miners[number].seat
    query = long_request(network).query
    ids = (query.query_id, query.attempt, 0, query.replicas, number, number, VERSION)
    return Call(*ids, seat.operator, seat.signer, query.requester, query.answer_deadline)


async def test_no_locator_ends_the_duty(network: CommitteeNetwork) -> None:
    network.tell(replace(long_request(network), input=b"nowhere"))
    async with asyncio.timeout(60):
        while any(engine_of(network, number).duties for number in range(4)):
            await asyncio.sleep(0.01)


async def test_an_input_outlives_a_kill(network: CommitteeNetwork) -> None:
    publish(network, input_of(network), 0, 1, 2, 3)
    request = long_request(network)
    network.tell(request)
    await network.settle(0, 4)
    network.published.clear()
    network.asked.clear()
    network.kill(0)
    network.start(0)
    network.tell_one(network.miners[0], request)
    assert handed_out(network, 0, request.query.input_digest) == input_of(network)
    await network.settle(1, 4)
    assert network.asked == []


async def test_of_a_sealed_query_only_ciphertext_is_handed_out(network: CommitteeNetwork) -> None:
    plain = input_of(network)
    digest = input_digest(CONTENT_KEY, boundary_digest([network.model.input_edge], [plain]))
    sealed = seal_input(CONTENT_KEY, VERSION, plain)
    publish(network, sealed, 1)
    network.tell(request_with(Privacy.SEALED, digest, encode_locator([URL])))
    for miner in network.miners:
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
    await network.settle(0, 4)
    (name,) = {one.payload for one in await network.settle(1, 4)}
    assert {handed_out(network, number, digest) for number in range(4)} == {sealed}
    answers = {handed_out(network, number, name) for number in range(4, 8)}
    (answer,) = answers
    assert answer is not None
    assert content_name(answer) == name
    assert open_answer(CONTENT_KEY, VERSION, digest, answer) == right_answer(network)
    plain_answer = boundary_digest([network.model.output_edge], [right_answer(network)])
    assert {handed_out(network, number, plain_answer) for number in range(8)} == {None}


async def test_what_fits_the_chain_is_asked_of_nobody(tmp_path: Path) -> None:
    network = CommitteeNetwork(tmp_path)
    network.tell(open_request(network.model, 1))
    evidence = await network.settle(1, 4)
    assert evidence[0].payload == evidence[0].tensors_out[0]
    assert handed_out(network, 4, evidence[0].out_digest) is None
    await network.close()
    assert network.asked == []


def test_urls_are_asked_less_and_less() -> None:
    assert [n for n in range(100) if is_asked_again(n)] == [0, 1, 3, 7, 15, 31, 63]
