"""A pause ends at the poll, or at once when a node tells of a block."""

from __future__ import annotations

import asyncio
import time

from nesa.chain.anvil import Anvil, free_port
from nesa.chain.wake import Wake


async def test_without_a_websocket_a_pause_has_its_length() -> None:
    wake = Wake(0.05)
    await wake.listen()
    begun = time.monotonic()
    await wake.wait()
    assert time.monotonic() - begun >= 0.04


async def test_a_new_block_ends_the_pause(anvil: Anvil) -> None:
    wake = Wake(30.0, anvil.url.replace("http", "ws"))
    listening = asyncio.create_task(wake.listen())
    waiting = asyncio.create_task(wake.wait())
    while not waiting.done():
        await asyncio.to_thread(anvil.rpc, "evm_mine")
        await asyncio.sleep(0.05)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_websocket_that_is_not_there_changes_nothing() -> None:
    wake = Wake(0.05, f"ws://127.0.0.1:{free_port()}")
    listening = asyncio.create_task(wake.listen())
    await wake.wait()
    assert not listening.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
