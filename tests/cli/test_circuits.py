"""`nesa model circuits` says what is missing before it works for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.cli.proving import with_circuits
from nesa.models.folder import circuit_path, load
from nesa.models.proving.building import of_kind
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.errors import InvalidConfiguration, InvalidInput, InvalidModel
from tests.models.proving.shards import MODELS

PUBLIC = MODELS / "breast-cancer-mlp"
HASHED = MODELS / "hashed" / "breast-cancer-mlp-hashed"
KIND = CircuitKind.HASHED


def make(output: Path, tmp_path: Path) -> None:
    with_circuits(PUBLIC, KIND, output, None, tmp_path / "cache", None)


def test_without_a_compiler_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidConfiguration, match=r"solc 0\.8\.20"):
        make(tmp_path / "made", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_cannot_be_run_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NESA_SOLC", str(tmp_path / "none"))
    with pytest.raises(InvalidConfiguration, match="cannot be run"):
        make(tmp_path / "made", tmp_path)


def test_nothing_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESA_SOLC", "/bin/sh")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine").write_text("")
    with pytest.raises(InvalidConfiguration, match="choose another folder"):
        make(tmp_path / "made", tmp_path)


def test_a_version_of_another_kind_is_the_same_table_with_other_circuits() -> None:
    public = load(PUBLIC)
    made = of_kind(public, KIND, "breast-cancer-mlp-hashed")
    assert made.operators_root == public.operators_root
    assert made.root != public.root
    for shard in range(2):
        assert made.shard_file(shard) == public.shard_file(shard)
        assert made.circuit_file(shard) != public.circuit_file(shard)
        committed = (HASHED / circuit_path(shard)).read_bytes()
        assert made.circuit_file(shard) == committed
    assert made.classifier.accuracy.proved is None
    back = of_kind(made, CircuitKind.PUBLIC, "breast-cancer-mlp")
    assert back.circuit_file(0) == public.circuit_file(0)


@pytest.mark.parametrize("name", ["", "Big", "a b", "-x", "../x", "x" * 65])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="no name of a model"):
        of_kind(load(PUBLIC), KIND, name)


def test_a_shard_that_cannot_be_proved_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nesa.models.lowering.MAX_INSTANCES", 90)
    with pytest.raises(InvalidModel, match="shard 0 of breast-cancer-mlp cannot be proved: 94"):
        of_kind(load(PUBLIC), KIND, "x")
