"""Coin that a client leaves for whoever reports, on a network where nobody does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nesa import Client, ExhaustedResource, InvalidInput, Model, QueryStatus, Rejected
from nesa.chain.economy import GasEscrow
from nesa.client.gas_deposits import GasDeposit
from tests.client.test_asking import let_time_pass

WEI = 10**15


async def test_coin_waits_with_the_query_and_comes_back_with_the_fee(
    client: Client, model: Model, features: np.ndarray
) -> None:
    escrow = GasEscrow.of(client.connection)
    submitted = await client.submit(model, features, gas_deposit=WEI)
    await client.deposit_gas(submitted.query_id, 5)
    assert await escrow.held_for(submitted.query_id, "latest") == WEI + 5
    await let_time_pass(client, 61)
    await client.refund(submitted)
    assert await escrow.held_for(submitted.query_id, "latest") == 0
    assert await escrow.credit_of(client.address, "latest") == 0
    assert await client.connection.balance(escrow.address) == 0


async def test_a_refunded_query_takes_no_more_coin(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    await let_time_pass(client, 61)
    await client.refund(submitted)
    with pytest.raises(Rejected, match="escrow: query is not open"):
        await client.deposit_gas(submitted, WEI)


async def test_a_deposit_that_cannot_be_made_is_refused_before_anything_is_paid(
    client: Client, model: Model, features: np.ndarray
) -> None:
    before = (await client.balance()).nes
    with pytest.raises(InvalidInput, match="a number of wei from 0, not -1"):
        await client.submit(model, features, gas_deposit=-1)
    with pytest.raises(ExhaustedResource, match="send it coin or deposit less"):
        await client.submit(model, features, gas_deposit=10**40)
    assert (await client.balance()).nes == before


async def test_a_deposit_is_listed_and_comes_back_whoever_refunds(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features, gas_deposit=WEI)
    assert await client.gas_held_for(submitted) == WEI
    listed = GasDeposit(submitted.query_id, WEI, QueryStatus.OPEN)
    assert listed in await client.gas_deposits()
    assert not listed.is_reclaimable
    assert await client.reclaim_gas() == 0
    await let_time_pass(client, 61)
    await client._send(client.contracts.market.refund(submitted.query))
    (newest, *_) = await client.gas_deposits()
    assert newest == replace(listed, status=QueryStatus.REFUNDED)
    assert newest.is_reclaimable
    assert await client.reclaim_gas() == WEI
    assert newest not in await client.gas_deposits()


async def test_a_wanted_deposit_grows_with_the_work(client: Client, model: Model) -> None:
    agreed = await client.wanted_gas_deposit(model)
    assert 0 < agreed < await client.wanted_gas_deposit(model, replicas=5)
    assert agreed < await client.wanted_gas_deposit(model, assurance="PROVED")
