"""Fixtures around one deployed protocol; each test starts from the same moment."""

import boa
import pytest

from tests.market import build_world
from tests.summoning import Summoning, deploy_summons


@pytest.fixture(scope="session")
def deployed_world():
    return build_world()


@pytest.fixture
def world(deployed_world):
    with boa.env.anchor():
        yield deployed_world.copy()


@pytest.fixture
def client(world):
    return world.client()


@pytest.fixture
def outsider():
    return boa.env.generate_address("outsider")


@pytest.fixture
def summoning(world):
    contract = deploy_summons(world)
    world.lower.vault.set_summoner(contract, sender=world.setter)
    return Summoning(world, contract)
