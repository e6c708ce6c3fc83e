"""One standing network for all tests of the client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from nesa import Client, Model
from nesa.chain.connection import RpcPolicy
from nesa.models.folder import load
from tests.standing_network import StandingNetwork, shared_network

MLP = "breast-cancer-mlp"


@pytest.fixture(scope="session")
def network() -> StandingNetwork:
    return shared_network()


@pytest.fixture
async def client(network: StandingNetwork) -> AsyncIterator[Client]:
    async with Client.connect(network.file, policy=RpcPolicy(poll=0.02)) as connected:
        yield connected


@pytest.fixture
async def model(client: Client) -> Model:
    return await client.model(MLP)


@pytest.fixture(scope="session")
def features(network: StandingNetwork) -> np.ndarray:
    folder = next(model.folder for model in network.network.models if model.name == MLP)
    return load(folder).test_rows().features[0]
