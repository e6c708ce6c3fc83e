"""Names, numbers and money of strangers, as the commands show them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from nesa import Client, SubmittedQuery
from nesa.models.folder import load
from tests.cli.conftest import Nesa, on_chain
from tests.client.strangers import register_anything
from tests.standing_network import StandingNetwork, rich_account

MLP = "breast-cancer-mlp"
PLAIN = Path(__file__).parents[2] / "models" / MLP
EXAMPLE = load(PLAIN).test_rows().features[0]
EVIL = "[/x]\x1b[2J"


@pytest.fixture
def _evil_models(network: StandingNetwork) -> Iterator[None]:
    """A model with a good card and a bad name."""

    async def register(client: Client) -> object:
        snapshot = await client.connection.request("evm_snapshot")
        good = await client.model(MLP)
        await register_anything(client, network.network, EVIL, good.location)
        return snapshot

    async def restore(client: Client) -> None:
        await client.connection.request("evm_revert", snapshot)

    snapshot = on_chain(network, register)
    yield
    on_chain(network, restore)


@pytest.mark.usefixtures("_evil_models")
def test_a_name_is_neither_markup_nor_control_codes(nesa: Nesa, network: StandingNetwork) -> None:
    listed = nesa("model", "list", "--network", network.file)
    unknown = nesa("model", "show", "gpt-9", "--network", network.file)
    assert (listed.code, unknown.code) == (0, 1)
    assert "[/x]\ufffd[2J" in listed.out
    assert "[/x]\ufffd[2J" in unknown.err
    assert "\x1b" not in listed.out + unknown.err


@pytest.mark.usefixtures("chain_put_back")
def test_a_version_keeps_its_first_location_and_says_so(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path
) -> None:
    """Also that a model under a key does not pass agreement on random rows off as accuracy."""
    key, folder, password = tmp_path / "key", tmp_path / "ee", tmp_path / "password"
    password.write_text("a password\n")
    password.chmod(0o600)
    given = ("--ee-password-file", password)
    assert nesa("privacy", "key", PLAIN, "--output", key, *given).code == 0
    assert nesa("privacy", "transform", PLAIN, "--key", key, "--output", folder, *given).code == 0
    register = ("model", "register", folder, "--price", "0.05", "--network", network.file, "--json")
    first = nesa(*register, "--store", tmp_path / "first").document
    assert first["location"].startswith(str(tmp_path / "first"))
    again = nesa(*register, "--store", tmp_path / "second")
    assert json.loads(again.out) == first
    assert "keeps its terms and its location for good" in again.err
    shown = nesa("model", "show", first["version"], "--network", network.file, "--json").document
    assert shown["accuracy"] == (
        "that of the plain model; equal to the plain model's on 8 random inputs"
    )


async def _allow_list(client: Client) -> object:
    return client.connection.deployment.allow_list


@pytest.mark.usefixtures("chain_put_back")
def test_products_seat_whom_their_developer_lists(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path
) -> None:
    """Seats and admission of a session are those of its first product."""
    given, operators = ("--network", network.file, "--json"), tmp_path / "operators"
    operators.write_text(f"{Account.create().address}\n")
    products, store = tmp_path / "products", ("--price", "0.01", "--store", tmp_path / "store")
    assert nesa("model", "share", PLAIN, "--output", products).code == 0
    register = ("model", "register-products", products, *store, *given)
    versions = nesa(*register, "--allow-list").document["products"]
    seats = [nesa("model", "show", one, *given).document["admission"] for one in versions]
    assert set(seats) == {on_chain(network, _allow_list)}
    assert nesa("model", "allow", versions[0], operators, *given).document["listed"] == 1
    assert nesa(*register, "--allow-list").document["products"] == versions
    assert "seats whom the contract" in nesa(*register).document["error"]["message"]


@pytest.fixture
def expired(network: StandingNetwork) -> SubmittedQuery:
    """A query of the network's client that nobody answered in time."""

    async def ask(client: Client) -> SubmittedQuery:
        submitted = await client.submit(MLP, EXAMPLE)
        await client.connection.request("evm_increaseTime", 61)
        await client.connection.request("evm_mine")
        return submitted

    found = on_chain(network, ask)
    assert isinstance(found, SubmittedQuery)
    return found


@pytest.fixture
def stranger(tmp_path: Path) -> list[object]:
    """Options of somebody else's key."""
    (tmp_path / "key.json").write_text(_keystore())
    (tmp_path / "password").write_text("secret\n")
    return ["--keystore", tmp_path / "key.json", "--password-file", tmp_path / "password"]


def _keystore() -> str:
    return json.dumps(Account.encrypt(rich_account().key, "secret", iterations=2))


def test_a_strangers_refund_is_not_told_as_ones_own(
    nesa: Nesa, network: StandingNetwork, expired: SubmittedQuery, stranger: list[object]
) -> None:
    owner = expired.query.requester
    nesa("withdraw", "--network", network.file)  # what other tests left
    watch = ("watch", expired.query_id, "--refund", "--network", network.file)
    found = nesa(*watch, *stranger)
    assert found.code == 0, found.err
    assert f"nesa withdraw {owner}" in found.out
    paid = nesa("withdraw", owner, "--network", network.file, *stranger, "--json").document
    assert (paid["paid"], paid["balance"]["address"]) == (expired.query.fee, owner)
    again = nesa("withdraw", "--network", network.file)
    assert "0 NES" in again.out


def test_ones_own_refund_is_paid_out(
    nesa: Nesa, network: StandingNetwork, expired: SubmittedQuery
) -> None:
    found = nesa("watch", expired.query_id, "--refund", "--network", network.file)
    assert (found.code, "nesa withdraw" in found.out) == (0, False)
    assert "0.4 NES" in found.out
    paid = nesa("withdraw", "--network", network.file, "--json").document
    assert (paid["paid"], paid["balance"]["credit_ready"]) == (0, 0)
