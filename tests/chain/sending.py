"""What tests of senders share: policies, and what waits or was mined."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.sender import Sender, SendPolicy

GWEI: Final = 10**9
IMPATIENT: Final = SendPolicy(patience=0.2, give_up=120, poll=0.02)
PATIENT: Final = SendPolicy(patience=60, give_up=120, poll=0.02)


def sender(connection: Connection, policy: SendPolicy = PATIENT, **more: Any) -> Sender:
    return Sender(connection, development_account(0), policy, **more)


async def pooled(connection: Connection) -> list[dict[str, Any]]:
    """Transactions that wait to be mined."""
    found = await connection.request("txpool_content")
    return [tx for by_nonce in found["pending"].values() for tx in by_nonce.values()]


async def until_pooled(connection: Connection, hashes: set[str]) -> set[str]:
    """Wait for a transaction that is not in `hashes`."""
    while True:
        present = {tx["hash"] for tx in await pooled(connection)}
        if present - hashes:
            return present | hashes
        await asyncio.sleep(0.02)


async def events(connection: Connection) -> int:
    """How many logs the emitter has on the chain."""
    wanted = {"fromBlock": "0x0", "address": connection.deployment.market}
    return len(await connection.request("eth_getLogs", wanted))
