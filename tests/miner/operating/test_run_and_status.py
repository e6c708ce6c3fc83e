"""`run` and `status`, from what is there and from what is missing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from nesa_miner import cli, daemon
from nesa_miner.config import MinerSettings
from nesa_miner.identity import Identity
from nesa_miner.keys import PASSWORD_VARIABLE
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.test_doctor import answering

Capture = pytest.CaptureFixture[str]


def test_the_daemon_gets_folder_settings_and_keys(
    miner: OwnedMiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def run(folder: Path, settings: MinerSettings, identity: Identity) -> None:
        seen.append((folder, settings.port, identity.address))

    monkeypatch.setattr(daemon, "run", run)
    assert cli.main(["run", "--dir", str(miner.folder)]) == 0
    assert seen == [(miner.folder, miner.settings.port, miner.identity.address)]


def test_a_wrong_password_does_not_become_dry_mode(
    miner: OwnedMiner, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    assert cli.main(["run", "--dir", str(miner.folder)]) == 1
    assert "the password does not open" in capsys.readouterr().err


def test_without_a_signer_key_the_chain_is_followed_and_logged(
    miner: OwnedMiner, tmp_path: Path
) -> None:
    watcher = tmp_path / "watcher"
    shutil.copytree(miner.folder, watcher, ignore=shutil.ignore_patterns("signer.json"))
    command = [sys.executable, "-m", "nesa_miner.cli", "run", "--dir", str(watcher)]
    environment = {name: value for name, value in os.environ.items() if "PASSWORD" not in name}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"].startswith("dry mode")
        miner.pay()
        assert miner.register() == 0
        events = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()
    assert [event["event"] for event in events] == [
        "OperatorRegistered", "StakeDeposited", "SeatTaken"
    ]  # fmt: skip
    assert events[2]["version"] == f"0x{miner.network.version_id.hex()}"


def test_another_chain_stops_dry_mode(miner: OwnedMiner, capsys: Capture) -> None:
    miner.change(rpc_url="http://127.0.0.1:9")
    assert cli.main(["run", "--dry", "--dir", str(miner.folder)]) == 1
    assert "cannot be reached" in capsys.readouterr().err


def test_a_running_miner_is_asked(miner: OwnedMiner, capsys: Capture) -> None:
    with answering(miner.settings.port, {"signer": "0xab", "head": 7, "duties": []}):
        assert cli.main(["status", "--dir", str(miner.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"running": True, "signer": "0xab", "head": 7, "duties": []}


def test_a_program_that_is_no_miner_is_not_believed(miner: OwnedMiner, capsys: Capture) -> None:
    with answering(miner.settings.port, {"hello": "world"}):
        assert cli.main(["status", "--dir", str(miner.folder)]) == 1
    assert "no miner is running" in capsys.readouterr().err


def test_the_journal_of_a_stopped_miner_is_read(miner: OwnedMiner, capsys: Capture) -> None:
    base = sqlite3.connect(miner.folder / miner.settings.journal)
    base.execute("CREATE TABLE jobs (phase TEXT)")
    base.executemany("INSERT INTO jobs VALUES (?)", [("ended",), ("ended",), ("drawn",)])
    base.commit()
    base.close()
    assert cli.main(["status", "--dir", str(miner.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["running"] is False
    assert found["jobs"] == {"seen": 0, "drawn": 1, "settled": 0, "ended": 2}


def test_a_journal_that_is_none_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    (miner.folder / miner.settings.journal).write_bytes(b"not a database" * 100)
    assert cli.main(["status", "--dir", str(miner.folder)]) == 1
    assert "cannot be read as a journal" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "run", "status"])
def test_a_folder_without_a_miner_says_how_to_make_one(
    tmp_path: Path, capsys: Capture, command: str
) -> None:
    assert cli.main([command, "--dir", str(tmp_path), "--json"]) == 1
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert "make one with `nesa-miner init" in message


@pytest.mark.parametrize("command", ["init", "doctor", "register", "run", "status"])
def test_every_command_shows_an_example(capsys: Capture, command: str) -> None:
    assert cli.main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example:" in shown
    assert "--json" in shown


def test_an_unknown_option_is_wrong_usage(capsys: Capture) -> None:
    assert cli.main(["run", "--lie"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_a_fault_of_its_own_is_no_traceback(
    miner: OwnedMiner, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("0123456789abcdef" * 8)

    monkeypatch.setattr(daemon, "run", broken)
    assert cli.main(["run", "--dir", str(miner.folder)]) == 1
    message = capsys.readouterr().err
    assert "a fault of its own (RuntimeError); set NESA_TRACEBACK=1" in message
    assert "0123456789abcdef" not in message


def test_a_real_miner_follows_the_chain_until_it_is_told_to_stop(
    miner: OwnedMiner, capsys: Capture, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "nesa_miner.cli", "run", "--dir", str(miner.folder)]
    with (tmp_path / "errors").open("w") as errors:  # apart from the lines of JSON
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["event"] != "listening":
            continue
        assert cli.main(["status", "--dir", str(miner.folder), "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        _, checks = miner.examined(capsys)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        said = process.stdout.read() + (tmp_path / "errors").read_text()
    finally:
        process.kill()
        process.communicate()
    assert status["running"] is True
    assert status["signer"] == miner.identity.address
    assert checks["port"]["text"].startswith("this miner is running")
    assert "Traceback" not in said
    assert cli.main(["status", "--dir", str(miner.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["running"] is False
