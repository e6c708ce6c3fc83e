"""NES with its genesis supply."""

import boa
import pytest

from tests.deployment import deploy_token


@pytest.fixture(autouse=True)
def isolation():
    with boa.env.anchor():
        yield


@pytest.fixture
def owner():
    return boa.env.generate_address("owner")


@pytest.fixture
def holder():
    return boa.env.generate_address("holder")


@pytest.fixture
def minter():
    return boa.env.generate_address("minter")


@pytest.fixture
def outsider():
    return boa.env.generate_address("outsider")


@pytest.fixture
def token(owner, holder):
    return deploy_token(owner, holder)
