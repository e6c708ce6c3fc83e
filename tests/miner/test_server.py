"""What strangers may ask a miner over HTTP, and how much of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from nesa.models.placement.honesty import read_observed
from nesa.protocol.evidence import decode_pieces, encode_evidence
from nesa_miner import server
from nesa_miner.jobs import JobKey, WorkKey
from nesa_miner.server import Routes
from nesa_miner.shards import ShardKey
from tests.miner.committee_network import VERSION, CommitteeNetwork, open_request
from tests.miner.test_requests import LENGTH, WIDTH, input_of, long_request, publish
from tests.miner.wide_model import wide_model

KEY = JobKey((1, 0))


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()


async def ask(routes: Routes, query: str = "", number: str = "1") -> int:
    names = {"query_id": number, "attempt": "0", "shard": "0"}
    request = make_mocked_request("GET", f"/v1/evidence/{number}/0/0{query}", match_info=names)
    return (await routes.evidence(request)).status


async def test_members_see_how_long_the_others_took(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    engine = network.miners[4].engine
    assert engine is not None
    routes = Routes(engine)
    answer = await routes.observed(make_mocked_request("GET", "/v1/observed"))
    assert answer.text is not None
    (shard,) = read_observed(answer.text.encode()).shards
    assert shard.file_digest == f"0x{network.model.shards[1].file_digest.hex()}"
    members = {miner.identity.address for miner in network.miners[4:]}
    assert {peer.signer for peer in shard.peers} == members
    page = (await routes.metrics(make_mocked_request("GET", "/metrics"))).body
    assert isinstance(page, bytes)
    assert page.count(b"nesa_miner_peer_seconds{") == 4
    assert b"nesa_miner_slow_peers 0.0" in page


@pytest.mark.parametrize("number", ["x", "-1", str(2**64), "1e3"])
async def test_a_number_that_is_none_is_the_callers_mistake(
    network: CommitteeNetwork, number: str
) -> None:
    assert network.miners[0].engine is not None
    assert await ask(Routes(network.miners[0].engine), number=number) == 400


async def test_only_so_many_may_wait(
    network: CommitteeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_WAITING", 2)
    monkeypatch.setattr(server, "LONGEST_WAIT", 600.0)
    assert network.miners[0].engine is not None
    routes = Routes(network.miners[0].engine)
    waiting = [asyncio.create_task(ask(routes, "?wait=600")) for _ in range(2)]
    await network.until(lambda: routes._waiting == 2)
    async with asyncio.timeout(60):
        assert await ask(routes, "?wait=600") == 404
    await cancelled(*waiting)
    third = asyncio.create_task(ask(routes, "?wait=600"))
    await network.until(lambda: routes._waiting == 1)
    assert not third.done()
    await cancelled(third)


async def cancelled(*tasks: asyncio.Task[int]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_long_tensor_is_handed_out_by_its_name(tmp_path: Path) -> None:
    network = CommitteeNetwork(tmp_path, wide_model(LENGTH * WIDTH, WIDTH))
    publish(network, input_of(network), 0, 1, 2, 3)
    network.tell(request := long_request(network))
    await network.settle(1, 4)
    assert network.miners[0].engine is not None
    routes = Routes(network.miners[0].engine)

    async def get(number: str, name: str) -> web.Response:
        names = {"query_id": number, "name": name}
        asked = make_mocked_request("GET", f"/v1/contents/{number}/{name}", match_info=names)
        return await routes.content(asked)

    name = request.query.input_digest.hex()
    assert (await get("1", name)).body == input_of(network)
    refused = [("x", name), ("-1", name), (str(2**63), name), ("1", name[2:]), ("1", "zz" * 32)]
    assert [(await get(*one)).status for one in refused] == [400] * len(refused)
    assert [(await get(*one)).status for one in (("2", name), ("1", "00" * 32))] == [404, 404]
    routes._handing_out = server.MOST_HANDED_OUT
    assert (await get("1", name)).status == 503
    await network.close()


async def test_a_shard_that_cannot_be_used_shows(network: CommitteeNetwork) -> None:
    engine = network.miners[0].engine
    assert engine is not None
    cold: set[ShardKey] = {(VERSION, 1)}
    routes = Routes(engine, cold)

    async def ready() -> tuple[int, str | None]:
        response = await routes.ready(make_mocked_request("GET", "/readyz"))
        return response.status, response.text

    assert await ready() == (503, "not caught up with the chain")
    engine.is_following = True
    assert await ready() == (503, f"not usable yet: shard 1 of 0x{VERSION.hex()}")
    cold.clear()
    assert await ready() == (200, "ready")


async def test_who_waits_gets_what_is_added(network: CommitteeNetwork) -> None:
    engine = network.miners[0].engine
    assert engine is not None
    network.tell(open_request(network.model, 1))
    (piece, *_) = await network.settle(0, 4)
    journal, body = engine.around.journal, encode_evidence(piece)
    journal.keep_evidence(WorkKey(KEY, network.seed, piece.in_digest), 0, body)
    names = {"query_id": "1", "attempt": "0", "shard": "0"}
    url = f"/v1/evidence/1/0/0?wait=5&size={len(body)}"
    request = make_mocked_request("GET", url, match_info=names)
    waiting = asyncio.create_task(Routes(engine).evidence(request))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    journal.keep_evidence(WorkKey(KEY, network.seed, b"another input"), 0, body)
    async with engine.evidence_changed:
        engine.evidence_changed.notify_all()
    shown = (await waiting).body
    assert isinstance(shown, bytes)
    assert decode_pieces(shown) == (piece, piece)
