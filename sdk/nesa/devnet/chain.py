"""The chain of a development network: an anvil whose first minute is spent before it begins.

Set-up needs many transactions one behind the other. The chain starts a little in the past and
mines each at once; when everybody is seated its clock is set to now, so that seats are active and
blocks come at their pace.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from nesa.chain.anvil import CHAIN_ID, find_anvil, free_port
from nesa.devnet.processes import Program, Running, Supervisor, describe_failure
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import Address

HEAD_START_SECONDS: Final = 600
"""How far in the past set-up begins; more than it has transactions."""

START_TIMEOUT: Final = 60.0
DEVELOPMENT_COINS: Final = 10**21
"""1,000 coins in wei: more gas than a network ever burns."""


@dataclass(frozen=True, slots=True)
class LocalChain:
    """A running anvil."""

    port: int
    running: Running

    @property
    def url(self) -> str:
        """Where it answers JSON-RPC."""
        return f"http://127.0.0.1:{self.port}"

    async def request(self, method: str, *params: Any) -> Any:
        """One request.

        Raises:
            Unavailable: no answer, or an error.
        """
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, json=body) as response,
            ):
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"{self.url} did not answer {method}") from error
        if "error" in answer:
            raise Unavailable(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    async def give_coins(self, account: Address) -> None:
        """Let an account pay for gas."""
        await self.request("anvil_setBalance", account, hex(DEVELOPMENT_COINS))

    async def set_clock(self) -> None:
        """Set the chain's clock to now."""
        await self.request("evm_setTime", int(time.time()))
        await self.request("evm_mine")

    async def begin(self, block_time: float) -> None:
        """Set the clock to now and mine by it from here on."""
        await self.set_clock()
        await self.request("evm_setAutomine", False)
        await self.request("evm_setIntervalMining", max(1, round(block_time)))


async def start_chain(supervisor: Supervisor, log: Path) -> LocalChain:
    """A fresh chain that mines every transaction at once.

    Raises:
        InvalidConfiguration: there is no anvil on this machine.
        Unavailable: it ended, or did not answer in time.
    """
    port = free_port()
    command = [str(find_anvil(os.environ)), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--chain-id", str(CHAIN_ID), "--silent", "--no-request-size-limit"]
    command += ["--timestamp", str(int(time.time()) - HEAD_START_SECONDS)]
    running = await supervisor.start(Program("chain", tuple(command), log))
    chain = LocalChain(port, running)
    await _wait_until_ready(chain)
    return chain


async def _wait_until_ready(chain: LocalChain) -> None:
    limit = time.monotonic() + START_TIMEOUT
    while time.monotonic() < limit:
        if not chain.running.is_alive:
            raise Unavailable(describe_failure(chain.running))
        try:
            await chain.request("eth_chainId")
        except Unavailable:
            await asyncio.sleep(0.05)
            continue
        return
    raise Unavailable(f"anvil did not answer within {START_TIMEOUT:g} s")
