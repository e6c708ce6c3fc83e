"""The router and verifiers of every temper."""

import boa
import pytest

from tests.contracts.verifiers import Behaviour, deploy_verifier
from tests.deployment import deployer


@pytest.fixture(autouse=True)
def isolation():
    with boa.env.anchor():
        yield


@pytest.fixture(scope="module")
def router():
    return deployer("verification/ProofRouter").deploy()


@pytest.fixture(scope="module")
def verifier():
    return deploy_verifier(Behaviour.CHECKS)
