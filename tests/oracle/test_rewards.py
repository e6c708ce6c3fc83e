"""A real answer, final on a real chain, makes new NES for those who worked."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from nesa import Client, InvalidInput, Rejected
from nesa.chain.anvil import development_account
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import Network as NetworkFile
from nesa.chain.economy import DelegationPool, RewardEmitter
from nesa.chain.sender import Sender
from nesa.protocol.emission import reward_of
from nesa.protocol.ids import ONE_NES, Address, Amount
from nesa.protocol.queries import Assurance, Query
from scripts.deployment.profiles import DEVNET
from tests.oracle.network import (
    QUICK,
    Network,
    honest_bodies,
    members,
    proved_bodies,
)
from tests.oracle.test_oracle import answer, first_oracle, oracle

TERMS = DEVNET.emission


def client_of(network: Network) -> Client:
    file = NetworkFile(rpc_url=network.anvil.url, chain_id=31337, contracts=network.deployment)
    return Client.connect(file, key=development_account(0), policy=QUICK)


async def answered(
    network: Network, connection: Connection, assurance: Assurance, folder: Path
) -> Query:
    """A query that an oracle brought the answer to, final by now."""
    query = await network.ask(connection, assurance)
    committees = await network.committees(connection, query)
    agreed = assurance is Assurance.AGREED
    bodies = (honest_bodies if agreed else proved_bodies)(network, committees)
    name = first_oracle(network, committees)
    async with members(network, bodies), oracle(network, connection, name, folder):
        await answer(connection, query)
    closes_at = await Contracts(connection).market.closes_at(query.query_id, "latest")
    network.pass_to(closes_at + 1)
    return query


@pytest.mark.parametrize("assurance", [Assurance.AGREED, Assurance.PROVED])
async def test_a_final_query_is_rewarded_once(
    network: Network, connection: Connection, tmp_path: Path, assurance: Assurance
) -> None:
    query = await answered(network, connection, assurance, tmp_path)
    expected = reward_of(query, TERMS.share_bps, TERMS.first_budget)
    emitter = RewardEmitter.of(connection)
    async with client_of(network) as client:
        credited = await client.reward(query.query_id)
        assert credited == expected.total(query.shards * query.replicas) > 0
        with pytest.raises(Rejected, match="emitter: rewarded before"):
            await client.reward(query.query_id)
        developer = Address(development_account(1).address)
        assert await emitter.credit_of(developer, "latest") == expected.developer
        assert await client.withdraw_emission(developer) == expected.developer
        assert await client.withdraw_emission(developer) == 0


async def test_an_operators_delegators_have_their_part(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await answered(network, connection, Assurance.AGREED, tmp_path)
    committees = await network.committees(connection, query)
    name = network.name_of(committees.shards[0][0].signer)
    owner = Account.from_key(keccak(text=f"owner of {name}"))
    operator, pool = Address(owner.address), DelegationPool.of(connection)
    delegator = Sender(connection, development_account(0))
    await Sender(connection, owner).send(pool.announce_commission(1_000))
    await delegator.send(Contracts(connection).token.approve(pool.address, Amount(10**18)))
    await delegator.send(pool.delegate(operator, Amount(500 * ONE_NES)))
    shares = await pool.shares_of(operator, delegator.address, "latest")
    async with client_of(network) as client:
        await client.reward(query.query_id)
        credit = await RewardEmitter.of(connection).credit_of(operator, "latest")
        own = await client.withdraw_emission(operator)
    worth = await pool.value_of(operator, shares, "latest")
    staked = 2 * DEVNET.limits.seat_stake
    part = credit * 500 * ONE_NES // (staked + 500 * ONE_NES) * 9 // 10
    assert own == credit - part
    assert 0 <= 500 * ONE_NES + part - worth <= 2


async def test_what_is_not_final_or_not_answered_is_not_rewarded(
    network: Network, connection: Connection, tmp_path: Path
) -> None:
    query = await network.ask(connection, Assurance.AGREED)
    committees = await network.committees(connection, query)
    async with client_of(network) as client:
        with pytest.raises(InvalidInput, match="is not answered"):
            await client.reward(query.query_id)
        name = first_oracle(network, committees)
        bodies = honest_bodies(network, committees)
        async with members(network, bodies), oracle(network, connection, name, tmp_path):
            await answer(connection, query)
        with pytest.raises(Rejected, match="emitter: not final"):
            await client.reward(query.query_id)
