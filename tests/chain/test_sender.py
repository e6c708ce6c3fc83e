"""A call takes effect once: under races, stuck pools, other users of the key, and silence."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from aiohttp import web

from nesa.chain.abi import ContractCall
from nesa.chain.anvil import Anvil, development_account
from nesa.chain.connection import Connection, RpcRefused
from nesa.chain.deployment import Deployment
from nesa.chain.sender import (
    Fees,
    Intent,
    Reverted,
    SendPolicy,
    find_mined,
    find_receipt,
)
from nesa.protocol.errors import ExhaustedResource, Rejected, Unavailable
from nesa.protocol.ids import Address, BlockNumber
from tests.chain import emitter
from tests.chain.rpc_stub import error, result, stub_node
from tests.chain.sending import IMPATIENT, PATIENT, events, pooled, sender, until_pooled


async def test_a_call_is_mined_and_its_receipt_told(connection: Connection) -> None:
    receipt = await sender(connection).send(emitter.call(connection.deployment, "pin", 3))
    assert receipt.succeeded
    assert receipt.cost > 0
    assert len(receipt.logs) == 1


async def test_what_the_simulation_refuses_is_never_sent(connection: Connection) -> None:
    mine = sender(connection)
    await mine.send(emitter.call(connection.deployment, "answer", 3))
    nonce = await connection.mined_nonce(mine.address)
    with pytest.raises(Rejected, match="already answered"):
        await mine.send(emitter.call(connection.deployment, "answer", 3))
    assert await connection.mined_nonce(mine.address) == nonce


async def test_concurrent_sends_take_one_nonce_each(connection: Connection) -> None:
    mine = sender(connection)
    calls = [emitter.call(connection.deployment, "pin", number) for number in range(10)]
    receipts = await asyncio.gather(*(mine.send(call) for call in calls))
    assert len({receipt.tx_hash for receipt in receipts}) == 10
    assert await connection.mined_nonce(mine.address) == 10


async def test_intents_are_told_before_anything_leaves(still: Connection) -> None:
    told: list[Intent] = []

    async def write_ahead(intent: Intent) -> None:
        assert not await pooled(still)
        told.append(intent)

    sending = asyncio.create_task(
        sender(still, on_intent=write_ahead).send(emitter.call(still.deployment, "pin", 1))
    )
    present = await until_pooled(still, set())
    await still.request_once("evm_mine")
    receipt = await sending
    assert [intent.tx_hash for intent in told] == [receipt.tx_hash]
    assert present == {f"0x{receipt.tx_hash.hex()}"}


async def test_a_stuck_transaction_is_replaced_by_a_dearer_one(still: Connection) -> None:
    intents: list[Intent] = []

    async def remember(intent: Intent) -> None:
        intents.append(intent)

    mine = sender(still, IMPATIENT, on_intent=remember)
    sending = asyncio.create_task(mine.send(emitter.call(still.deployment, "pin", 1)))
    hashes: set[str] = set()
    for _ in range(3):
        hashes = await until_pooled(still, hashes)
    await still.request_once("evm_mine")
    receipt = await sending
    assert receipt.succeeded
    assert await events(still) == 1
    assert len({intent.nonce for intent in intents}) == 1
    for older, newer in itertools.pairwise(intents):
        assert newer.fees.max_fee * 1000 >= older.fees.max_fee * 1125
        assert newer.fees.tip * 1000 >= older.fees.tip * 1125


async def test_a_node_that_forgot_a_transaction_is_told_again(
    still: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same one, long before a dearer one is due."""
    monkeypatch.setattr("nesa.chain.sender._REPEAT_SECONDS", 0.1)
    intents: list[Intent] = []

    async def remember(intent: Intent) -> None:
        intents.append(intent)

    mine = sender(still, PATIENT, on_intent=remember)
    sending = asyncio.create_task(mine.send(emitter.call(still.deployment, "pin", 1)))
    sent = await until_pooled(still, set())
    await still.request_once("anvil_dropAllTransactions")
    assert await until_pooled(still, set()) == sent
    await still.request_once("evm_mine")
    assert (await sending).succeeded
    assert await events(still) == 1
    assert len(intents) == 1


