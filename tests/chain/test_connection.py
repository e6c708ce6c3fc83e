"""What a connection makes of good nodes, wrong ones, and none at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from nesa.chain import http_provider
from nesa.chain.anvil import Anvil, free_port
from nesa.chain.connection import Connection, RpcPolicy, RpcRefused, redacted
from nesa.chain.deployment import Deployment
from nesa.protocol.errors import Incompatible, InvalidConfiguration, Rejected, Unavailable
from nesa.protocol.ids import Address, BlockNumber
from tests.chain import emitter
from tests.chain.rpc_stub import error, stub_node

NOBODY = Address("0x" + "11" * 20)


async def test_blocks_are_found_by_number_and_by_hash(connection: Connection) -> None:
    head = await connection.head()
    assert await connection.block(head.number) == head
    assert await connection.block(head.hash) == head
    assert (await connection.block(BlockNumber(0))).hash == head.parent_hash


async def test_a_block_that_is_not_there_is_unavailable(connection: Connection) -> None:
    with pytest.raises(Unavailable, match="no block 0x3e8"):
        await connection.block(BlockNumber(1000))


async def test_a_read_can_name_a_block_by_its_hash(connection: Connection) -> None:
    head = await connection.head()
    call = emitter.call(connection.deployment, "two", 7)
    assert await connection.call(call, head.hash) == await connection.call(call, "latest")


async def test_requests_that_are_cancelled_leave_the_node_in_reach(connection: Connection) -> None:
    """At whatever step of a request."""
    for steps in range(40):
        asked = [asyncio.create_task(connection.head()) for _ in range(8)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        async with asyncio.timeout(60):
            await connection.head()


async def test_another_chain_is_refused_with_what_to_do(anvil: Anvil) -> None:
    deployment = emitter.deployment_at(NOBODY, 0, chain_id=5)
    with pytest.raises(Incompatible, match=r"is chain 31337, the deployment is on chain 5; point"):
        await Connection.open(anvil.url, deployment, emitter.QUICK)


async def test_missing_contracts_are_named(anvil: Anvil) -> None:
    deployment = emitter.deployment_at(NOBODY, 0)
    with pytest.raises(Incompatible, match="there is no token contract at 0x1111"):
        await Connection.open(anvil.url, deployment, emitter.QUICK)


async def test_another_protocol_is_refused(anvil: Anvil, deployment: Deployment) -> None:
    newer = deployment.model_copy(update={"protocol_version": 2})
    with pytest.raises(Incompatible, match="speaks protocol 2, this program 1"):
        await Connection.open(anvil.url, newer, emitter.QUICK)


async def test_a_dead_node_is_unavailable_and_its_secrets_stay_secret() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/v3/token"
    with pytest.raises(Unavailable) as caught:
        await Connection.open(url, emitter.deployment_at(NOBODY, 0), emitter.QUICK)
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://node.example/v3/abc?key=1", "https://node.example/..."),
        ("http://me:pw@10.0.0.1:8545", "http://10.0.0.1:8545"),
        ("http://[::1", "the URL"),
    ],
)
def test_urls_are_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_other_schemes_than_http_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="not an http"):
        Connection("ftp://x", emitter.deployment_at(NOBODY, 0))


@pytest.mark.parametrize(
    "garbage",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"result": 12}', b'{"result": "0xzz"}', b"\xff\xfe"],
)
async def test_garbage_is_unavailable_and_never_anything_else(garbage: bytes) -> None:
    async def answer(method: str, params: object) -> web.StreamResponse:
        return web.Response(body=garbage, content_type="application/json")

    async with stub_node(answer) as url:
        with pytest.raises(Unavailable):
            await Connection.open(url, emitter.deployment_at(NOBODY, 0), emitter.QUICK)


async def test_an_answer_without_an_end_is_not_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused as nodes themselves refuse spans of logs that are too long."""
    monkeypatch.setattr(http_provider, "MAX_ANSWER", 2**16)

    async def answer(method: str, params: object) -> web.StreamResponse:
        return web.Response(body=endless(), content_type="application/json")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 2**12

    async with (
        stub_node(answer) as url,
        Connection(url, emitter.deployment_at(NOBODY, 0), emitter.QUICK) as connection,
    ):
        with pytest.raises(RpcRefused, match="response size exceeds") as caught:
            await connection.head()
    assert not caught.value.is_transient


async def test_errors_of_the_node_keep_their_code() -> None:
    async def answer(method: str, params: object) -> web.StreamResponse:
        return error(-32601, "method not found")

    async with (
        stub_node(answer) as url,
        Connection(url, emitter.deployment_at(NOBODY, 0), emitter.QUICK) as connection,
    ):
        with pytest.raises(RpcRefused) as caught:
            await connection.head()
    assert caught.value.code == -32601


async def test_a_silent_node_costs_no_more_than_the_timeout() -> None:
    async def answer(method: str, params: object) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    policy = RpcPolicy(timeout=0.1, retries=0)
    async with (
        stub_node(answer) as url,
        Connection(url, emitter.deployment_at(NOBODY, 0), policy) as connection,
    ):
        with pytest.raises(Unavailable, match="within 0.1 s"):
            await connection.head()


async def test_a_revert_keeps_the_contracts_reason(anvil: Anvil, connection: Connection) -> None:
    emitter.emit(anvil, connection.deployment, "answer", 1)
    with pytest.raises(Rejected) as caught:
        await connection.call(emitter.call(connection.deployment, "answer", 1), "latest")
    assert caught.value.reason == "emitter: already answered"


async def test_a_revert_without_a_reason_is_a_sentence(connection: Connection) -> None:
    with pytest.raises(Rejected, match="reverted without a reason"):
        await connection.call(emitter.call(connection.deployment, "overflow", 1), "latest")
