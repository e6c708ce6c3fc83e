"""Health and metrics answer on their port and tell nothing about queries."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession

from nesa.chain.anvil import free_port
from nesa.chain.listening import MOST_CONNECTIONS
from nesa.chain.status import Daemon
from nesa.protocol.errors import InvalidConfiguration
from nesa_oracle.observability import Metrics
from nesa_oracle.server import STALE_SECONDS, Health, serving


async def read(port: int, path: str) -> tuple[int, str]:
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


async def test_an_oracle_is_alive_before_it_is_ready() -> None:
    now = [0.0]
    health, port = Health(clock=lambda: now[0]), free_port()
    async with serving("127.0.0.1", port, health, Metrics(), dict):
        assert await read(port, "/healthz") == (200, "ok")
        assert await read(port, "/readyz") == (503, "the chain was not read yet")
        health.chain_was_read(is_following=False)
        assert (await read(port, "/readyz"))[0] == 503
        health.chain_was_read(is_following=True)
        assert await read(port, "/readyz") == (200, "ready")
        now[0] = STALE_SECONDS + 1
        health.failed("the node is away")
        assert await read(port, "/readyz") == (503, "the node is away")


async def test_metrics_are_in_the_text_format() -> None:
    metrics, port = Metrics(), free_port()
    metrics.sent.inc()
    async with serving("127.0.0.1", port, Health(), metrics, dict):
        status, text = await read(port, "/metrics")
    assert status == 200
    assert "nesa_oracle_transactions_sent_total 1.0" in text


async def test_idle_connections_do_not_pile_up() -> None:
    port = free_port()
    async with serving("127.0.0.1", port, Health(), Metrics(), dict):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        assert (await read(port, "/healthz"))[0] == 200


async def test_a_taken_port_is_told() -> None:
    port = free_port()
    async with serving("127.0.0.1", port, Health(), Metrics(), dict):
        with pytest.raises(InvalidConfiguration, match="change port"):
            async with serving("127.0.0.1", port, Health(), Metrics(), dict):
                pass


async def test_the_status_is_what_the_oracle_says_of_itself(tmp_path: Path) -> None:
    port = free_port()
    asked = Daemon("oracle", "0.0.0.0", port, tmp_path / "none.sqlite", ("seen",))
    with pytest.raises(InvalidConfiguration, match="start one with `nesa-oracle run`"):
        await asked.read_status()
    said = {"signer": None, "processed": 7, "jobs": {"seen": 2}}
    health = Health()
    health.failed("the node is away")
    async with serving("127.0.0.1", port, health, Metrics(), lambda: said):
        found = await asked.read_status()
    assert found == {"running": True, **said, "problem": "the node is away"}


async def test_another_program_is_no_oracle(tmp_path: Path) -> None:
    port, journal = free_port(), tmp_path / "journal.sqlite"
    journal.write_bytes(b"anything")
    asked = Daemon("oracle", "127.0.0.1", port, journal, ("seen",))
    async with serving("127.0.0.1", port, Health(), Metrics(), dict):
        with pytest.raises(InvalidConfiguration, match="cannot be read as a journal"):
            await asked.read_status()
