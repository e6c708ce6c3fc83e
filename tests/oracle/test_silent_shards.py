"""A client summons a shard that keeps its query waiting, on a real chain."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from eth_account import Account

from nesa import ExhaustedResource, InvalidInput, Rejected
from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import MemberSummoned, decode_event
from nesa.chain.logs import LogWindow
from nesa.chain.sender import Sender
from nesa.chain.summonses import Summons
from nesa.cli.main import main
from nesa.protocol.ids import ZERO_DIGEST, Address
from nesa.protocol.queries import Assurance, Query
from nesa.protocol.summons import Call, sign_answer
from tests.oracle.network import Network, operator_key, until
from tests.oracle.test_rewards import client_of


async def calls_of(connection: Connection, query: Query) -> list[Call]:
    wanted = {"address": connection.deployment.summons}
    head = (await connection.head()).number
    logs = await LogWindow(connection, 1_000).read_all(wanted, query.seed_block, head)
    events = [decode_event(log) for log in logs]
    return [event.call for event in events if isinstance(event, MemberSummoned)]


async def answer(network: Network, connection: Connection, call: Call) -> None:
    name, summons = network.name_of(call.signer), Summons.of(connection)
    signed = sign_answer(network.key(name), 31337, summons.address, call, ZERO_DIGEST)
    await Sender(connection, operator_key(name)).send(summons.answer(call, signed))


async def test_a_wholly_silent_shard_is_costly_to_it(
    network: Network, connection: Connection
) -> None:
    """Nobody in it speaks, so nobody of it summons; the client does, and one turns out to be there:
    it has the bond, the others a miss each."""
    query = await network.ask(connection, Assurance.AGREED)
    summons, token = Summons.of(connection), Contracts(connection).token
    rules = await summons.rules("latest")
    async with client_of(network) as client:
        before = await token.balance_of(client.address, "latest")
        with pytest.raises(Rejected, match="have some time to work first"):
            await client.summon(query.query_id, 0)
        with pytest.raises(InvalidInput, match="shards 0 to 1"):
            await client.summon(query.query_id, 2)
        network.pass_to(query.opened_at + rules.patience)
        summoning = asyncio.create_task(client.summon(query.query_id, 0))
        await until(lambda: _are_called(connection, query, 4))
        calls = await calls_of(connection, query)
        await answer(network, connection, calls[2])
        network.pass_to(max(call.deadline for call in calls) + 1)
        called = await summoning
        assert [one.is_absent for one in called] == [True, True, False, True]
        assert [one.operator for one in called] == [call.operator for call in calls]
        after = await token.balance_of(client.address, "latest")
        assert before - after == rules.bond
        with pytest.raises(Rejected, match="were called before"):
            await client.summon(query.query_id, 0)
    misses = [await summons.misses(one.version_id, one.operator, "latest") for one in calls]
    assert misses == [1, 1, 0, 1]


def words_of(network: Network, folder: Path, *words: str) -> list[str]:
    """A command line of the client's."""
    key, password = folder / "client.json", folder / "password"
    keystore = Account.encrypt(development_account(0).key, "a password", iterations=2)
    key.write_text(json.dumps(keystore))
    password.write_text("a password")
    key.chmod(0o600)
    password.chmod(0o600)
    network.deployment.write(folder / "contracts.json")
    place = ("--network", folder / "contracts.json", "--rpc-url", network.anvil.url)
    keys = ("--keystore", key, "--password-file", password)
    return list(map(str, (*words, *place, *keys)))


async def test_who_interrupts_it_gets_its_bonds_back_in_the_next_run(
    network: Network,
    connection: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    rules = await Summons.of(connection).rules("latest")
    token = Contracts(connection).token
    network.pass_to(query.opened_at + rules.patience)
    async with client_of(network) as client:
        before = await token.balance_of(client.address, "latest")
        summoning = asyncio.create_task(client.summon(query.query_id, 1))
        await until(lambda: _are_called(connection, query, 4))
        summoning.cancel()
        await asyncio.wait([summoning])
        network.pass_to(max(call.deadline for call in await calls_of(connection, query)) + 1)
        words = words_of(network, tmp_path, "summon", str(query.query_id), "1")
        assert await asyncio.to_thread(main, words) == 0
        assert capsys.readouterr().out.count("absent, a spare gets the slot") == 4
        assert await token.balance_of(client.address, "latest") == before


async def test_bonds_that_are_not_there_are_said_first(
    network: Network, connection: Connection
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    async with client_of(network) as client:
        elsewhere = Address("0x" + "77" * 20)
        await client.transfer(elsewhere, (await client.balance()).nes)
        with pytest.raises(ExhaustedResource, match="4 bonds are"):
            await client.summon(query.query_id, 0)
    assert await calls_of(connection, query) == []


async def _are_called(connection: Connection, query: Query, count: int) -> bool:
    return len(await calls_of(connection, query)) == count
