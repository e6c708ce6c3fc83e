"""One chain with all contracts for the whole session; every test gets it as it was built."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from nesa.chain.anvil import running_anvil
from nesa.chain.connection import Connection
from tests.oracle import network as networks
from tests.oracle.network import QUICK, Network


@pytest.fixture(scope="session")
def built() -> Iterator[Network]:
    """All contracts and seats."""
    with running_anvil() as anvil:
        made = asyncio.run(networks.build(anvil))
        with made.held:
            yield made


@pytest.fixture
def network(built: Network) -> Iterator[Network]:
    """The network as it was built, whatever the test does to it."""
    snapshot = built.anvil.rpc("evm_snapshot")
    yield built
    built.anvil.rpc("evm_setIntervalMining", 0)
    built.anvil.rpc("evm_setAutomine", True)
    built.anvil.rpc("anvil_dropAllTransactions")
    built.anvil.rpc("evm_revert", snapshot)


@pytest.fixture
async def connection(network: Network) -> AsyncIterator[Connection]:
    """A connection to the network's chain."""
    async with await Connection.open(network.anvil.url, network.deployment, QUICK) as opened:
        yield opened
