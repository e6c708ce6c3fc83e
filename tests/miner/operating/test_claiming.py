"""A claim on a real chain: paid once, and not without coin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from nesa.chain.anvil import running_anvil
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import QueryFulfilled, SlotClaimed, decode_event, raw_log
from nesa.chain.sender import Sender
from nesa.protocol.errors import ExhaustedResource, Rejected
from nesa.protocol.ids import Digest
from nesa.protocol.queries import Assurance
from nesa_miner.claiming import Claimer
from nesa_miner.claims import Claim, decode_claim, encode_claim
from tests.oracle import network as networks
from tests.oracle.network import QUICK, TENSORS, Network, operator_key, works

LEFT_OUT = 1


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with running_anvil() as anvil:
        made = asyncio.run(networks.build(anvil))
        with made.held:
            yield made


@pytest.fixture
async def connection(network: Network) -> AsyncIterator[Connection]:
    async with await Connection.open(network.anvil.url, network.deployment, QUICK) as opened:
        yield opened


async def left_out(network: Network, connection: Connection) -> tuple[Claim, str]:
    """A query whose report paid all but one of its first shard, and who that is."""
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    done = works(network, committees)
    full = done[0].report()
    paid = tuple(result for result in full.results if result.position != LEFT_OUT)
    reports = [replace(full, results=paid), done[1].report()]
    oracle = operator_key(network.name_of(committees.oracles[0].signer))
    call = Contracts(connection).market.fulfil(query, reports, TENSORS[-1])
    receipt = await Sender(connection, oracle).send(call)
    (answer,) = (
        event for event in map(decode_event, receipt.logs) if isinstance(event, QueryFulfilled)
    )
    commitments = tuple(map(Digest, full.commitments))
    claim = Claim(query, answer.outcome, 0, commitments, full.results[LEFT_OUT])
    return claim, network.name_of(committees.shards[0][LEFT_OUT].signer)


async def test_a_claim_pays_its_operator_once(network: Network, connection: Connection) -> None:
    claim, name = await left_out(network, connection)
    sender = Sender(connection, operator_key(name))
    await Claimer(connection, sender).send(decode_claim(encode_claim(claim)))
    logs = await connection.request("eth_getLogs", {"address": network.deployment.market})
    (event,) = (e for e in map(decode_event, map(raw_log, logs)) if isinstance(e, SlotClaimed))
    vault = Contracts(connection).vault
    assert event.operator == await vault.operator_of(sender.address, "latest")
    later = claim.after({event.shard: event.paid})
    assert later.is_paid
    with pytest.raises(Rejected):
        await Claimer(connection, sender).send(later)


async def test_without_coin_nothing_is_sent(network: Network, connection: Connection) -> None:
    claim, name = await left_out(network, connection)
    network.anvil.rpc("anvil_setBalance", operator_key(name).address, "0x0")
    with pytest.raises(ExhaustedResource, match="no coin"):
        await Claimer(connection, Sender(connection, operator_key(name))).send(claim)
