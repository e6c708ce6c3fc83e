"""An owner who has nothing to defend, or cannot, hears so at once."""

from __future__ import annotations

import json

import pytest

from nesa_miner import cli
from tests.miner.operating.miner import OwnedMiner

Capture = pytest.CaptureFixture[str]


def refused(miner: OwnedMiner, capsys: Capture) -> str:
    capsys.readouterr()
    assert cli.main(["defend", "--dir", str(miner.folder), "--json"]) == 1
    *_, last = capsys.readouterr().out.splitlines()
    return str(json.loads(last)["error"]["message"])


def test_an_owner_that_is_no_operator_has_nothing_to_defend(
    miner: OwnedMiner, capsys: Capture
) -> None:
    assert "is no operator on this chain" in refused(miner, capsys)
    assert not (miner.folder / "defence.sqlite").exists()


def test_a_key_that_is_missing_or_locked_is_named(
    miner: OwnedMiner, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("NESA_PASSWORD", "not the password")
        assert "the password does not open" in refused(miner, capsys)
    (miner.folder / "keys" / "owner.json").unlink()
    assert "owner.json" in refused(miner, capsys)
