"""The registry, and versions with and without circuits."""

import boa
import pytest

from tests.contracts.verifiers import Behaviour, code_hash, deploy_verifier
from tests.deployment import SHARDS, deployer, register_version, with_circuits


@pytest.fixture(autouse=True)
def isolation():
    with boa.env.anchor():
        yield


@pytest.fixture
def developer():
    return boa.env.generate_address("developer")


@pytest.fixture
def outsider():
    return boa.env.generate_address("outsider")


@pytest.fixture(scope="module")
def registry():
    router = deployer("verification/ProofRouter").deploy()
    return deployer("registry/ModelRegistry").deploy(router)


@pytest.fixture(scope="module")
def verifier():
    return deploy_verifier(Behaviour.CHECKS)


@pytest.fixture
def version_id(registry, developer):
    return register_version(registry, developer)


@pytest.fixture
def circuit_shards(verifier):
    return with_circuits(SHARDS, code_hash(verifier))


@pytest.fixture
def circuit_version_id(registry, developer, verifier, circuit_shards):
    return register_version(registry, developer, circuit_shards, (verifier, verifier))
