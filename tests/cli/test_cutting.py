"""`nesa model cut` on ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from nesa.cli.cutting import same_bytes
from nesa.models.cut import legal_positions
from nesa.models.folder import load
from tests.cli.conftest import Nesa
from tests.models.onnx_graphs.graphs import info, layers, model_of, saved

MLP = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"


def test_a_file_is_cut_and_checked(nesa: Nesa, tmp_path: Path) -> None:
    path = saved(layers(6), tmp_path)
    words = ("model", "cut", path, "--shards", 3, "--out", tmp_path / "cut", "--check", "--json")
    found = nesa(*words).document
    assert found["same_bytes"] is True
    assert found["optimisation"] == "ORT_DISABLE_ALL"
    assert [shard["inputs"] for shard in found["shards"]] == [["x"], ["m1"], ["m3", "t0"]]
    assert (tmp_path / "cut" / "manifest.json").is_file()
    assert len(found["cuts"]) == 2


def test_a_file_is_cut_where_it_is_told_to(nesa: Nesa, tmp_path: Path) -> None:
    path = saved(layers(6), tmp_path)
    words = ("model", "cut", path, "--out", tmp_path / "cut", "--json")
    cheapest = nesa(*words, "--shards", 3).document["cuts"]
    chosen = [cheapest[0] + 1, cheapest[1] + 1]
    found = nesa(*words, "--at", ",".join(map(str, chosen)), "--check").document
    assert found["cuts"] == chosen
    assert found["same_bytes"] is True


def test_places_of_a_split_are_listed(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("model", "split", MLP, "--json").document["places"]
    assert [place["row"] for place in found] == [2, 4, 5]
    assert (found[0]["sent"], found[0]["sent_bytes"]) == (["uint8 1x64"], 64)
    assert (found[1]["returned"], found[1]["returned_bytes"]) == (["uint8 1x32"], 32)
    assert "uint8 1x64" in nesa("model", "split", MLP, "--first", 2).out


def test_a_model_is_split_where_it_is_told_to(nesa: Nesa, tmp_path: Path) -> None:
    ends = ("--first", 2, "--end", 4)
    found = nesa("model", "split", MLP, *ends, "--output", tmp_path / "middle", "--json").document
    assert (found["input_bytes"], found["output_bytes"]) == (64, 32)
    assert nesa("model", "check", tmp_path / "middle").code == 0


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0, 4), "from --first 2 on --end may be 4, 5"),
        ((2, 2), "from --first 2 on --end may be 4, 5"),
        ((5, 9), "from --first 2 on --end may be 4, 5"),
    ],
)
def test_a_split_that_is_impossible_says_where_it_is_possible(
    ends: tuple[int, int], words: str, nesa: Nesa, tmp_path: Path
) -> None:
    first, end = ends
    line = ("model", "split", MLP, "--first", first, "--end", end, "--output", tmp_path / "middle")
    found = nesa(*line)
    assert found.code != 0
    assert words in " ".join(found.err.split())
    assert not (tmp_path / "middle").exists()


def test_half_a_split_is_refused(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("model", "split", MLP, "--end", 4, "--output", tmp_path / "middle")
    assert "say --first, --end and --output" in " ".join(found.err.split())


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ("2,1", "must ascend"),
        ("1,99", "cannot be cut in front of step 99; the nearest place is"),
        ("1,2,3,4,5,6,7,8", "1 to 8 shards, not 9"),
        ("one", "is no list of places"),
        ("", "is no list of places"),
    ],
)
def test_places_that_are_none_are_refused(
    places: str, words: str, nesa: Nesa, tmp_path: Path
) -> None:
    path = saved(layers(6), tmp_path)
    found = nesa("model", "cut", path, "--at", places, "--out", tmp_path / "cut")
    assert found.code != 0
    assert words in " ".join(found.err.split())
    assert not (tmp_path / "cut").exists()


@pytest.mark.parametrize("words", [(), ("--shards", 2, "--at", "1")])
def test_either_a_count_or_places_are_needed(words, nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("model", "cut", MLP, *words, "--out", tmp_path / "cut")
    assert found.code != 0
    assert "either how many --shards or --at which places" in " ".join(found.err.split())


def test_a_compiled_model_is_cut_where_it_is_told_to(nesa: Nesa, tmp_path: Path) -> None:
    table = load(MLP).table
    place = legal_positions(table)[-1]
    found = nesa("model", "cut", MLP, "--at", place, "--out", tmp_path / "cut")
    assert found.code == 0
    assert load(tmp_path / "cut").table.cuts == (place,)
    found = nesa("model", "cut", MLP, "--at", len(table.rows), "--out", tmp_path / "none")
    assert found.code != 0
    assert "must ascend" in found.err


def test_people_read_a_table_of_shards(nesa: Nesa, tmp_path: Path) -> None:
    path = saved(layers(6), tmp_path)
    found = nesa("model", "cut", path, "--shards", 2, "--out", tmp_path / "cut")
    assert found.code == 0
    assert "weight bytes" in found.out
    assert "same bytes" not in found.out


def open_model() -> ModelProto:
    """Two inputs with open dimensions, one of them integers that choose rows."""
    nodes = [
        helper.make_node("Gather", ["x", "ids"], ["rows"]),
        helper.make_node("Tanh", ["rows"], ["y"]),
    ]
    inputs = [info("x", shape=("rows", 4)), info("ids", TensorProto.INT64, ("batch",))]
    return model_of(helper.make_graph(nodes, "g", inputs, [info("y", shape=("batch", 4))]))


def test_open_dimensions_have_the_sizes_that_are_given(nesa: Nesa, tmp_path: Path) -> None:
    path = saved(open_model(), tmp_path)
    words = ["model", "cut", path, "--shards", 2, "--out", tmp_path / "cut", "--check", "--json"]
    found = nesa(*words, "--dim", "batch=5", "--dim", "rows=2").document
    assert found["shards"][1]["boundary_bytes"] == 4 * 4 * 5
    assert found["same_bytes"] is True


@pytest.mark.parametrize("text", ["batch", "batch=", "=5", "batch=0", "batch=-1", "batch=x"])
def test_a_size_that_is_none_is_refused(text: str, nesa: Nesa, tmp_path: Path) -> None:
    path = saved(layers(2), tmp_path)
    found = nesa("model", "cut", path, "--shards", 2, "--out", tmp_path / "cut", "--dim", text)
    assert found.code != 0
    assert "--dim takes NAME=SIZE" in found.err


def test_a_hostile_file_is_named(nesa: Nesa, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing")
    found = nesa("model", "cut", path, "--shards", 2, "--out", tmp_path / "cut")
    assert found.code != 0
    assert "model.onnx is not an ONNX file" in found.err
    assert not (tmp_path / "cut").exists()


def test_an_input_that_cannot_be_made_up_is_told(nesa: Nesa, tmp_path: Path) -> None:
    path = saved(open_model(), tmp_path)
    words = ["model", "cut", path, "--shards", 2, "--out", tmp_path / "cut", "--check"]
    found = nesa(*words, "--dim", "batch=2000000000")
    assert found.code != 0
    assert "'ids' is too large to be made up" in found.err


def test_the_switches_of_files_are_not_for_folders(nesa: Nesa, tmp_path: Path) -> None:
    found = nesa("model", "cut", MLP, "--shards", 2, "--out", tmp_path / "cut", "--check")
    assert found.code != 0
    assert "--dim and --check are for ONNX files" in found.err


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (np.zeros(2), np.zeros(2), True),
        (np.array([0.0]), np.array([-0.0]), False),
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.zeros(2), np.zeros((2, 1)), False),
        (np.zeros(2), np.zeros(2, np.float32), False),
        ([np.zeros(2)], [np.zeros(2)], True),
        ([np.zeros(2)], [], False),
        (np.array(["a"], object), np.array(["a"], object), True),
        (np.array(["a"], object), np.array(["b"], object), False),
    ],
)
def test_values_are_compared_to_the_byte(left: object, right: object, same: bool) -> None:
    assert same_bytes(left, right) is same


def test_a_model_that_hands_over_too_much_is_refused_before_it_is_registered(
    nesa: Nesa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesa.models.cut.MAX_TENSOR_BYTES", 8)
    found = nesa("model", "check", MLP)
    assert found.code != 0
    words = " ".join(found.err.split())
    assert "bytes cross in front of row" in words
    assert "nesa model cut" in words
