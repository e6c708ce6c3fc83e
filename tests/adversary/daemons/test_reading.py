"""What nodes and peers answer to a program that reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from nesa.chain.anvil import Anvil
from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.logs import LogReader
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import Address
from nesa_miner.transport.http import HttpTransport, Limits
from nesa_oracle.evidence import GatherPolicy, HttpEvidence, Request, evidence_session
from tests.chain import emitter
from tests.chain.following import Follower
from tests.chain.rpc_stub import error, stub_node

PEER = Address("0x" + "bb" * 20)
FLOOD = 64 << 20  # bytes


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
async def test_reorg_depth_k(
    anvil: Anvil, deployment: Deployment, follower: Follower, depth: int
) -> None:
    """A reorganisation takes back blocks that a daemon has worked on: exactly what was in them is
    undone, newest first, and what comes in their place is read."""
    for number in range(6):
        emitter.emit(anvil, deployment, "pin", number)
    await follower.catch_up()
    anvil.rpc("anvil_reorg", depth, [])
    await follower.catch_up()
    assert follower.undone == list(range(5, 5 - depth, -1))
    assert follower.seen == list(range(6 - depth))
    emitter.emit(anvil, deployment, "pin", 100)
    await follower.catch_up()
    assert follower.seen == [*range(6 - depth), 100]


@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_getLogs_too_many(anvil: Anvil, deployment: Deployment, limit: int) -> None:
    """Somebody fills blocks with events until the provider refuses the range for its size, so that
    a daemon never gets on: it asks for less until the answer comes, and misses nothing."""
    spans: list[int] = []

    async def answer(method: str, params: list[dict[str, str]]) -> web.StreamResponse | None:
        if method != "eth_getLogs":
            return None
        span = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
        if span > limit:
            return error(-32005, "query returned more than 10000 results")
        spans.append(span)
        return None

    for number in range(20):
        emitter.emit(anvil, deployment, "pin", number)
    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        reader = LogReader(connection)
        follower = Follower(reader, await reader.start())
        await follower.catch_up()
    assert follower.seen == list(range(20))
    assert max(spans) <= limit


@contextlib.asynccontextmanager
async def flooding(status: int) -> AsyncIterator[tuple[str, list[int]]]:
    """URL of a peer that answers without end, and how much of it was taken."""
    taken = [0]

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 4000000000\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while taken[0] < FLOOD:
                writer.write(bytes(64 << 10))
                await writer.drain()
                taken[0] += 64 << 10
        writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken
    finally:
        server.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_oversized_result(status: int) -> None:
    """A member answers with gigabytes to fill the memory of the oracle that asks for evidence, or
    of the miner that sends it a message: both stop reading at their limit."""
    async with flooding(status) as (url, taken), evidence_session() as session:
        source = HttpEvidence(session, GatherPolicy())
        with pytest.raises(Unavailable):
            await asyncio.wait_for(source.fetch(Request(url, 1, 0, 0), 0.05), 30)
        assert taken[0] < FLOOD
    async with flooding(500) as (url, taken):
        transport = HttpTransport({PEER: url}.get, Limits(timeout=0.5))
        with pytest.raises(Unavailable):
            await transport.send(PEER, b"hello")
        await transport.close()
        assert taken[0] < FLOOD
