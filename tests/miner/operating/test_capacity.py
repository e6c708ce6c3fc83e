"""`nesa-miner capacity`: what it prints and writes can be planned with."""

from __future__ import annotations

import json
from pathlib import Path

from nesa.chain.deployment import CONTRACT_NAMES
from nesa.models.placement.swarm_file import read_swarm
from nesa.protocol.capacity import decode_statement
from nesa_miner import cli


def test_a_miner_states_its_capacity(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NESA_PASSWORD", "a long password")
    deployment = {"chain_id": 31337, "block": 0} | {
        name: f"0x{number:040x}" for number, name in enumerate(CONTRACT_NAMES, 1)
    }
    (tmp_path / "31337.json").write_text(json.dumps(deployment))
    folder = tmp_path / "miner"
    place = ["--deployment", str(tmp_path / "31337.json"), "--rpc-url", "http://127.0.0.1:1"]
    assert cli.main(["init", "--dir", str(folder), *place, "--light-keys", "--json"]) == 0
    signer = json.loads(capsys.readouterr().out)["signer"]
    out = tmp_path / "capacity.bin"
    assert cli.main(["capacity", "--dir", str(folder), "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    statement = decode_statement(out.read_bytes())
    assert statement.signer == signer == printed["signer"]
    document = {
        "miners": [{"name": "a", "statement": printed["statement"]}],
        "link": {"round_trip_ms": 1, "bandwidth": 1e6},
    }
    swarm = read_swarm(json.dumps(document).encode())
    assert swarm.miners[0].capacity.free_memory == statement.free_memory
    missing = Path(tmp_path / "nowhere" / "capacity.bin")
    assert cli.main(["capacity", "--dir", str(folder), "--out", str(missing)]) == 1
    assert "choose another --out" in capsys.readouterr().err
