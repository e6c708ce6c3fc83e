"""`nesa model plan`: plans of both kinds of models, and what it says to wrong files."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nesa.cli.main import main
from nesa.models.folder import load
from tests.models.onnx_graphs.graphs import layers, saved

ROOT = Path(__file__).parents[2]
FOLDER = "models/digits-cnn"
SWARM = "examples/swarm.json"


def run(capsys, *arguments: str) -> dict:
    assert main(["model", "plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_compiled_model_is_placed_with_replicas_and_spares(capsys):
    found = run(capsys, FOLDER, "--miners", SWARM, "--shards", "2", "--spares", "1")
    names = [name for shard in found["shards"] for name in shard["miners"] + shard["spares"]]
    assert sorted(names) == ["board", "desk", "laptop", "rented"]
    assert found["optimal"]
    assert found["gap"] == 0


def test_the_command_that_is_printed_cuts_where_the_plan_says(capsys, tmp_path, monkeypatch):
    path = saved(layers(4), tmp_path)
    found = run(capsys, str(path), "--miners", SWARM, "--shards", "3")
    words = shlex.split(found["cut_command"])
    assert words[:3] == ["nesa", "model", "cut"]
    monkeypatch.chdir(tmp_path)
    assert main([*words[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cuts"] == found["cuts"]
    assert main(["model", "plan", str(path), "--miners", str(ROOT / SWARM), "--shards", "1"]) == 0
    assert f"model cut {path} --shards 1 --output" in capsys.readouterr().out


def test_seats_are_moved_from_an_earlier_plan(capsys, tmp_path):
    swarm = json.loads((ROOT / SWARM).read_text())
    words = (FOLDER, "--miners", SWARM, "--shards", "2")
    before = run(capsys, *words)
    earlier = tmp_path / "plan.json"
    earlier.write_text(json.dumps(before))
    assert run(capsys, *words, "--from", str(earlier))["moves"] == []
    gone = before["shards"][0]["miners"][0]
    swarm["miners"] = [one for one in swarm["miners"] if one["name"] != gone]
    left = tmp_path / "swarm.json"
    left.write_text(json.dumps(swarm))
    words = (FOLDER, "--miners", str(left), "--from", str(earlier))
    found = run(capsys, *words)
    assert found["before_ms"] is None
    assert len(found["moves"]) == 1
    assert found["gap"] <= 0.1
    assert found["moves"][0]["source"] is None
    assert main(["model", "plan", *words]) == 0
    assert f"1. {found['moves'][0]['miner']} takes a seat in shard 0:" in capsys.readouterr().out
    earlier.write_text(json.dumps(found))
    assert run(capsys, *words)["moves"] == []


@pytest.mark.parametrize("text", ["{", "{}", '{"cuts": [1], "shards": [{"miners": [3]}]}'])
def test_plans_that_are_none_are_refused(text, capsys, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(text)
    assert main(["model", "plan", FOLDER, "--miners", SWARM, "--from", str(path)]) == 1
    assert "the plan is wrong at" in capsys.readouterr().err


def observed(path: Path, slow: str) -> str:
    """A file of times in which the signer `slow` takes far longer than two others."""
    digest = f"0x{load(ROOT / FOLDER).shards[0].file_digest.hex()}"
    peers = [
        {"signer": one, "seconds": [5.0 if one == slow else 0.01] * 5} for one in SIGNERS.values()
    ]
    path.write_text(json.dumps({"shards": [{"file_digest": digest, "peers": peers}]}))
    return str(path)


SIGNERS = {name: "0x" + sign * 40 for name, sign in (("a", "a"), ("b", "b"), ("c", "c"))}


def test_whoever_overstated_gets_no_place(capsys, tmp_path):
    miners = [figures() | {"name": name, "signer": signer} for name, signer in SIGNERS.items()]
    swarm = tmp_path / "swarm.json"
    swarm.write_text(json.dumps({"miners": miners, "link": LINK}))
    words = (FOLDER, "--miners", str(swarm), "--shards", "2")
    times = observed(tmp_path / "times.json", SIGNERS["b"])
    found = run(capsys, *words, "--observed", times)
    assert [one["name"] for one in found["overstated"]] == ["b"]
    assert sorted(name for shard in found["shards"] for name in shard["miners"]) == ["a", "c"]
    assert main(["model", "plan", *words, "--observed", times]) == 0
    assert "b is left out: over 5 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "words"),
    [("nowhere.json", "cannot read the times"), ("http://127.0.0.1:9", "no miner answers at")],
)
def test_times_that_cannot_be_had_are_told(source, words, capsys):
    assert main(["model", "plan", FOLDER, "--miners", SWARM, "--observed", source]) == 1
    assert words in " ".join(capsys.readouterr().err.split())


def test_an_onnx_file_is_placed(capsys, tmp_path):
    path = saved(layers(4), tmp_path)
    found = run(capsys, str(path), "--miners", SWARM, "--objective", "throughput", "--shards", "3")
    assert len(found["shards"]) == 3
    assert found["queries_per_second"] > 0


def test_proofs_are_priced_before_anybody_pays(capsys):
    found = run(capsys, FOLDER, "--prove", "--shards", "2", "--proof-price", "0.25")
    assert found["provable"]
    assert found["proof_price"] == "0.5 NES"
    assert [shard["price"] for shard in found["proved_shards"]] == ["0.25 NES"] * 2


def test_people_read_the_bound_and_the_gap(capsys):
    assert main(["model", "plan", FOLDER, "--miners", SWARM, "--prove"]) == 0
    text = capsys.readouterr().out
    assert "no plan beats" in text
    assert "verify gas" in text


def figures(**changed) -> dict:
    plain = json.loads(Path(SWARM).read_text())["miners"][0]["figures"]
    return {"name": "a", "figures": plain | changed}


LINK = {"round_trip_ms": 1, "bandwidth": 1e6}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "wrong at the document"),
        ({"miners": [], "link": LINK}, "wrong at miners"),
        ({"miners": [{"name": "a"}], "link": LINK}, "either figures or a statement"),
        ({"miners": [figures(), figures()], "link": LINK}, "'a' is in the file twice"),
        ({"miners": [figures(int8_rate=0)], "link": LINK}, "int8_rate"),
        ({"miners": [{"name": "a", "statement": "0xzz"}], "link": LINK}, "of 'a' is not valid"),
        ({"miners": [{"name": "a", "statement": "0x80"}], "link": LINK}, "of 'a' is not valid"),
        ({"miners": [figures(free_memory=10)], "link": LINK}, "add a miner with more memory"),
    ],
)
def test_wrong_files_of_miners_are_refused(document, words, capsys, tmp_path):
    path = tmp_path / "swarm.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    assert main(["model", "plan", FOLDER, "--miners", str(path)]) == 1
    assert words in capsys.readouterr().err


def test_a_plan_for_nothing_says_what_to_give(capsys, tmp_path):
    assert main(["model", "plan", FOLDER]) == 1
    assert "--miners FILE.json" in capsys.readouterr().err
    assert main(["model", "plan", str(saved(layers(2), tmp_path)), "--prove"]) == 1
    assert "only compiled models" in capsys.readouterr().err
