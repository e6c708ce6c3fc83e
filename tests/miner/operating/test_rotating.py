"""An operator gets another signer; what it holds keeps the old one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nesa_miner import cli
from nesa_miner.config import read_settings
from nesa_miner.keys import open_identity, open_owner
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import PASSWORD

Capture = pytest.CaptureFixture[str]


def rotate(miner: OwnedMiner, capsys: Capture, *words: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    successor = str(miner.folder.with_name("second"))
    head = ["rotate-signer", successor, "--dir", str(miner.folder), "--port", "8702"]
    assert cli.main([*head, "--light-keys", "--json", *words]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def registered(miner: OwnedMiner) -> OwnedMiner:
    miner.pay()
    assert miner.register() == 0
    return miner


def test_a_new_signer_is_for_seats_taken_later(registered: OwnedMiner, capsys: Capture) -> None:
    network, folder = registered.network, registered.folder.with_name("second")
    said = rotate(registered, capsys)
    settings = read_settings(folder)
    signer = open_identity(folder, settings, PASSWORD).address
    assert said == {
        "folder": str(folder),
        "operator": registered.owner.address,
        "before": registered.identity.address,
        "signer": signer,
    }
    assert (settings.port, settings.stores) == (8702, registered.settings.stores)
    assert open_owner(folder, settings, PASSWORD).address == registered.owner.address
    assert network.read("vault", "operator", registered.owner.address).signer == signer
    (seat,) = network.read("vault", "seats", network.version_id, 0, (0,))
    assert seat.signer == registered.identity.address


def test_it_can_be_run_again_after_any_failure(registered: OwnedMiner, capsys: Capture) -> None:
    """The first time the node is away; the third time there is nothing to do."""
    node = registered.settings.rpc_url
    registered.change(rpc_url="http://127.0.0.1:1")
    rotate(registered, capsys, code=1)
    folder = registered.folder.with_name("second")
    signer = open_identity(folder, read_settings(folder), PASSWORD).address
    registered.change(rpc_url=node)
    first, again = rotate(registered, capsys), rotate(registered, capsys)
    assert (first["before"], first["signer"]) == (registered.identity.address, signer)
    assert (again["before"], again["signer"]) == (signer, signer)


def test_who_is_no_operator_is_told_what_to_do(miner: OwnedMiner, capsys: Capture) -> None:
    said = rotate(miner, capsys, code=1)
    assert "`nesa-miner register` makes it one" in said["error"]["message"]


def test_no_key_is_written_over_and_none_stays(registered: OwnedMiner, capsys: Capture) -> None:
    keys = registered.folder.with_name("second") / "keys"
    keys.mkdir(parents=True)
    (keys / "signer.json").write_text("somebody's key")
    said = rotate(registered, capsys, code=1)
    assert "exists and is not overwritten" in said["error"]["message"]
    assert [path.name for path in keys.iterdir()] == ["signer.json"]


def test_light_keys_and_bad_endpoints_are_refused(registered: OwnedMiner, capsys: Capture) -> None:
    said = rotate(registered, capsys, "--endpoint", "ftp://x", code=1)
    assert "not an http or https URL" in said["error"]["message"]
    assert not Path(registered.folder.with_name("second")).exists()
