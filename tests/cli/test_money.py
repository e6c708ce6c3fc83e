"""Commands that move NES and coin: what they print, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_account import Account

from nesa.cli.commands.balance import gas_in_words
from nesa.cli.quantities import Coins, in_coins
from nesa.client.gas_deposits import GasDeposit
from nesa.models.folder import load
from nesa.protocol.ids import QueryId
from nesa.protocol.queries import QueryStatus
from tests.cli.conftest import Nesa
from tests.cli.test_commands import MLP, ROOT
from tests.standing_network import StandingNetwork


def test_a_transfer_arrives(nesa: Nesa, network: StandingNetwork) -> None:
    place, friend = ("--network", network.file), Account.create().address
    found = nesa("transfer", friend, "1.5", *place)
    assert (found.code, found.err) == (0, "")
    assert "1.5 NES" in found.out
    assert nesa("balance", friend, *place, "--json").document["balance"]["nes"] == 1_500_000_000


def test_a_contract_of_the_network_is_no_receiver(nesa: Nesa, network: StandingNetwork) -> None:
    market = network.network.contracts.market
    found = nesa("transfer", market, "1", "--network", network.file)
    assert (found.code, found.out) == (1, "")
    assert "nobody can take it from there" in found.err


def test_nothing_is_delegated_in_words(nesa: Nesa, network: StandingNetwork) -> None:
    account = Account.create().address
    found = nesa("delegation", "show", account, "--network", network.file)
    assert "`nesa delegation operators` lists who takes it" in found.out
    document = nesa("delegation", "show", account, "--network", network.file, "--json").document
    assert document == {"delegations": []}


@pytest.fixture
def features(tmp_path: Path) -> Path:
    numbers = load(ROOT / "models" / MLP).test_rows().features[0]
    path = tmp_path / "features.csv"
    path.write_text(",".join(map(str, numbers)))
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gas-deposit", "auto", "--max-fee", "0"], "more than the limit"),
        (["--gas-deposit", "1e6"], "less than the deposit"),
    ],
    ids=["fee", "coin"],
)
def test_a_deposit_is_explained_before_anything_is_paid(
    nesa: Nesa, network: StandingNetwork, features: Path, words: list[str], said: str
) -> None:
    found = nesa("query", MLP, features, *words, "--network", network.file)
    assert (found.code, said in found.err) == (1, True)
    assert "coins beside the fee for the gas of whoever reports" in found.out


def test_coin_is_written_to_the_last_wei() -> None:
    assert in_coins(0) == "0"
    assert in_coins(1) == "0.000000000000000001"
    assert in_coins(1_500 * 10**18) == "1500"
    assert Coins().convert("0.000000000000000001", None, None) == 1


def test_deposits_say_how_they_come_back() -> None:
    deposits = [
        GasDeposit(QueryId(4), 10**15, QueryStatus.OPEN),
        GasDeposit(QueryId(3), 10**15, QueryStatus.REFUNDED),
        GasDeposit(QueryId(2), 10**15, QueryStatus.FINAL),
    ]
    words = gas_in_words(deposits, 10**15)
    assert "they come back with the fee when nobody answers" in words["gas for query 4"]
    assert "REFUNDED; `nesa withdraw` takes them back" in words["gas for query 3"]
    assert words["gas for query 2"] == "0.001 coins, earned by its reporter"
    assert words["gas credit"] == "0.001 coins; `nesa withdraw` sends them"
    assert gas_in_words([], 0) == {}
