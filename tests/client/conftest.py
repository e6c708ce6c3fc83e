"""One standing network for all tests of the client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from nesa import Client
from nesa.chain.connection import RpcPolicy
from tests.standing_network import StandingNetwork, shared_network


@pytest.fixture(scope="session")
def network() -> StandingNetwork:
    return shared_network()


@pytest.fixture
async def client(network: StandingNetwork) -> AsyncIterator[Client]:
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as connected:
        yield connected
