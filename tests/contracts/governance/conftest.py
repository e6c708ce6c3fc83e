"""Protocol parameters with a small profile."""

import boa
import pytest

from tests.deployment import deploy_parameters


@pytest.fixture(autouse=True)
def isolation():
    with boa.env.anchor():
        yield


@pytest.fixture
def owner():
    return boa.env.generate_address("owner")


@pytest.fixture
def outsider():
    return boa.env.generate_address("outsider")


@pytest.fixture
def treasury():
    return boa.env.generate_address("treasury")


@pytest.fixture
def reviewer_pool():
    return boa.env.generate_address("reviewer_pool")


@pytest.fixture
def parameters(owner, treasury, reviewer_pool):
    return deploy_parameters(owner, treasury, reviewer_pool)
