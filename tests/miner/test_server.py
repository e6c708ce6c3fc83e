"""What strangers may ask a miner over HTTP, and how much of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp.test_utils import make_mocked_request

from nesa_miner import server
from nesa_miner.server import Routes
from tests.miner.committee_network import CommitteeNetwork


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()


async def ask(routes: Routes, query: str = "", number: str = "1") -> int:
    names = {"query_id": number, "attempt": "0", "shard": "0"}
    request = make_mocked_request("GET", f"/v1/evidence/{number}/0/0{query}", match_info=names)
    return (await routes.evidence(request)).status


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
    assert network.miners[0].engine is not None
    routes = Routes(network.miners[0].engine)
    waiting = [asyncio.create_task(ask(routes, "?wait=0.5")) for _ in range(2)]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.2):
        assert await ask(routes, "?wait=5") == 404
    assert await asyncio.gather(*waiting) == [404, 404]
    third = asyncio.create_task(ask(routes, "?wait=0.3"))
    await asyncio.sleep(0.05)
    assert not third.done()
    assert await third == 404
