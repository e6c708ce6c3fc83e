"""What a stranger may put on chain: any name, any location."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from eth_account import Account

from nesa import ONE_NES, Client, Network
from nesa.chain.connection import RpcPolicy
from nesa.chain.contracts import ZERO_ADDRESS
from nesa.models.folder import load
from nesa.protocol.ids import ZERO_DIGEST, Address, Amount


@asynccontextmanager
async def chain_put_back(client: Client) -> AsyncIterator[None]:
    """What the block puts on chain is gone behind it."""
    snapshot = await client.connection.request("evm_snapshot")
    try:
        yield
    finally:
        await client.connection.request("evm_revert", snapshot)


@asynccontextmanager
async def other_requester(client: Client, network: Network) -> AsyncIterator[Client]:
    """Somebody else with money."""
    account = Account.create()
    await client.connection.request("anvil_setBalance", account.address, hex(10**18))
    gift = client.contracts.token.transfer(Address(account.address), Amount(10 * ONE_NES))
    await client._own_sender.send(gift)
    async with Client.connect(network, key=account, policy=RpcPolicy(poll=0.02)) as stranger:
        yield stranger


async def register_anything(client: Client, network: Network, name: str, location: str) -> None:
    """Register the first model of the network anew, without circuits."""
    model = load(network.models[0].folder)
    bare = [
        replace(shard, circuit_digest=ZERO_DIGEST, verifier_code_hash=ZERO_DIGEST).as_abi()
        for shard in model.shards
    ]
    digests = (model.operators_root, model.metadata_digest)
    call = client.contracts.registry.call(
        "register", name, location, *digests, bare, [], 10**6, 0, 0, ZERO_ADDRESS
    )
    await client._own_sender.send(call)
