"""CHALLENGED answers on a real chain: delivered to a contract once they stood, never otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest
from eth_abi.abi import encode

from nesa.chain.abi import ContractCall, Interface
from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts, Order
from nesa.chain.history import find_query
from nesa.chain.sender import Sender
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES, Address, Amount
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance, Outcome, Privacy, Query, QueryStatus
from tests.oracle.network import (
    TENSORS,
    Network,
    created,
    creation_code,
    honest_bodies,
    members,
    operator_key,
    until,
)
from tests.oracle.test_oracle import answer, first_oracle, key_of, oracle
from tests.oracle.test_restart import prepare, running
from tests.revm import compiled_as

CONSUMER = "tests/contracts/harness/HostileConsumer.vy"
KIND = 1
CALLBACK_GAS = 200_000


@cache
def consumer_interface() -> Interface:
    return Interface("HostileConsumer", compiled_as(CONSUMER.removesuffix(".vy"))["abi"])


@dataclass
class Consumer:
    """A contract that asks and counts the answers that it is called with."""

    network: Network
    connection: Connection
    address: Address
    client: Sender

    @classmethod
    async def deploy(cls, network: Network, connection: Connection) -> Self:
        contracts, account = Contracts(connection), development_account(0)
        market, token = contracts.market.address, contracts.token.address
        code = creation_code(CONSUMER) + encode(["address", "address"], [market, token])
        address = await created(network.anvil, Address(account.address), code)
        consumer = cls(network, connection, address, Sender(connection, account))
        await consumer.client.send(contracts.token.transfer(address, Amount(100 * ONE_NES)))
        await consumer.client.send(consumer.call("behave", KIND))
        return consumer

    def call(self, name: str, *arguments: Any) -> ContractCall:
        function = consumer_interface().function(name, len(arguments))
        return ContractCall(self.address, function.encode(arguments), name)

    async def ask(self) -> Query:
        """A CHALLENGED query with a callback, two blocks old."""
        limit = Amount(50 * ONE_NES)
        order = Order(
            self.network.version_id, Assurance.CHALLENGED, Privacy.OPEN, 4, limit, CALLBACK_GAS
        )
        receipt = await self.client.send(self.call("ask", order.as_abi(), TENSORS[0]))
        return self.network.announced(receipt, 2)

    async def answers(self) -> int:
        """How often it was called with an answer."""
        found = await self.connection.call(self.call("answers"), "latest")
        return int.from_bytes(found, "big")

    async def was_called(self) -> bool:
        return await self.answers() > 0


@pytest.fixture
async def consumer(network: Network, connection: Connection) -> Consumer:
    return await Consumer.deploy(network, connection)


@dataclass
class Court:
    """The dispute court's account, in whose name the node sends what it is told."""

    network: Network
    connection: Connection
    address: Address

    @classmethod
    async def impersonated(cls, network: Network, connection: Connection) -> Self:
        (address,) = await Contracts(connection).market.read("court", at="latest")
        network.anvil.rpc("anvil_impersonateAccount", address)
        network.anvil.rpc("anvil_setBalance", address, hex(10**18))
        return cls(network, connection, address)

    async def judge(self, verdict: str, query: Query, outcome: Outcome, shard: int) -> None:
        """Hold, release or overturn one shard of an answer."""
        market = Contracts(self.connection).market
        about = (query.as_abi(), outcome_as_abi(outcome), shard)
        named = () if verdict == "overturn" else (await self._payees(query, outcome, shard),)
        call = market.call(verdict, *about, *named)
        sent = {"from": self.address, "to": call.to, "data": f"0x{call.data.hex()}"}
        tx_hash = self.network.anvil.rpc("eth_sendTransaction", sent)

        async def is_mined() -> bool:
            receipt = self.network.anvil.rpc("eth_getTransactionReceipt", tx_hash)
            return receipt is not None and receipt["status"] == "0x1"

        await until(is_mined)

    async def _payees(self, query: Query, outcome: Outcome, shard: int) -> list[int]:
        contracts = Contracts(self.connection)
        seats = await contracts.committee.members(query, outcome.seed, shard, 4, "latest")
        numbers = [
            (await contracts.vault.read("operator_number", seat.operator, at="latest"))[0]
            for seat in seats
        ]
        paid = outcome.shards[shard].paid
        return [number << 160 for place, number in enumerate(numbers) if paid >> place & 1]


async def status(connection: Connection, query: Query) -> QueryStatus:
    return await Contracts(connection).market.status_of(query.query_id, "latest")


async def waiting_credit(connection: Connection, owner: Address) -> int:
    return (await Contracts(connection).market.credit_of(owner, "latest")).waiting


async def test_a_process_that_was_killed_meanwhile_delivers_after_the_windows(
    network: Network, connection: Connection, consumer: Consumer, tmp_path: Path
) -> None:
    query = await consumer.ask()
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    prepare(network, name, tmp_path)
    async with members(network, honest_bodies(network, committees)):
        with running(tmp_path):
            outcome = await answer(connection, query)
    assert await consumer.answers() == 0
    network.pass_time(query.rules.dispute_window + 1)
    assert await status(connection, query) is QueryStatus.FINAL
    owner = committees.oracles[0].operator
    before = await waiting_credit(connection, owner)
    with running(tmp_path):
        await until(consumer.was_called, 30)
    assert outcome.reporter == Address(operator_key(name).address)
    assert await consumer.answers() == 1
    assert await waiting_credit(connection, owner) == before + split_fee(query).delivery


