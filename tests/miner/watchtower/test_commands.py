"""A watchtower is made once, and what is wrong with it is said before it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nesa.chain.deployment import Deployment
from nesa.chain.keystore import load_keystore
from nesa.privacy.keys import load_key, public_bytes
from nesa.protocol.ids import Address
from nesa_miner import cli
from nesa_miner.watchtower.config import read_settings
from tests.chain.emitter import deployment_at

PASSWORD = "a password of a test"
ADDRESS = "0x" + "11" * 20


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESA_PASSWORD", PASSWORD)


def deployment_file(folder: Path, **more: str) -> Path:
    path = folder / "31337.json"
    deployment_at(Address(ADDRESS), 1).model_copy(update={"court": None, **more}).write(path)
    return path


def init(folder: Path, deployment: Path, *words: str) -> int:
    place = ["--deployment", str(deployment), "--rpc-url", "http://127.0.0.1:1"]
    return cli.main(
        ["watchtower", "init", "--dir", str(folder / "tower"), *place, "--light-keys", *words]
    )


def test_a_watchtower_is_made_with_its_two_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = deployment_file(tmp_path, court=ADDRESS)
    assert init(tmp_path, deployment, "--json", "--store", "/models", "--port", "8712") == 0
    said = json.loads(capsys.readouterr().out)
    folder = tmp_path / "tower"
    settings = read_settings(folder)
    assert (settings.port, settings.stores, settings.share) == (8712, ("/models",), 1.0)
    account = load_keystore(folder / settings.keystore, PASSWORD)
    assert account.address == said["account"]
    assert Deployment.read(folder / settings.deployment).court == ADDRESS
    view_key = load_key(folder / settings.view_key, PASSWORD)
    assert said["view_key"] == f"0x{public_bytes(view_key).hex()}"


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = deployment_file(tmp_path, court=ADDRESS)
    assert init(tmp_path, deployment) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "tower").rglob("*.json")}
    assert init(tmp_path, deployment) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "tower").rglob("*.json")}


def test_a_network_without_a_court_has_nothing_to_challenge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, deployment_file(tmp_path)) == 1
    assert "no dispute court" in capsys.readouterr().err
    assert not (tmp_path / "tower").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"share": 1.5}, "share"),
        ({"max_bonds": -1}, "max_bonds"),
        ({"port": 0}, "port"),
        ({"unknown": 1}, "unknown"),
        ({"coins_per_nes": 0}, "coins_per_nes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: dict[str, float], words: str
) -> None:
    init(tmp_path, deployment_file(tmp_path, court=ADDRESS))
    path = tmp_path / "tower" / "watchtower.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **setting}))
    assert cli.main(["watchtower", "run", "--dir", str(tmp_path / "tower")]) == 1
    assert words in capsys.readouterr().err


def test_a_missing_or_broken_file_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["watchtower", "run", "--dir", str(tmp_path)]) == 1
    assert "watchtower init" in capsys.readouterr().err
    (tmp_path / "watchtower.json").write_text("{")
    assert cli.main(["watchtower", "run", "--dir", str(tmp_path)]) == 1
    assert "not JSON" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--share", "2"], ["--max-bonds", "-1"]])
def test_options_out_of_range_are_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    assert cli.main(["watchtower", "run", "--dir", str(tmp_path), *words]) == 2


def test_a_node_that_is_away_at_the_start_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path, deployment_file(tmp_path, court=ADDRESS))
    capsys.readouterr()
    assert cli.main(["watchtower", "run", "--dir", str(tmp_path / "tower")]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
