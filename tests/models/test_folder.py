"""A folder with one changed byte does not load."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from nesa.models.answers import answers_path
from nesa.models.canonical import canonical_json
from nesa.models.folder import INDEX, assemble, load, save, with_circuits
from nesa.models.lowering import runtime_model
from nesa.models.verify import check_folder
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidModel, NesaError
from nesa.protocol.ids import Digest
from tests.models.conftest import MODELS

NAME = "breast-cancer-mlp"
FILES = sorted(json.loads((MODELS / NAME / INDEX).read_bytes())["files"])


@pytest.fixture
def copy(tmp_path):
    """A copy of a model that may be spoiled."""
    return shutil.copytree(MODELS / NAME, tmp_path / NAME)


def edit(path, change) -> None:
    """Rewrites the index after `change`."""
    index = json.loads((path / INDEX).read_bytes())
    change(index)
    (path / INDEX).write_bytes(canonical_json(index))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_flipped_bit_in_a_file_is_refused(copy, file, place):
    data = bytearray((copy / file).read_bytes())
    data[place] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(IntegrityError, match="does not match its digest"):
        load(copy)


@pytest.mark.parametrize("file", FILES)
def test_an_empty_or_missing_file_is_refused(copy, file):
    (copy / file).write_bytes(b"")
    with pytest.raises(IntegrityError, match="does not match its digest"):
        load(copy)
    (copy / file).unlink()
    with pytest.raises(InvalidModel, match="cannot be read"):
        load(copy)


CHANGES = {
    "attribute": lambda index: index["rows"][1]["attributes"].__setitem__(0, 3),
    "opcode": lambda index: index["rows"][0].__setitem__("opcode", "CONV"),
    "label": lambda index: index["card"].__setitem__("labels", ["benign", "malignant"]),
    "accuracy": lambda index: index["card"]["accuracy"].__setitem__("integer_model", 1.0),
    "step": lambda index: index["card"]["features"][0].__setitem__("step", 2.0),
    "circuit": lambda index: index["shards"][0].__setitem__("circuit_digest", "0x" + "11" * 32),
    "code": lambda index: index["shards"][0].__setitem__("verifier_code_hash", "0x" + "11" * 32),
    "root": lambda index: index.__setitem__("root", "0x" + "11" * 32),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_fact_is_refused(copy, name):
    edit(copy, CHANGES[name])
    with pytest.raises(IntegrityError, match=r"^[^.\n]*model\.json does not match its contents$"):
        load(copy)


def test_weights_exchanged_with_their_file_digest_are_refused(copy):
    data = bytearray((copy / "parameters/0.bin").read_bytes())
    data[5] ^= 1
    (copy / "parameters/0.bin").write_bytes(data)
    root = "0x" + bytes_root(bytes(data)).hex()
    edit(copy, lambda index: index["files"].__setitem__("parameters/0.bin", root))
    with pytest.raises(IntegrityError, match="weights of a shard do not match their root"):
        load(copy)


BREAKS = {
    "not json": b"{",
    "not an index": b"{}",
    "a list": b"[]",
    "not text": b"\xff\xfe",
}


@pytest.mark.parametrize("name", BREAKS)
def test_an_index_of_another_shape_is_refused(copy, name):
    (copy / INDEX).write_bytes(BREAKS[name])
    with pytest.raises(InvalidModel, match=r"^model\.json: "):
        load(copy)


SHAPES = {
    "unknown opcode": lambda index: index["rows"][0].__setitem__("opcode", "GUESS"),
    "unknown kind": lambda index: index["rows"][0]["parameters"][0].__setitem__("kind", "IDEAS"),
    "edge": lambda index: index["rows"][0].__setitem__("output_type", "0x" + "00" * 32),
    "extra": lambda index: index.__setitem__("note", "hello"),
    "path": lambda index: index["files"].__setitem__("../secret", "0x" + "00" * 32),
    "cut": lambda index: index.__setitem__("cuts", [1]),
    "one shard": lambda index: index.__setitem__("cuts", []),
    "no constants": lambda index: index["files"].pop("parameters/0.bin"),
    "value": lambda index: index["rows"][0].__setitem__("inputs", [99]),
    "no shards": lambda index: index.__setitem__("shards", []),
    "huge": lambda index: index["rows"][0]["parameters"][0].__setitem__("shape", [2**31, 2**31]),
    "no answers": lambda index: index["files"].pop(answers_path(1)),
    "no shard": lambda index: index["files"].pop("shards/0.onnx"),
    "not a number": lambda index: index["card"].__setitem__("output_scale", "1"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_index_that_breaks_a_rule_is_refused(copy, name):
    edit(copy, SHAPES[name])
    with pytest.raises((InvalidModel, IntegrityError)):
        load(copy)


def test_saving_and_loading_gives_the_same_root(mlp, tmp_path):
    save(mlp, tmp_path)
    again = load(tmp_path, expected=mlp.root)
    assert again.files == mlp.files
    assert (tmp_path / INDEX).read_bytes() == (MODELS / NAME / INDEX).read_bytes()


def test_assembling_again_gives_the_same_shards(mlp):
    again = assemble(mlp.table, mlp.card, mlp.test_rows())
    assert again.operators_root == mlp.operators_root
    assert {name: again.files[name] for name in FILES if name != "test.npz"} == {
        name: data for name, data in mlp.files.items() if name != "test.npz"
    }


def test_circuits_change_the_root_and_nothing_else(mlp, tmp_path):
    circuits = [(Digest(bytes([n]) * 32), Digest(bytes([n + 9]) * 32)) for n in (1, 2)]
    changed = with_circuits(mlp, circuits, mlp.card)
    assert changed.root != mlp.root
    assert changed.operators_root == mlp.operators_root
    save(changed, tmp_path)
    assert [facts.circuit_digest for facts in load(tmp_path).shards] == [c[0] for c in circuits]


def test_a_shard_file_of_another_table_is_found_by_the_check(mlp, tmp_path):
    biases = mlp.table.rows[0].parameters[1]
    other = replace(biases, values=biases.values + 1)
    row = replace(mlp.table.rows[0], parameters=(mlp.table.rows[0].parameters[0], other))
    table = replace(mlp.table, rows=(row, *mlp.table.rows[1:]))
    swapped = {**mlp.files, "shards/0.onnx": runtime_model(table, table.shards[0])}
    facts = replace(mlp.shards[0], file_digest=bytes_root(swapped["shards/0.onnx"]))
    save(replace(mlp, files=swapped, shards=(facts, *mlp.shards[1:])), tmp_path)
    load(tmp_path)
    with pytest.raises(IntegrityError, match=r"shards/0\.onnx is not made from the table"):
        check_folder(tmp_path)


def test_every_error_is_one_of_ours(copy):
    (copy / "test.npz").write_bytes(b"PK\x03\x04 no rows in here")
    root = "0x" + bytes_root((copy / "test.npz").read_bytes()).hex()
    edit(copy, lambda index: index["files"].__setitem__("test.npz", root))
    with pytest.raises(NesaError):
        load(copy).test_rows()