async def test_another_oracle_delivers_when_the_reporter_is_gone(
    network: Network, connection: Connection, consumer: Consumer, tmp_path: Path
) -> None:
    query = await consumer.ask()
    committees = await network.committees(connection, query)
    first, second = (first_oracle(network, committees, turn) for turn in (0, 1))
    folders = [tmp_path / name for name in (first, second)]
    for folder in folders:
        folder.mkdir()
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, second, folders[1]) as journal,
    ):
        async with oracle(network, connection, first, folders[0]):
            await answer(connection, query)
        network.pass_time(query.rules.dispute_window + 1)
        await asyncio.sleep(0.5)
        assert await consumer.answers() == 0
        assert not journal.sent_hashes(key_of(query))
        network.pass_time(2 * query.rules.oracle_turn)
        await until(consumer.was_called)
    assert await consumer.answers() == 1


async def test_an_overturned_answer_is_never_delivered(
    network: Network, connection: Connection, consumer: Consumer, tmp_path: Path
) -> None:
    court = await Court.impersonated(network, connection)
    query = await consumer.ask()
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    prepare(network, name, tmp_path)
    async with members(network, honest_bodies(network, committees)):
        with running(tmp_path):
            outcome = await answer(connection, query)
            await court.judge("hold", query, outcome, 1)
            network.pass_time(query.rules.dispute_window + 1)
            await asyncio.sleep(1.5)
            assert await status(connection, query) is QueryStatus.FULFILLED
            await court.judge("overturn", query, outcome, 1)
            network.pass_time(2 * query.rules.dispute_window)
            await asyncio.sleep(1.5)
    assert await status(connection, query) is QueryStatus.OVERTURNED
    assert await consumer.answers() == 0
    assert await connection.mined_nonce(Address(operator_key(name).address)) == 1
    split = split_fee(query)
    returned = 4 * split.slot + split.delivery
    credit = await Contracts(connection).market.credit_of(consumer.address, "latest")
    assert credit.ready == returned
    found = await find_query(connection, query.query_id)
    assert found.outcome == outcome
    assert found.overturned is not None
    assert (found.overturned.shard, found.overturned.returned) == (1, returned)


async def test_a_released_answer_is_delivered_when_its_longer_windows_are_over(
    network: Network, connection: Connection, consumer: Consumer, tmp_path: Path
) -> None:
    court = await Court.impersonated(network, connection)
    query = await consumer.ask()
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path) as journal,
    ):
        outcome = await answer(connection, query)
        await court.judge("hold", query, outcome, 0)
        network.pass_time(50)
        await court.judge("release", query, outcome, 0)
        closes_at = await Contracts(connection).market.closes_at(query.query_id, "latest")
        assert closes_at >= outcome.fulfilled_at + query.rules.dispute_window + 50

        async def is_put_off() -> bool:
            job = journal.job(key_of(query))
            return job is not None and job.closes_at == closes_at

        await until(is_put_off)
        network.pass_to(closes_at)
        assert await consumer.answers() == 0
        network.pass_time(1)
        await until(consumer.was_called)
    assert await consumer.answers() == 1


@pytest.mark.parametrize("depth", [1, 3])
async def test_a_delivery_that_a_reorganisation_took_is_sent_again(
    network: Network, connection: Connection, consumer: Consumer, tmp_path: Path, depth: int
) -> None:
    query = await consumer.ask()
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path) as journal,
    ):
        await answer(connection, query)
        network.pass_time(query.rules.dispute_window + 1)
        network.anvil.rpc("anvil_mine", "0x2")
        await until(consumer.was_called)

        async def is_noticed() -> bool:
            job = journal.job(key_of(query))
            return job is not None and job.delivered_at is not None

        await until(is_noticed)
        network.anvil.rpc("anvil_reorg", depth, [])
        assert await consumer.answers() == 0
        await until(consumer.was_called)
        await until(is_noticed)
    assert await consumer.answers() == 1
    assert await connection.mined_nonce(Address(operator_key(name).address)) == 2


async def test_an_answer_lost_in_its_window_is_reported_and_delivered_anew(
    network: Network, connection: Connection, consumer: Consumer, tmp_path: Path
) -> None:
    query = await consumer.ask()
    committees = await network.committees(connection, query)
    name = first_oracle(network, committees)
    async with (
        members(network, honest_bodies(network, committees)),
        oracle(network, connection, name, tmp_path) as journal,
    ):
        await answer(connection, query)

        async def is_noticed() -> bool:
            job = journal.job(key_of(query))
            return job is not None and job.closes_at is not None

        await until(is_noticed)
        network.anvil.rpc("anvil_reorg", 1, [])
        later = await answer(connection, query)
        await until(is_noticed)
        assert await consumer.answers() == 0
        network.pass_time(query.rules.dispute_window + 1)
        await until(consumer.was_called)
        job = journal.job(key_of(query))
        assert job is None or job.closes_at == later.fulfilled_at + query.rules.dispute_window
    assert await consumer.answers() == 1
