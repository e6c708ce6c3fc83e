"""NES that somebody stakes for an operator: there, back, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey

from nesa import ONE_NES, Client, ExhaustedResource, InvalidInput, Rejected
from nesa.chain.connection import RpcPolicy
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import Address, Amount
from tests.client.test_asking import let_time_pass
from tests.standing_network import StandingNetwork

SUM, OWN = Amount(40 * ONE_NES), Amount(60 * ONE_NES)


@pytest.fixture
async def operator(client: Client, network: StandingNetwork) -> AsyncIterator[Client]:
    """An operator without a seat, by its owner's key."""
    owner: LocalAccount = Account.create()
    await client.connection.request("anvil_setBalance", owner.address, hex(10**18))
    async with Client.connect(network.file, key=owner, policy=RpcPolicy(poll=0.02)) as connected:
        vault, address = connected.contracts.vault, Address(owner.address)
        signer = Account.create()
        chain_id = connected.connection.deployment.chain_id
        consent = sign_consent(PrivateKey(bytes(signer.key)), chain_id, vault.address, address)
        call = vault.register_operator(
            Address(signer.address), consent, bytes([9] * 32), "http://x"
        )
        await connected._send(call)
        token = connected.contracts.token
        await client._send(token.transfer(address, OWN))
        await connected._send(token.approve(vault.address, OWN))
        await connected._send(vault.deposit(OWN))
        yield connected


async def test_nes_are_delegated_thaw_and_come_back(client: Client, operator: Client) -> None:
    terms = await operator.delegations().open(1_000)
    assert (terms.commission_bps, terms.own_stake, terms.delegated) == (1_000, OWN, 0)
    assert terms.delegable == OWN
    mine, before = client.delegations(), (await client.balance()).nes
    added = await mine.add(operator.address, SUM)
    assert added.worth == SUM
    assert added in await mine.all()
    leaving = await mine.leave(operator.address, Amount(SUM // 4))
    assert leaving.worth == SUM - SUM // 4
    assert leaving.leaving_worth == SUM // 4
    with pytest.raises(Rejected, match="its time is not over yet"):
        await mine.withdraw(operator.address)
    assert (await mine.stay(operator.address)).worth == SUM
    await mine.leave(operator.address)
    await let_time_pass(client, 301)
    assert await mine.withdraw(operator.address) == SUM
    assert (await client.balance()).nes == before
    assert operator.address not in [one.operator for one in await mine.all()]


async def test_a_higher_commission_is_announced(client: Client, operator: Client) -> None:
    await operator.delegations().open(1_000)
    raised = await operator.delegations().open(2_000)
    assert (raised.commission_bps, raised.next_commission_bps) == (1_000, 2_000)
    listed = await client.delegations().operators()
    assert [terms for terms in listed if terms.operator == operator.address] == [raised]
    await let_time_pass(client, 400)
    assert (await client.delegations().terms(operator.address)).commission_bps == 2_000


async def test_what_cannot_be_delegated_is_said_before_anything_is_sent(
    client: Client, operator: Client
) -> None:
    mine = client.delegations()
    with pytest.raises(InvalidInput, match="takes no delegations"):
        await mine.add(operator.address, SUM)
    await operator.delegations().open(0)
    with pytest.raises(InvalidInput, match="more than 0 NES"):
        await mine.add(operator.address, Amount(0))
    with pytest.raises(ExhaustedResource, match="delegate less"):
        await mine.add(operator.address, Amount(10**18))
    with pytest.raises(InvalidInput, match="owns 60 NES and may take 60 NES more"):
        await mine.add(operator.address, Amount(OWN + 1))
    with pytest.raises(InvalidInput, match="has nothing with"):
        await mine.leave(operator.address)
    await mine.add(operator.address, SUM)
    with pytest.raises(InvalidInput, match="has 40 NES with"):
        await mine.leave(operator.address, Amount(SUM + 1))
    with pytest.raises(InvalidInput, match="0 to 50 %"):
        await operator.delegations().open(5_001)
    with pytest.raises(InvalidInput, match="give the owner's key"):
        await mine.open(0)
