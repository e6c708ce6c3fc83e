"""A query is followed through reorganisations, and through outages of the node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from eth_account import Account

from nesa import (
    Client,
    Drawn,
    Model,
    NesaError,
    QueryFailed,
    Requested,
    SubmittedQuery,
    Unavailable,
)
from nesa.chain.committees import DrawnCommittees
from nesa.chain.connection import Connection, RpcPolicy
from nesa.chain.events import MemberSummoned, decode_event
from nesa.chain.history import find_query, find_versions
from nesa.chain.sender import Sender
from nesa.chain.summonses import Summons
from nesa.client import sealing
from nesa.client.following import Following
from nesa.client.watching import Stage
from nesa.protocol.envelopes import MESSAGES_PATH
from nesa.protocol.ids import Address, Digest
from tests.chain.rpc_stub import error, stub_node
from tests.client.strangers import other_requester
from tests.standing_network import StandingNetwork, rich_account

QUICK = RpcPolicy(timeout=60, poll=0.02, retries=0)


async def rpc(client: Client, method: str, *params: object) -> Any:
    return await client.connection.request(method, *params)


@dataclass
class Undone:
    """A request that a reorganisation took out of the chain, and that can be mined again."""

    client: Client
    submitted: SubmittedQuery
    raw: str

    @classmethod
    async def make(cls, client: Client, model: Model, features: np.ndarray) -> Undone:
        snapshot = await rpc(client, "evm_snapshot")
        submitted = await client.submit(model, features, privacy="sealed")
        raw = await rpc(client, "eth_getRawTransactionByHash", f"0x{submitted.tx_hash.hex()}")
        await rpc(client, "evm_revert", snapshot)
        return cls(client, submitted, raw)

    async def mine_again(self) -> None:
        await rpc(self.client, "eth_sendRawTransaction", self.raw)


async def first_stage(client: Client, submitted: SubmittedQuery) -> Stage:
    async with asyncio.timeout(90), aclosing(client.watch(submitted)) as stages:
        return await anext(stages)


async def test_a_request_that_is_in_no_block_yet_is_waited_for(
    client: Client, model: Model, features: np.ndarray
) -> None:
    undone = await Undone.make(client, model, features)
    following = Following(client.connection, undone.submitted)
    assert await following.history() is None
    watching = asyncio.create_task(first_stage(client, undone.submitted))
    await asyncio.sleep(0)
    await undone.mine_again()
    stage = await watching
    assert isinstance(stage, Requested)
    assert stage.query.query_id == undone.submitted.query_id


async def test_a_request_is_followed_to_another_number(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    async with other_requester(client, network.network) as stranger:
        undone = await Undone.make(client, model, features)
        theirs = await stranger.submit(model, features)
    number = undone.submitted.query_id
    assert theirs.query_id == number
    following = Following(client.connection, undone.submitted)
    assert await following.history() is None
    await undone.mine_again()
    stage = await first_stage(client, undone.submitted)
    assert isinstance(stage, Requested)
    assert (stage.query.query_id, stage.query.requester) == (number + 1, client.address)


async def test_a_request_that_stays_undone_is_an_error_that_names_it(
    client: Client, model: Model, features: np.ndarray
) -> None:
    undone = await Undone.make(client, model, features)
    deadline = undone.submitted.query.answer_deadline
    await rpc(client, "evm_setNextBlockTimestamp", int(deadline) + 1)
    await rpc(client, "evm_mine")
    with pytest.raises(QueryFailed, match="a reorganisation undid transaction 0x") as failure:
        await client.result(undone.submitted)
    assert failure.value.submitted == undone.submitted


async def test_a_request_is_found_by_its_number_when_its_transaction_was_replaced(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    replaced = replace(submitted, tx_hash=Digest(b"\7" * 32))
    following = Following(client.connection, replaced)
    assert await following.history() is not None
    assert following.submitted == submitted


async def replace_last_block(client: Client) -> None:
    """By one with a payment in it; an empty one may be the same block again."""
    giver = Account.create().address
    await rpc(client, "anvil_setBalance", giver, hex(10**18))
    await rpc(client, "anvil_impersonateAccount", giver)
    payment = {"from": giver, "to": giver, "value": "0x1"}
    await rpc(client, "anvil_reorg", 1, [[payment, 0]])


async def test_another_seed_block_is_told_with_its_draw(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    await rpc(client, "evm_mine")
    drawn: list[DrawnCommittees] = []
    async with asyncio.timeout(90), aclosing(client.watch(submitted)) as stages:
        while len(drawn) < 2:
            stage = await anext(stages)
            if isinstance(stage, Drawn):
                drawn.append(stage.committees)
                await replace_last_block(client)
    seed = await client.connection.block(submitted.query.seed_block)
    assert [committees.query for committees in drawn] == [submitted.query] * 2
    assert len({seed.hash, *(committees.seed_hash for committees in drawn)}) == 3


@dataclass
class Members:
    """Everybody who may be drawn, at one port: they take nothing, and remember who was told."""

    port: int = 0
    told: set[str] = field(default_factory=set)

    async def receive(self, request: web.Request) -> web.Response:
        self.told.add(f"http://127.0.0.1:{self.port}/{request.match_info['member']}")
        return web.Response(status=503)

    async def move_here(self, client: Client, operators: Sequence[Address]) -> None:
        for number, operator in enumerate(operators):
            url = f"http://127.0.0.1:{self.port}/{number}"
            call = client.contracts.vault.call("set_endpoint", url)
            await rpc(client, "anvil_impersonateAccount", operator)
            sent = {"from": operator, "to": call.to, "data": f"0x{call.data.hex()}"}
            await rpc(client, "eth_sendTransaction", sent)


@pytest.fixture
async def members(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Members]:
    monkeypatch.setattr(sealing, "RETRY_SECONDS", 0.01)
    made = Members()
    app = web.Application()
    app.router.add_post(f"/{{member}}{MESSAGES_PATH}", made.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def endpoints(committees: DrawnCommittees) -> set[str]:
    return {seat.endpoint for shard in committees.shards for seat in shard}


async def everybody(client: Client, model: Model, features: np.ndarray) -> list[Address]:
    """Operators of all seats; a committee of four is all there are of a shard."""
    submitted = await client.submit(model, features)
    await rpc(client, "evm_mine")
    async with asyncio.timeout(90), aclosing(client.watch(submitted)) as stages:
        while not isinstance(stage := await anext(stages), Drawn):
            pass
    return [seat.operator for shard in stage.committees.shards for seat in shard]


async def test_whoever_is_drawn_anew_gets_the_content_key(
    client: Client, members: Members, model: Model, features: np.ndarray
) -> None:
    await members.move_here(client, await everybody(client, model, features))
    submitted = await client.submit(model, features, privacy="sealed", replicas=3)
    await rpc(client, "evm_mine")
    drawn: asyncio.Queue[set[str]] = asyncio.Queue()

    async def on_stage(stage: Stage) -> None:
        if isinstance(stage, Drawn):
            drawn.put_nowait(endpoints(stage.committees))

    waiting = asyncio.create_task(client.result(submitted, on_stage))
    async with asyncio.timeout(90):
        first = await drawn.get()
        while (second := await redrawn(client, drawn)) == first:
            pass
        members.told.clear()
        while not second <= members.told:
            await asyncio.sleep(0.01)
    members.told.clear()
    await asyncio.sleep(0.1)
    assert members.told <= second
    waiting.cancel()


async def test_a_spare_that_gets_a_slot_gets_the_content_key(
    client: Client, members: Members, model: Model, features: np.ndarray
) -> None:
    await members.move_here(client, await everybody(client, model, features))
    submitted = await client.submit(model, features, privacy="sealed", replicas=3)
    await rpc(client, "evm_mine")
    drawn: asyncio.Queue[DrawnCommittees] = asyncio.Queue()

    async def on_stage(stage: Stage) -> None:
        if isinstance(stage, Drawn):
            drawn.put_nowait(stage.committees)

    waiting = asyncio.create_task(client.result(submitted, on_stage))
    async with asyncio.timeout(90):
        first = await drawn.get()
        await find_absent(client, submitted, position=1)
        second = await drawn.get()
        assert second.absent == ((1,), ())
        assert second.shards[0][:3] == first.shards[0]
        spare = second.shards[0][3]
        members.told.clear()
        while spare.endpoint not in members.told:
            await asyncio.sleep(0.01)
    waiting.cancel()


async def find_absent(client: Client, submitted: SubmittedQuery, position: int) -> None:
    """Somebody summons a member of the first shard, which does not answer."""
    connection, summons = client.connection, Summons.of(client.connection)
    sender, rules = Sender(connection, rich_account()), await summons.rules("latest")
    await client.transfer(sender.address, rules.bond)
    await sender.send(client.contracts.token.approve(summons.address, rules.bond))
    await pass_time(client, rules.patience)
    receipt = await sender.send(summons.summon(submitted.query, 0, position))
    events = [decode_event(log) for log in receipt.logs]
    (call,) = (event.call for event in events if isinstance(event, MemberSummoned))
    await pass_time(client, rules.answer_window + 1)
    await sender.send(summons.declare_absent(call))


async def pass_time(client: Client, seconds: int) -> None:
    await rpc(client, "evm_increaseTime", seconds)
    await rpc(client, "evm_mine")


async def redrawn(client: Client, drawn: asyncio.Queue[set[str]]) -> set[str]:
    await replace_last_block(client)
    return await drawn.get()


@dataclass
class Flaky:
    """A node that is away for as many requests as it is told."""

    away: int = 0

    async def answer(self, method: str, params: list[Any]) -> web.StreamResponse | None:
        if not self.away:
            return None
        self.away -= 1
        return web.Response(status=503)


async def test_an_outage_is_waited_out(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    flaky = Flaky()
    async with stub_node(flaky.answer, network.network.rpc_url) as url:
        behind = network.network.model_copy(update={"rpc_url": url})
        async with Client.connect(behind, policy=QUICK) as weak:
            submitted = await weak.submit(model, features)
            seen = []
            async for stage in weak.watch(submitted):
                seen.append(type(stage))
                if isinstance(stage, Drawn):
                    break
                flaky.away = 20
                await rpc(client, "evm_mine")
    assert (seen, flaky.away) == ([Requested, Drawn], 0)


async def test_an_outage_beyond_the_deadline_names_what_was_paid(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    flaky = Flaky(away=1_000)
    clock = iter([0.0, 59.0, 61.0])
    async with (
        stub_node(flaky.answer, network.network.rpc_url) as url,
        Connection(url, network.network.contracts, QUICK) as connection,
    ):
        following = Following(connection, submitted, lambda: next(clock))
        with pytest.raises(Unavailable) as failure:
            await anext(following.stages())
    assert failure.value.submitted is submitted
    assert next(clock, None) is None


async def test_patience_begins_anew_with_every_answer(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    clock = iter([0.0, 100.0, 150.0, 161.0])
    following = Following(client.connection, submitted, lambda: next(clock))
    node = iter([True, False, False])

    async def ask() -> str:
        if not next(node):
            raise Unavailable("away")
        return "here"

    assert await following.patiently(ask) == "here"
    with pytest.raises(Unavailable):
        await following.patiently(ask)
    assert next(clock, None) is next(node, None) is None


async def test_errors_before_a_payment_name_no_query(client: Client) -> None:
    with pytest.raises(NesaError) as failure:
        await client.model("gpt-9")
    assert failure.value.submitted is None


async def test_a_node_that_forgot_the_state_of_the_seed_block_is_asked_for_the_newest(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    async def pruned(method: str, params: list[Any]) -> web.StreamResponse | None:
        if method == "eth_call" and params[1] != "latest":
            return error(-32000, "missing trie node")
        return None

    async with stub_node(pruned, network.network.rpc_url) as url:
        behind = network.network.model_copy(update={"rpc_url": url})
        async with Client.connect(behind, policy=QUICK) as weak:
            assert len(await everybody(weak, model, features)) == 8


@dataclass
class Narrow:
    """A node that answers for few blocks at once."""

    most: int
    spans: list[range] = field(default_factory=list)

    async def answer(self, method: str, params: list[Any]) -> web.StreamResponse | None:
        if method != "eth_getLogs":
            return None
        span = range(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16) + 1)
        if len(span) > self.most:
            return error(-32005, "block range is too large")
        self.spans.append(span)
        return None


async def test_logs_are_read_from_a_node_that_answers_for_few_blocks(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    narrow = Narrow(most=7)
    async with (
        stub_node(narrow.answer, network.network.rpc_url) as url,
        Connection(url, network.network.contracts, QUICK) as connection,
    ):
        assert (await find_query(connection, submitted.query_id)).query == submitted.query
        assert len(await find_versions(connection)) == len(network.registered)
    assert len(narrow.spans) > 2


async def test_a_known_query_is_looked_for_from_its_own_block_on(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    narrow = Narrow(most=1_000_000)
    async with (
        stub_node(narrow.answer, network.network.rpc_url) as url,
        Connection(url, network.network.contracts, QUICK) as connection,
    ):
        assert await Following(connection, submitted).history() is not None
    assert [span.start for span in narrow.spans] == [submitted.query.seed_block - 1]