async def test_a_restart_takes_the_place_of_what_was_left_behind(still: Connection) -> None:
    call = emitter.call(still.deployment, "answer", 1)
    first = asyncio.create_task(sender(still).send(call))
    hashes = await until_pooled(still, set())
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(sender(still).send(call, gas=200_000))
    await until_pooled(still, hashes)
    await still.request_once("evm_mine")
    assert (await second).succeeded
    assert await events(still) == 1
    assert await still.mined_nonce(sender(still).address) == 1


async def test_a_restart_after_the_old_transaction_was_mined_sends_nothing(
    still: Connection,
) -> None:
    call = emitter.call(still.deployment, "answer", 1)
    first = asyncio.create_task(sender(still).send(call))
    await until_pooled(still, set())
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await still.request_once("evm_mine")
    with pytest.raises(Rejected, match="already answered"):
        await sender(still).send(call)


async def test_a_nonce_that_somebody_else_used_is_given_up(still: Connection) -> None:
    """The same key in another program: its transaction is mined, ours is sent again."""
    ours = emitter.call(still.deployment, "pin", 1)
    sending = asyncio.create_task(sender(still, on_intent=forget).send(ours))
    hashes = await until_pooled(still, set())
    theirs = ContractCall(Address("0x" + "22" * 20), b"", "a transfer", 1)
    other = asyncio.create_task(sender(still).send(theirs))
    hashes = await until_pooled(still, hashes)
    await still.request_once("evm_mine")
    assert (await other).succeeded
    await until_pooled(still, hashes)
    await still.request_once("evm_mine")
    assert (await sending).succeeded
    assert await events(still) == 1


async def forget(_: Intent) -> None:
    return None


async def test_a_call_that_fails_only_when_mined_is_reverted(still: Connection) -> None:
    """Both pass the simulation; the second finds the first already answered."""
    call = emitter.call(still.deployment, "answer", 1)
    mine = sender(still)
    first = asyncio.create_task(mine.send(call))
    hashes = await until_pooled(still, set())
    second = asyncio.create_task(mine.send(call))
    await until_pooled(still, hashes)
    await still.request_once("evm_mine")
    assert (await first).succeeded
    with pytest.raises(Reverted, match="already answered") as caught:
        await second
    assert not caught.value.receipt.succeeded


async def test_explicit_gas_is_used_as_given(still: Connection) -> None:
    call = emitter.call(still.deployment, "pin", 1)
    sending = asyncio.create_task(sender(still).send(call, gas=123_456))
    await until_pooled(still, set())
    assert [int(tx["gas"], 16) for tx in await pooled(still)] == [123_456]
    await still.request_once("evm_mine")
    await sending


async def test_an_account_without_funds_is_told(connection: Connection) -> None:
    mine = sender(connection)
    await connection.request_once("anvil_setBalance", mine.address, "0x1")
    with pytest.raises((ExhaustedResource, RpcRefused)) as caught:
        await mine.send(emitter.call(connection.deployment, "pin", 1), gas=100_000)
    assert isinstance(caught.value, ExhaustedResource)


async def test_silence_at_the_broadcast_is_not_taken_for_a_no(
    anvil: Anvil, deployment: Deployment
) -> None:
    """The node took the transaction and the answer was lost: it is not sent twice."""
    sent = []

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        if method != "eth_sendRawTransaction":
            return None
        sent.append(anvil.rpc(method, *params))
        return web.Response(status=502)

    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        receipt = await sender(connection).send(emitter.call(deployment, "answer", 1))
    assert sent == [f"0x{receipt.tx_hash.hex()}"]


async def test_a_broadcast_that_never_arrived_is_sent_again(
    anvil: Anvil, deployment: Deployment
) -> None:
    tries = []

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        if method != "eth_sendRawTransaction":
            return None
        tries.append(params)
        return web.Response(status=502) if len(tries) == 1 else None

    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        receipt = await sender(connection, IMPATIENT).send(emitter.call(deployment, "answer", 1))
    assert receipt.succeeded
    assert len(tries) == 2


