"""One standing network for all tests of the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from nesa import Client
from nesa.chain.connection import RpcPolicy
from tests.standing_network import StandingNetwork, standing_network


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandingNetwork]:
    with standing_network(tmp_path_factory.mktemp("standing")) as running:
        yield running


@pytest.fixture
async def client(network: StandingNetwork) -> AsyncIterator[Client]:
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as connected:
        yield connected
