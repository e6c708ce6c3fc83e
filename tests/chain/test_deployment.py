"""Deployment files are read strictly and written whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.chain.deployment import (
    Deployment,
    KeyFile,
    Network,
    ServedModel,
    deployment_path,
    read_network,
)
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address
from tests.chain.emitter import deployment_at

SOMEBODY = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")


def test_a_deployment_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = deployment_path(tmp_path / "deployments", 31337)
    deployment_at(SOMEBODY, 3).write(path)
    assert path.name == "31337.json"
    assert Deployment.read(path) == deployment_at(SOMEBODY, 3)
    assert [file.name for file in path.parent.iterdir()] == ["31337.json"]


def test_addresses_are_checksummed() -> None:
    assert deployment_at(Address(SOMEBODY.lower()), 3).market == SOMEBODY


def test_a_network_is_read_as_it_was_written(tmp_path: Path) -> None:
    network = Network(
        rpc_url="http://127.0.0.1:8545",
        chain_id=31337,
        contracts=deployment_at(SOMEBODY, 3),
        client=KeyFile(keystore=tmp_path / "client.json", password_file=tmp_path / "password"),
        models=(ServedModel(name="digits", version_id="0x" + "ab" * 32, folder=tmp_path),),
    )
    network.write(tmp_path / "network.json")
    found = Network.read(tmp_path / "network.json")
    assert found == network
    assert found.models[0].id == b"\xab" * 32


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "Invalid JSON"),
        ("{}", "chain_id: Field required"),
        ('{"chain_id": 0}', "chain_id: Input should be greater than 0"),
        ('{"chain_id": 1, "block": 0, "token": "0x12"}', "token: .*is not an address"),
        ('{"chain_id": 1, "blok": 0}', "block: Field required"),
    ],
)
def test_a_wrong_file_names_itself_and_the_field(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "31337.json"
    path.write_text(content)
    with pytest.raises(InvalidConfiguration, match=words) as caught:
        Deployment.read(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot read"):
        Deployment.read(tmp_path / "none.json")


def test_a_deployment_and_a_node_are_a_network(tmp_path: Path) -> None:
    path, deployment = tmp_path / "31337.json", deployment_at(SOMEBODY, 3)
    deployment.write(path)
    found = read_network(path, "https://node.example.org")
    assert (found.contracts, found.chain_id) == (deployment, deployment.chain_id)
    assert (found.rpc_url, found.client, found.models) == ("https://node.example.org", None, ())


def test_a_deployment_without_a_node_says_what_is_missing(tmp_path: Path) -> None:
    deployment_at(SOMEBODY, 3).write(tmp_path / "31337.json")
    with pytest.raises(InvalidConfiguration, match="--rpc-url"):
        read_network(tmp_path / "31337.json")


def test_a_networks_own_node_gives_way_to_another(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    written = Network(rpc_url="http://one", chain_id=31337, contracts=deployment_at(SOMEBODY, 3))
    written.write(path)
    assert read_network(path) == written
    assert read_network(path, "http://two").rpc_url == "http://two"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"market": "0x12"}'])
def test_what_is_neither_names_itself(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(InvalidConfiguration, match="other.json"):
        read_network(path, "http://node")