async def test_receipts_that_come_late_are_waited_for(anvil: Anvil, deployment: Deployment) -> None:
    """Nodes behind one URL: some know the nonce as used long before others know the receipt."""
    asked: list[str] = []

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        asked.append(method)
        is_late = asked.count("eth_getTransactionReceipt") <= 30
        return result(None) if method == "eth_getTransactionReceipt" and is_late else None

    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        receipt = await sender(connection).send(emitter.call(deployment, "pin", 1))
        assert receipt.succeeded
        assert await events(connection) == 1
    assert asked.count("eth_sendRawTransaction") == 1


async def test_a_used_nonce_alone_is_no_reason_to_send_again(
    anvil: Anvil, deployment: Deployment
) -> None:
    """No block shows what used it, so it may have been the call itself."""
    sent: list[str] = []

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        if method == "eth_sendRawTransaction":
            sent.append(method)
            return result("0x" + "11" * 32)
        return result("0x1") if method == "eth_getTransactionCount" and sent else None

    policy = SendPolicy(patience=60, give_up=0.5, poll=0.01)
    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        with pytest.raises(Unavailable, match="not mined within"):
            await sender(connection, policy).send(emitter.call(deployment, "pin", 1))
    assert len(sent) == 1


async def test_a_count_that_lags_costs_neither_fees_nor_haste(
    anvil: Anvil, deployment: Deployment
) -> None:
    """A node says that the nonce is used, another one does not know it for a while."""
    emitter.included(anvil, {"from": development_account(0).address, "to": emitter.DEPLOYER})
    intents: list[Intent] = []
    stale = ["0x0"] * 20

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        is_count = method == "eth_getTransactionCount" and params[1] == "latest"
        return result(stale.pop()) if is_count and stale else None

    async def remember(intent: Intent) -> None:
        intents.append(intent)

    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        mine = sender(connection, on_intent=remember)
        assert (await mine.send(emitter.call(deployment, "pin", 1))).succeeded
    assert [intent.nonce for intent in intents] == [0, 1]
    assert intents[1].fees.tip == intents[0].fees.tip


async def test_a_transaction_that_no_node_takes_frees_its_nonce(
    anvil: Anvil, deployment: Deployment
) -> None:
    refusals = [error(-32000, "intrinsic gas too low")]

    async def answer(method: str, params: list[Any]) -> web.StreamResponse | None:
        return refusals.pop() if method == "eth_sendRawTransaction" and refusals else None

    async with (
        stub_node(answer, anvil.url) as url,
        Connection(url, deployment, emitter.QUICK) as connection,
    ):
        mine = sender(connection)
        with pytest.raises(RpcRefused):
            await mine.send(emitter.call(deployment, "pin", 1))
        await mine.send(emitter.call(deployment, "pin", 1))
        assert await connection.mined_nonce(mine.address) == 1


async def test_a_node_that_goes_away_is_waited_for(still: Connection) -> None:
    policy = SendPolicy(patience=60, give_up=0.5, poll=0.02)
    with pytest.raises(Unavailable, match=r"was sent as 0x.* and not mined within 0.5 s"):
        await sender(still, policy).send(emitter.call(still.deployment, "pin", 1))


async def test_an_unknown_transaction_has_no_receipt(connection: Connection) -> None:
    head = await connection.head()
    assert await find_receipt(connection, head.hash) is None


async def test_the_transaction_of_a_nonce_is_found_in_its_block(
    anvil: Anvil, connection: Connection
) -> None:
    me, genesis = Address(development_account(0).address), BlockNumber(0)
    hashes = []
    for blocks in (20, 1, 30):
        anvil.rpc("anvil_mine", hex(blocks))
        receipt = emitter.included(anvil, {"from": me, "to": emitter.DEPLOYER})
        hashes.append(bytes.fromhex(receipt["transactionHash"][2:]))
    assert [await find_mined(connection, me, nonce, genesis) for nonce in range(3)] == hashes
    assert await find_mined(connection, me, 3, genesis) is None
    assert await find_mined(connection, me, 0, (await connection.head()).number) is None


def test_a_bump_raises_both_fees_by_an_eighth_and_respects_the_cap() -> None:
    assert Fees(1000, 8).bumped(2000) == Fees(1125, 9)
    assert Fees(1000, 8).bumped(1124) is None
