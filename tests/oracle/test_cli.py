"""The commands, as an operator types them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nesa.chain.anvil import development_account, free_port
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.deployment import KeyFile
from nesa.chain.deployment import Network as Devnet
from nesa.chain.keystore import create_keystore
from nesa.chain.sender import Sender
from nesa.protocol.errors import InvalidConfiguration, NesaError
from nesa.protocol.ids import Address, Amount
from nesa_oracle import cli, keys
from nesa_oracle.config import OracleSettings, read_settings
from scripts.deployment.profiles import DEVNET
from tests.oracle.network import QUICK, Network

PASSWORD = {"NESA_PASSWORD": "for a test"}


def invoke(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner(mix_stderr=False).invoke(
        cli.cli, list(arguments), env=PASSWORD if env is None else env
    )


@pytest.fixture
def folder(network: Network, tmp_path: Path) -> Path:
    """A folder made by `init`."""
    network.deployment.write(tmp_path / "31337.json")
    found = invoke(
        "init",
        "--dir",
        str(tmp_path / "o"),
        "--rpc-url",
        network.anvil.url,
        "--deployment",
        str(tmp_path / "31337.json"),
        "--port",
        str(free_port()),
        "--json",
        "--light-keys",
    )
    assert found.exit_code == 0, found.output
    return tmp_path / "o"


@pytest.mark.parametrize(
    "command", ["init", "doctor", "register", "leave", "unstake", "withdraw", "run"]
)
def test_every_command_shows_an_example(command: str) -> None:
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    assert f"nesa-oracle {command}" in shown.output
    assert "--json" in shown.output


def test_init_never_overwrites(folder: Path, network: Network, tmp_path: Path) -> None:
    again = invoke(
        "init",
        "--dir",
        str(folder),
        "--rpc-url",
        network.anvil.url,
        "--deployment",
        str(tmp_path / "31337.json"),
    )
    assert isinstance(again.exception, InvalidConfiguration)
    assert "exists" in str(again.exception)


def test_init_takes_a_devnets_network(network: Network, tmp_path: Path) -> None:
    network.deployment.write(tmp_path / "deployments" / "31337.json")
    Devnet(
        rpc_url=network.anvil.url,
        chain_id=31337,
        contracts=network.deployment,
        client=KeyFile(keystore=tmp_path, password_file=tmp_path),
    ).write(tmp_path / "network.json")
    words = ["--dir", str(tmp_path / "o"), "--network", str(tmp_path / "network.json")]
    made = invoke("init", *words, "--light-keys")
    assert made.exit_code == 0
    assert f"nesa-oracle register --dir {tmp_path / 'o'}" in made.output
    assert "nesa devnet fund" in made.output
    assert findings(tmp_path / "o")["node"]["ok"]


def test_init_needs_a_chain(tmp_path: Path) -> None:
    found = invoke("init", "--dir", str(tmp_path / "o"), "--rpc-url", "http://127.0.0.1:1")
    assert "--network of a devnet" in str(found.exception)


def test_init_without_a_password_names_the_variables(network: Network, tmp_path: Path) -> None:
    network.deployment.write(tmp_path / "31337.json")
    found = invoke(
        "init",
        "--dir",
        str(tmp_path / "o"),
        "--rpc-url",
        network.anvil.url,
        "--deployment",
        str(tmp_path / "31337.json"),
        env={},
    )
    assert "NESA_PASSWORD_FILE" in str(found.exception)
    assert not (tmp_path / "o").exists()


def findings(folder: Path) -> dict[str, dict[str, Any]]:
    shown = json.loads(invoke("doctor", "--dir", str(folder), "--json").output)
    return {one["name"]: one for one in shown["findings"]}


def test_doctor_names_what_is_missing_and_register_mends_it(
    network: Network, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = float(network.time())
    monkeypatch.setattr(time, "time", lambda: now)  # the chain's clock stands still
    before = findings(folder)
    assert before["node"]["ok"]
    assert not before["gas"]["ok"]
    assert "nesa-oracle register" in before["seat"]["text"]
    asyncio.run(fund(network, read_settings(folder)))
    registered = invoke("register", "--dir", str(folder), "--json")
    assert registered.exit_code == 0, registered.exception
    assert json.loads(registered.output)["slot"] == 2
    assert findings(folder)["seat"]["ok"]
    assert invoke("doctor", "--dir", str(folder)).exit_code == 0
    again = json.loads(invoke("register", "--dir", str(folder), "--json").output)
    assert (again["slot"], again["deposited"]) == (2, 0)


def test_an_owner_without_funds_is_told_its_address(network: Network, folder: Path) -> None:
    owner = keys.open_owner(read_settings(folder), PASSWORD["NESA_PASSWORD"]).address
    network.anvil.rpc("anvil_setBalance", owner, "0x0")
    assert f"the owner {owner} cannot pay for gas" in str(
        invoke("register", "--dir", str(folder)).exception
    )
    network.anvil.rpc("anvil_setBalance", owner, hex(10**18))
    lacking = str(invoke("register", "--dir", str(folder)).exception)
    assert f"the owner {owner} holds 0 NES and the stake lacks 1000 NES" in lacking


def test_an_oracle_leaves_and_gets_its_stake_back(network: Network, folder: Path) -> None:
    def run(*words: str) -> dict[str, Any]:
        found = invoke(words[0], "--dir", str(folder), "--json", *words[1:])
        assert found.exit_code == 0, found.exception
        document: dict[str, Any] = json.loads(found.output)
        return document

    def wait(seconds: int = DEVNET.unbonding_seconds + 2 * DEVNET.epoch_seconds) -> None:
        network.pass_time(seconds)

    asyncio.run(fund(network, read_settings(folder)))
    assert "has no oracle seat" in str(invoke("leave", "--dir", str(folder)).exception)
    run("register")
    wait(DEVNET.epoch_seconds)
    left = run("leave")
    assert run("withdraw")["locked"] == DEVNET.limits.seat_stake
    assert left["locked_until"] == left["drawn_until"] + DEVNET.unbonding_seconds
    wait()
    assert run("unstake")["unbonding"] == DEVNET.limits.seat_stake
    wait()
    assert run("withdraw")["paid"] == DEVNET.limits.seat_stake


async def fund(network: Network, settings: OracleSettings) -> None:
    owner = keys.open_owner(settings, PASSWORD["NESA_PASSWORD"])
    signer = keys.open_signer(settings, PASSWORD["NESA_PASSWORD"])
    for account in (owner, signer):
        network.anvil.rpc("anvil_setBalance", account.address, hex(10**18))
    async with await Connection.open(network.anvil.url, network.deployment, QUICK) as connection:
        stake = Amount(DEVNET.limits.seat_stake)
        token = Contracts(connection).token
        bank = Sender(connection, development_account(0))
        await bank.send(token.transfer(Address(owner.address), stake))


def test_a_dead_node_is_a_finding(folder: Path) -> None:
    settings = json.loads((folder / "oracle.json").read_text())
    settings["rpc_url"] = f"http://127.0.0.1:{free_port()}"
    (folder / "oracle.json").write_text(json.dumps(settings))
    shown = invoke("doctor", "--dir", str(folder))
    assert shown.exit_code == 1
    assert "FAIL  node: http://127.0.0.1" in shown.output


def test_settings_come_from_the_environment_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NESA_ORACLE_FINALITY", "77")
    assert read_settings(folder).finality == 77


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "oracle.json"),
        ("[]", "not a JSON object"),
        ('{"rpc_url": "x"}', "deployment: field required"),
        ('{"rpc_url": "x", "deployment": "y", "prot": 1}', "prot: extra inputs"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "oracle.json").write_text(content)
    with pytest.raises(InvalidConfiguration, match=words):
        read_settings(tmp_path)


def test_errors_are_one_sentence_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nesa-oracle", "doctor", "--dir", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Error: there is no")
    assert "nesa-oracle init" in shown
    assert "Traceback" not in shown


def test_a_key_of_somebody_else_does_not_open(tmp_path: Path) -> None:
    settings = OracleSettings(rpc_url="http://x", deployment=Path("y")).in_folder(tmp_path)
    create_keystore(settings.signer_keystore, "right", cost=2**10)
    with pytest.raises(NesaError, match="does not open"):
        keys.open_signer(settings, "wrong")
