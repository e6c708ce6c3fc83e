"""What a node, other users of its key, and prices do to a program that sends transactions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from nesa.chain.anvil import Anvil
from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.sender import Intent, SendPolicy
from nesa.protocol.errors import ExhaustedResource, Rejected
from tests.chain import emitter
from tests.chain.rpc_stub import stub_node
from tests.chain.sending import GWEI, IMPATIENT, PATIENT, events, pooled, sender


async def test_nonce_gap(connection: Connection) -> None:
    """A call that is bound to fail takes a nonce among others, so that all later ones hang: nonces
    are handed out after the simulation, and what fails there takes none."""
    mine = sender(connection)
    refused = emitter.call(connection.deployment, "overflow", 1)
    good = [emitter.call(connection.deployment, "pin", number) for number in range(4)]
    results = await asyncio.gather(
        *(mine.send(call) for call in (*good[:2], refused, *good[2:])), return_exceptions=True
    )
    assert [isinstance(result, Rejected) for result in results] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert await connection.mined_nonce(mine.address) == 4
    assert await events(connection) == 4


async def test_replacement_mined_old_hash(still: Connection) -> None:
    """A block takes the first transaction after its dearer replacement was sent, so that a sender
    that waits for the newest hash waits for ever: every hash of a nonce counts."""
    intents: list[Intent] = []

    async def remember(intent: Intent) -> None:
        intents.append(intent)
        if len(intents) == 2:
            await still.request_once("evm_mine")

    mine = sender(still, IMPATIENT, on_intent=remember)
    receipt = await mine.send(emitter.call(still.deployment, "pin", 1))
    assert len(intents) == 2
    assert receipt.tx_hash == intents[0].tx_hash != intents[1].tx_hash
    assert await events(still) == 1


async def test_price_cap_stop(still: Connection) -> None:
    """A fee spike makes a sender pay more than its work earns: at its cap it stops and says so, and
    above it it sends nothing."""
    policy = SendPolicy(max_fee_per_gas=3 * GWEI, patience=0.1, give_up=20, poll=0.02)
    with pytest.raises(ExhaustedResource, match="stuck at .* the cap of 3000000000 wei"):
        await sender(still, policy).send(emitter.call(still.deployment, "pin", 1))
    assert {int(tx["maxFeePerGas"], 16) <= 3 * GWEI for tx in await pooled(still)} == {True}
    waiting = await pooled(still)
    with pytest.raises(ExhaustedResource, match="more than the cap"):
        poor = SendPolicy(max_fee_per_gas=1)
        await sender(still, poor).send(emitter.call(still.deployment, "pin", 2))
    assert await pooled(still) == waiting


async def test_rpc_429(anvil: Anvil, deployment: Deployment) -> None:
    """A provider answers every other request with "too many", so that a daemon gives up, or bids
    ever more for what never left: the same is asked again after a while, and sent at the first
    price."""
    asked: list[tuple[str, list[Any]]] = []

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        asked.append((method, params))
        return web.Response(status=429) if len(asked) % 2 else None

    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        receipt = await sender(connection, PATIENT).send(emitter.call(deployment, "pin", 1))
        assert receipt.succeeded
        assert await events(connection) == 1
    assert asked[::2] == asked[1::2]
    sent = {params[0] for method, params in asked if method == "eth_sendRawTransaction"}
    assert len(sent) == 1
