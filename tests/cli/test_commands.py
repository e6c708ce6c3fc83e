"""The commands on a network where nobody works: what they print, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nesa import Fulfilled, Requested
from nesa.cli.commands.devnet import down_command
from nesa.cli.commands.watch import nothing_to_refund
from nesa.models.folder import load
from tests.cli.conftest import Nesa
from tests.client.test_watching import ANSWER
from tests.client.test_watching import QUERY as ANSWERED
from tests.standing_network import StandingNetwork

MLP = "breast-cancer-mlp"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Inputs by what the tables below call them."""
    model = load(ROOT / "models" / MLP)
    numbers = [str(number) for number in model.test_rows().features[0]]
    names = [feature.name for feature in model.card.features]
    contents = {
        "FEATURES": [numbers],
        "ABSURD": [["1e9", *numbers[1:]]],
        "BEYOND": [["100", *numbers[1:]]],
        "HEADED": [["weight", *names[1:]], numbers],
    }
    found = {name: tmp_path / f"{name}.csv" for name in contents}
    for name, rows in contents.items():
        found[name].write_text("\n".join(",".join(row) for row in rows))
    return found


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
    assert (found["inputs"], len(found["features"])) == (30, 30)
    radius = found["features"][0]
    assert (radius["name"], radius["unit"]) == ("mean radius", "micrometre")
    assert (radius["high"] - radius["low"]) / radius["step"] == pytest.approx(254)
    assert radius["low"] < radius["offset"] < radius["high"]
    row = load(ROOT / "models" / MLP).test_rows().features[0].tolist()
    assert found["sample"] == row
    assert found["provable"] is True
    assert found["stake"] == "a wrong answer that is shown costs its signers 750 NES or more"


def test_a_sample_is_shown_as_a_query_takes_it(nesa: Nesa, network: StandingNetwork) -> None:
    found = nesa("model", "show", MLP, "--network", network.file)
    first = load(ROOT / "models" / MLP).test_rows().features[0].tolist()
    row = ",".join(f"{number:.12g}" for number in first)
    assert f"nesa query {MLP} {row}\n" in found.out
    assert "mean radius [micrometre]" in found.out


