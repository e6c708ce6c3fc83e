"""Coin that a client leaves for whoever reports, on a network where nobody does."""

from __future__ import annotations

import numpy as np
import pytest

from nesa import Client, ExhaustedResource, InvalidInput, Model, Rejected
from nesa.chain.economy import GasEscrow
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
