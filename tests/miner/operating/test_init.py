"""`nesa-miner init` makes a whole miner or nothing, and shows no key."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from nesa.chain.deployment import Deployment, KeyFile, Network
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address
from nesa_miner import cli, founding, keys
from nesa_miner.config import read_settings
from nesa_miner.keys import PASSWORD_VARIABLE, open_identity, open_owner
from tests.chain.emitter import deployment_at

Capture = pytest.CaptureFixture[str]
PASSWORD = "battery staple"
CONTRACTS = deployment_at("0x" + "22" * 20, 1)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.delenv(f"{PASSWORD_VARIABLE}_FILE", raising=False)


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    path = tmp_path / "deployments" / "31337.json"
    CONTRACTS.write(path)
    return path


def init(tmp_path: Path, *words: str) -> int:
    return cli.main(["init", "--dir", str(tmp_path / "miner"), "--light-keys", *words])


def from_deployment(tmp_path: Path, deployment: Path, *words: str) -> int:
    known = ["--deployment", str(deployment), "--rpc-url", "http://127.0.0.1:8545"]
    return init(tmp_path, *known, *words)


def test_a_miner_is_made_from_a_deployment(
    tmp_path: Path, deployment: Path, capsys: Capture
) -> None:
    words = ["--endpoint", "https://m.example.org", "--port", "9001", "--store", "/models"]
    assert from_deployment(tmp_path, deployment, *words, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    folder = tmp_path / "miner"
    settings = read_settings(folder)
    assert (settings.endpoint, settings.port) == ("https://m.example.org", 9001)
    assert settings.stores == ("/models",)
    assert Deployment.read(folder / settings.deployment) == CONTRACTS
    identity = open_identity(folder, settings, PASSWORD)
    assert shown["signer"] == identity.address
    assert shown["owner"] == open_owner(folder, settings, PASSWORD).address
    assert shown["encryption"] == "0x" + identity.encryption.public_key().public_bytes_raw().hex()


def test_a_miner_is_made_from_a_network_file(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    client = KeyFile(keystore=Path("k"), password_file=Path("p"))
    Network(rpc_url="http://127.0.0.1:7", chain_id=31337, contracts=CONTRACTS, client=client).write(
        path
    )
    assert init(tmp_path, "--network", str(path)) == 0
    assert read_settings(tmp_path / "miner").rpc_url == "http://127.0.0.1:7"


def test_only_its_owner_can_read_a_key(tmp_path: Path, deployment: Path) -> None:
    assert from_deployment(tmp_path, deployment) == 0
    for name in ("owner", "signer", "encryption"):
        mode = (tmp_path / "miner" / "keys" / f"{name}.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_nothing_is_overwritten(tmp_path: Path, deployment: Path, capsys: Capture) -> None:
    assert from_deployment(tmp_path, deployment) == 0
    before = {p: p.read_bytes() for p in (tmp_path / "miner").rglob("*") if p.is_file()}
    assert from_deployment(tmp_path, deployment) == 1
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in before} == before


def test_nothing_shown_is_secret(tmp_path: Path, deployment: Path, capsys: Capture) -> None:
    assert from_deployment(tmp_path, deployment) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "miner"
    settings = read_settings(folder)
    owner = open_owner(folder, settings, PASSWORD)
    identity = open_identity(folder, settings, PASSWORD)
    assert PASSWORD not in out + err
    secrets = (owner.key, identity.signer.to_bytes(), identity.encryption.private_bytes_raw())
    assert not any(bytes(secret).hex() in out + err + repr(identity) for secret in secrets)


def test_without_a_password_nothing_is_made(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE)
    assert from_deployment(tmp_path, deployment) == 1
    assert "set NESA_PASSWORD_FILE or NESA_PASSWORD" in capsys.readouterr().err
    assert not (tmp_path / "miner").exists()


def test_a_full_disk_leaves_no_key(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def full(*_: object) -> None:
        raise InvalidConfiguration("cannot write the key file: No space left on device")

    monkeypatch.setattr(keys, "save_key", full)
    assert from_deployment(tmp_path, deployment) == 1
    assert "No space left" in capsys.readouterr().err
    assert not [path for path in (tmp_path / "miner").rglob("*") if path.is_file()]


def test_a_disk_that_fills_up_after_the_keys_says_so(
    tmp_path: Path, deployment: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def full(*_: object) -> None:
        raise InvalidConfiguration("cannot write miner.json: No space left on device")

    monkeypatch.setattr(founding, "write_settings", full)
    assert from_deployment(tmp_path, deployment) == 1
    assert "No space left on device; the keys are made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "give --deployment FILE with --rpc-url URL, or --network FILE"),
        (["--deployment", "none.json"], "--deployment needs --rpc-url"),
        (["--deployment", "none.json", "--rpc-url", "http://n"], "cannot read none.json"),
        (["--network", "none.json"], "cannot read none.json"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, capsys: Capture, words: list[str], sentence: str
) -> None:
    assert init(tmp_path, *words) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--endpoint", "miner.example.org"], "is not an http or https URL"),
        (["--endpoint", "http://" + "m" * 130], "longer than 128 characters"),
        (["--port", "70000"], "port: input should be less than or equal to 65535"),
    ],
)
def test_what_makes_no_sense_is_said(
    tmp_path: Path, deployment: Path, capsys: Capture, words: list[str], sentence: str
) -> None:
    assert from_deployment(tmp_path, deployment, *words) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "miner").exists()


def test_light_keys_are_refused_on_a_real_chain(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "1.json"
    deployment_at("0x" + "22" * 20, 1, chain_id=1).write(path)  # type: ignore[arg-type]
    assert from_deployment(tmp_path, path) == 1
    assert "light keys are for local chains only" in capsys.readouterr().err


@pytest.mark.parametrize(("chain_id", "is_named"), [(31337, True), (11155111, False)])
def test_only_on_a_local_chain_does_a_devnet_fund_the_owner(
    tmp_path: Path, chain_id: int, is_named: bool
) -> None:
    contracts = CONTRACTS.model_copy(update={"chain_id": chain_id})
    place = founding.Place("http://127.0.0.1:8545", contracts)
    owner = Address("0x" + "11" * 20)
    words = founding.next_steps(tmp_path, place, owner)
    assert (f"nesa devnet fund {owner} --dir" in words) is is_named
    assert "nesa-miner register" in words


@pytest.mark.parametrize("words", [(), ("init",), ("leave",)])
def test_help_has_a_short_form(capsys: Capture, words: tuple[str, ...]) -> None:
    assert cli.main([*words, "-h"]) == 0
    short = capsys.readouterr().out
    assert cli.main([*words, "--help"]) == 0
    assert capsys.readouterr().out == short


@pytest.mark.parametrize(("chain_id", "allowed"), [(31337, True), (1, False)])
def test_only_a_local_miner_reads_inputs_from_private_addresses(
    tmp_path: Path, chain_id: int, allowed: bool
) -> None:
    place = founding.Place(
        "http://127.0.0.1:7", CONTRACTS.model_copy(update={"chain_id": chain_id})
    )
    listening = founding.Listening("https://m.example.org", "127.0.0.1", 9001)
    settings = founding._settings(place, listening, ())
    assert settings.allow_private_contents is allowed
