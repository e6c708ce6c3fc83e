"""The commands on a network where nobody works: what they print, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nesa.models.folder import load
from tests.cli.conftest import Nesa
from tests.standing_network import StandingNetwork

MLP = "breast-cancer-mlp"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def features(tmp_path: Path) -> Path:
    row = load(ROOT / "models" / MLP).test_rows().features[0]
    path = tmp_path / "row.csv"
    path.write_text(",".join(str(number) for number in row))
    return path


def test_balance_shows_sums_in_nes(nesa: Nesa, network: StandingNetwork) -> None:
    found = nesa("balance", "--network", network.file)
    assert found.code == 0
    assert " NES" in found.out
    as_json = nesa("balance", "--network", network.file, "--json").document
    assert as_json["balance"]["nes"] > 0


def test_models_are_listed_with_their_versions(nesa: Nesa, network: StandingNetwork) -> None:
    found = nesa("model", "list", "--network", network.file, "--json").document
    assert {model["name"] for model in found["models"]} >= {MLP}
    assert nesa("model", "list", "--network", network.file).out.count("0x") == len(found["models"])


def test_a_model_is_shown_with_its_price_and_features(nesa: Nesa, network: StandingNetwork) -> None:
    found = nesa("model", "show", MLP, "--network", network.file, "--json").document
    assert found["price"] == "0.05 NES a shard and replica"
    assert len(found["features"]) == 30
    assert found["provable"] is True


def test_a_model_folder_is_checked_to_its_accuracy(nesa: Nesa) -> None:
    found = nesa("model", "check", ROOT / "models" / MLP, "--json").document
    assert found["intact"] is True
    assert found["accuracy"] == found["accuracies"]["integer_model"]


def test_a_tampered_model_folder_is_named(nesa: Nesa, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for source in (ROOT / "models" / MLP).rglob("*"):
        if source.is_file():
            target = folder / source.relative_to(ROOT / "models" / MLP)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    data = bytearray((folder / "parameters.bin").read_bytes())
    data[0] ^= 1
    (folder / "parameters.bin").write_bytes(bytes(data))
    found = nesa("model", "check", folder)
    assert found.code == 1
    assert "parameters.bin" in found.err
    assert "Traceback" not in found.err


def test_a_model_is_cut_anew(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa(
        "model", "cut", ROOT / "models" / MLP, "--shards", 3, "--output", tmp_path / "cut", "--json"
    ).document
    assert found["shards"] == 3
    assert nesa("model", "check", tmp_path / "cut").code == 0


REFUSALS = {
    "shape": (["query", MLP, "1,2,3"], "shape"),
    "NaN": (["query", MLP, ",".join(["nan"] * 30)], "finite"),
    "text": (["query", MLP, "one,two"], "list of numbers"),
    "file": (["query", MLP, "nowhere.csv"], "nowhere.csv"),
    "model": (["query", "gpt-9", "1"], "registered are"),
    "fee": (["query", MLP, "FEATURES", "--max-fee", "0.1"], "more than the limit"),
    "replicas": (["query", MLP, "FEATURES", "--replicas", "2"], "refused: an AGREED query needs"),
    "query": (["watch", "999999"], "no query 999999"),
    "account": (["balance", "0x12"], "40 hexadecimal digits"),
    "payee": (["withdraw", "0x12"], "40 hexadecimal digits"),
    "answer": (["answer", "999999"], "no query 999999"),
    "key": (["answer", "1", "--content-key", "nowhere.key"], "as a content key"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_one_sentence_and_exit_code_one(
    nesa: Nesa, network: StandingNetwork, features: Path, case: str
) -> None:
    words, said = REFUSALS[case]
    given = [str(features) if word == "FEATURES" else word for word in words]
    found = nesa(*given, "--network", network.file)
    assert (found.code, found.out) == (1, "")
    assert said in found.err
    assert found.err.startswith("Error: ")
    assert found.err.count("\n") == 1


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_in_json_is_a_document(
    nesa: Nesa, network: StandingNetwork, features: Path, case: str
) -> None:
    words, said = REFUSALS[case]
    given = [str(features) if word == "FEATURES" else word for word in words]
    found = nesa(*given, "--network", network.file, "--json")
    assert found.code == 1
    assert said in found.document["error"]["message"]


def changed_network(network: StandingNetwork, tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "network.json"
    document = json.loads(network.file.read_text())
    path.write_text(json.dumps(document | changes))
    return path


def test_a_dead_node_says_to_check_the_network(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path
) -> None:
    path = changed_network(network, tmp_path, rpc_url="http://127.0.0.1:9")
    found = nesa("balance", "--network", path)
    assert found.code == 1
    assert "127.0.0.1:9" in found.err


def test_a_deployment_file_and_a_node_make_a_network(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, path = network.network.client, tmp_path / "31337.json"
    assert key is not None
    network.network.contracts.write(path)
    place = ("--network", path, "--rpc-url", network.network.rpc_url)
    pays = ("--keystore", key.keystore, "--password-file", key.password_file)
    expected = nesa("balance", "--network", network.file, "--json").document["balance"]
    assert nesa("balance", *place, *pays, "--json").document["balance"] == expected
    assert nesa("balance", expected["address"], *place, "--json").document["balance"] == expected
    monkeypatch.setenv("NESA_RPC_URL", network.network.rpc_url)
    assert nesa("model", "list", "--network", path).code == 0


def test_without_a_key_the_options_are_named(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "31337.json"
    network.network.contracts.write(path)
    found = nesa("balance", "--network", path, "--rpc-url", network.network.rpc_url)
    assert found.code == 1
    assert "--keystore" in found.err


def test_a_deployment_file_alone_asks_for_a_node(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "31337.json"
    network.network.contracts.write(path)
    found = nesa("balance", "--network", path)
    assert found.code == 1
    assert "--rpc-url" in found.err


def test_another_chain_is_refused(nesa: Nesa, network: StandingNetwork, tmp_path: Path) -> None:
    contracts = json.loads(network.file.read_text())["contracts"] | {"chain_id": 1}
    path = changed_network(network, tmp_path, chain_id=1, contracts=contracts)
    found = nesa("balance", "--network", path)
    assert found.code == 1
    assert "chain 31337" in found.err


def test_a_wrong_password_is_refused(nesa: Nesa, network: StandingNetwork, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    key = network.network.client
    assert key is not None
    found = nesa(
        "balance", "--network", network.file, "--keystore", key.keystore, "--password-file", wrong
    )
    assert found.code == 1
    assert "password" in found.err


def test_a_missing_network_says_how_to_start_one(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("balance", "--network", tmp_path / "nowhere.json")
    assert found.code == 1
    assert "nesa devnet up" in found.err


def test_down_without_a_network_is_no_error(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("devnet", "down", "--dir", tmp_path, "--json")
    assert (found.code, found.document["stopped"]) == (0, False)


def test_up_in_a_folder_of_something_else_is_refused(nesa: Nesa, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    found = nesa("devnet", "up", "--dir", tmp_path)
    assert found.code == 1
    assert "choose another --dir" in found.err
    assert (tmp_path / "thesis.txt").exists()