def test_a_model_is_shown_without_a_sample_that_is_not_to_be_had(
    nesa: Nesa, network: StandingNetwork, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_bytes((ROOT / "models" / MLP / "model.json").read_bytes())
    models = json.loads(network.file.read_text())["models"]
    served = [{**one, "folder": str(folder)} if one["name"] == MLP else one for one in models]
    path = changed_network(network, tmp_path, models=served)
    assert nesa("model", "show", MLP, "--network", path, "--json").document["sample"] is None
    shown = nesa("model", "show", MLP, "--network", path)
    assert (shown.code, "nesa query" in shown.out) == (0, False)


def test_an_answered_query_has_nothing_to_refund() -> None:
    assert "nothing to refund" in str(nothing_to_refund(Fulfilled(ANSWER)))
    assert nothing_to_refund(Requested(ANSWERED)) is None


def test_a_model_folder_is_checked_to_its_accuracy(nesa: Nesa) -> None:
    found = nesa("model", "check", ROOT / "models" / MLP, "--json").document
    assert found["intact"] is True
    assert found["accuracies"]["integer_model"] == found["accuracies"]["integer_model"]


def test_a_tampered_model_folder_is_named(nesa: Nesa, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for source in (ROOT / "models" / MLP).rglob("*"):
        if source.is_file():
            target = folder / source.relative_to(ROOT / "models" / MLP)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    data = bytearray((folder / "parameters/0.bin").read_bytes())
    data[0] ^= 1
    (folder / "parameters/0.bin").write_bytes(bytes(data))
    found = nesa("model", "check", folder)
    assert found.code == 1
    assert "parameters/0.bin" in found.err
    assert "Traceback" not in found.err


def test_a_model_is_cut_anew(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa(
        "model", "cut", ROOT / "models" / MLP, "--shards", 3, "--output", tmp_path / "cut", "--json"
    ).document
    assert found["shards"] == 3
    assert nesa("model", "check", tmp_path / "cut").code == 0
    whole, cut = (
        load(path).classifier.accuracy for path in (ROOT / "models" / MLP, tmp_path / "cut")
    )
    assert whole.proved_rows > 0
    assert (cut.proved_rows, cut.proved) == (0, None)
    assert cut.integer_model == whole.integer_model


REFUSALS = {
    "shape": (["query", MLP, "1,2,3"], "needs 30 numbers, got 3"),
    "minus": (["query", MLP, "-1,2,3"], "needs 30 numbers, got 3"),
    "NaN": (["query", MLP, ",".join(["nan"] * 30)], "finite"),
    "text": (["query", MLP, "one,two"], "list of numbers"),
    "range": (["query", MLP, "ABSURD"], "mean radius is 1e+09 micrometre, outside"),
    "heading": (["query", MLP, "HEADED"], "no feature 'weight'"),
    "file": (["query", MLP, "nowhere.csv"], "nowhere.csv"),
    "model": (["query", "gpt-9", "1"], "registered are"),
    "fee": (["query", MLP, "FEATURES", "--max-fee", "0.1"], "more than the limit"),
    "replicas": (
        ["query", MLP, "FEATURES", "--replicas", "2"],
        "refused: an AGREED or CHALLENGED query needs",
    ),
    "query": (["watch", "999999"], "no query 999999"),
    "password": (["balance", "--password-file", "nowhere"], "nowhere needs --keystore"),
    "account": (["balance", "0x12"], "40 hexadecimal digits"),
    "payee": (["withdraw", "0x12"], "40 hexadecimal digits"),
    "receiver": (["transfer", "0x12", "1"], "40 hexadecimal digits"),
    "nobody": (["transfer", f"0x{'00' * 20}", "1"], "nobody can take it from there"),
    "nothing": (["transfer", f"0x{'11' * 20}", "0"], "more than 0 NES"),
    "much": (["transfer", f"0x{'11' * 20}", "1e9"], "send less"),
    "operator": (["delegation", "add", f"0x{'11' * 20}", "1"], "is no operator"),
    "pool": (["delegation", "leave", f"0x{'11' * 20}"], "has nothing with"),
    "exit": (["delegation", "withdraw", f"0x{'11' * 20}"], "nesa delegation leave"),
    "stay": (["delegation", "stay", f"0x{'11' * 20}"], "on its way out"),
    "commission": (["delegation", "open", "--commission", "60"], "0 to 50 %"),
    "owner": (["delegation", "open", "--commission", "5"], "is no operator; give the owner's key"),
    "answer": (["answer", "999999"], "no query 999999"),
    "key": (["answer", "1", "--content-key", "nowhere.key"], "as a content key"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_one_sentence_and_exit_code_one(
    nesa: Nesa, network: StandingNetwork, files: dict[str, Path], case: str
) -> None:
    words, said = REFUSALS[case]
    given = [files.get(word, word) for word in words]
    found = nesa(*given, "--network", network.file)
    assert (found.code, found.out) == (1, "")
    assert said in found.err
    assert found.err.startswith("Error: ")
    assert found.err.count("\n") == 1


def test_a_clipped_number_is_warned_of_before_it_is_paid_for(
    nesa: Nesa, network: StandingNetwork, files: dict[str, Path]
) -> None:
    found = nesa("query", MLP, files["BEYOND"], "--max-fee", "0.1", "--network", network.file)
    warning, refusal = found.err.splitlines()
    assert warning.startswith("Warning: ")
    assert "mean radius is 100 micrometre" in warning
    assert "more than the limit" in refusal


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_in_json_is_a_document(
    nesa: Nesa, network: StandingNetwork, files: dict[str, Path], case: str
) -> None:
    words, said = REFUSALS[case]
    given = [files.get(word, word) for word in words]
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


def test_a_password_file_of_the_environment_does_nothing_without_a_keystore(
    nesa: Nesa, network: StandingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NESA_PASSWORD_FILE", "nowhere")
    assert nesa("balance", "--network", network.file).code == 0


def test_a_missing_network_says_how_to_start_one(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("balance", "--network", tmp_path / "nowhere.json")
    assert found.code == 1
    assert "nesa devnet up" in found.err


def test_down_without_a_network_says_so(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("devnet", "down", "--dir", tmp_path)
    assert (found.code, found.out) == (1, "")
    assert f"no network runs from {tmp_path}" in found.err
    found = nesa("devnet", "down", "--dir", tmp_path, "--json")
    assert found.document["error"]["kind"] == "InvalidInput"


def test_the_command_that_stops_a_network_can_be_pasted(tmp_path: Path) -> None:
    assert down_command(tmp_path / "my net") == f"nesa devnet down --dir '{tmp_path}/my net'"


def test_up_in_a_folder_of_something_else_is_refused(nesa: Nesa, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    found = nesa("devnet", "up", "--dir", tmp_path)
    assert found.code == 1
    assert "choose another --dir" in found.err
    assert (tmp_path / "thesis.txt").exists()


def test_an_account_is_funded_on_a_devnet(nesa: Nesa, network: StandingNetwork) -> None:
    account = "0x00000000000000000000000000000000000F00d1"
    words = ("devnet", "fund", account.lower(), "--nes", 3, "--coin", 2, "--dir", network.folder)
    assert "3 NES" in nesa(*words).out
    found = nesa(*words, "--json").document["funded"]
    assert (found["nes"], found["wei"]) == (6 * 10**9, 4 * 10**18)
