"""Fixtures around one deployed protocol; each test starts from the same moment."""

import boa
import pytest

from tests.market import build_world


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
