"""`nesa privacy`: keys, rotation, and models under a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nesa.models.folder import load
from nesa.models.runtime import session
from nesa.privacy.equivariant import user_keys
from nesa.privacy.key_files import save_secret
from tests.cli.conftest import Nesa
from tests.privacy.equivariant.float_graphs import LENGTH, llama

MLP = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
DIGITS = MLP.parent / "digits-cnn"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that makes guessing passwords slow is left out."""

    def save(path: Path, kind: str, public: Any, secret: bytes, password: str, _: int) -> None:
        save_secret(path, kind, public, secret, password, 2**10)

    monkeypatch.setattr(user_keys, "save_secret", save)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("a password\n")
    path.chmod(0o600)
    return path


def test_a_model_is_put_under_a_key_checked_and_rotated(
    nesa: Nesa, password: Path, tmp_path: Path
) -> None:
    first, second, folder = tmp_path / "0.key", tmp_path / "1.key", tmp_path / "ee"
    given = ("--ee-password-file", password, "--json")
    made = nesa("privacy", "key", MLP, "--output", first, *given)
    assert made.code == 0
    assert made.document["input"] == "30 places permuted"
    assert "who has the plain model" in made.document["limits"]
    found = nesa("privacy", "transform", MLP, "--key", first, "--output", folder, *given)
    assert found.document["fingerprint"] == made.document["fingerprint"]
    checked = nesa("model", "check", folder, "--json").document
    assert (checked["intact"], checked["provable"]) == (True, False)
    assert checked["root"] == found.document["root"] != f"0x{load(MLP).root.hex()}"
    later = nesa("privacy", "rotate", first, "--output", second, *given).document
    assert later["epoch"] == 1
    assert later["fingerprint"] != made.document["fingerprint"]
    again = tmp_path / "again"
    newer = nesa("privacy", "transform", MLP, "--key", second, "--output", again, *given).document
    assert newer["root"] != found.document["root"]
    over = nesa("privacy", "transform", MLP, "--key", second, "--output", folder, *given)
    assert (over.code, "holds a model already" in over.out + over.err) == (1, True)


def test_what_is_not_hidden_is_said(nesa: Nesa, password: Path, tmp_path: Path) -> None:
    given = ("--ee-password-file", password)
    words = nesa("privacy", "key", DIGITS, "--output", tmp_path / "key", *given).out
    assert "nothing of it is hidden" in words
    assert "10 places permuted" in words


def test_wrong_use_is_refused_with_what_to_do(nesa: Nesa, password: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "0.key", tmp_path / "ee"
    given = ("--ee-password-file", password)
    missing = nesa("privacy", "key", MLP, "--output", file)
    assert (missing.code, "--ee-password-file" in missing.err) == (1, True)
    assert nesa("privacy", "key", MLP, "--output", file, *given).code == 0
    twice = nesa("privacy", "key", MLP, "--output", file, *given)
    assert (twice.code, "cannot write" in twice.err) == (1, True)
    other = nesa("privacy", "transform", DIGITS, "--key", file, "--output", folder, *given)
    assert (other.code, "nesa privacy key" in other.err) == (1, True)
    assert not folder.exists()
    empty = nesa("privacy", "transform", tmp_path, "--key", file, "--output", folder, *given)
    assert (empty.code, "holds no compiled model" in empty.err) == (1, True)
    same = nesa("privacy", "transform", MLP, "--key", file, "--output", MLP, *given)
    assert (same.code, "not over it" in same.err) == (1, True)
    password.write_text("another\n")
    wrong = nesa("privacy", "transform", MLP, "--key", file, "--output", folder, *given)
    assert (wrong.code, "wrong password" in wrong.err) == (1, True)
    assert "a password" not in wrong.err + wrong.out


def test_a_float_model_is_transformed_encoded_and_decoded(
    nesa: Nesa, password: Path, tmp_path: Path
) -> None:
    given = ("--ee-password-file", password, "--json")
    plain, key, made = tmp_path / "net.onnx", tmp_path / "net.key", tmp_path / "ee.onnx"
    proto = llama(np.float32)
    onnx.save(proto, plain)
    assert nesa("privacy", "key", plain, "--output", key, *given).code == 0
    found = nesa("privacy", "transform", plain, "--key", key, "--output", made, *given)
    assert "60 names permuted" in found.document["input"]
    ids = np.arange(LENGTH).reshape(1, LENGTH)
    files = [tmp_path / name for name in ("in.npz", "sent.npz", "got.npz", "out.npz")]
    np.savez(files[0], ids)
    assert nesa("privacy", "encode", files[0], "--key", key, "--output", files[1], *given).code == 0
    sent = np.load(files[1])["arr_0"]
    assert not np.array_equal(sent, ids)
    np.savez(files[2], session(made).run(None, {"ids": sent})[0])
    assert nesa("privacy", "decode", files[2], "--key", key, "--output", files[3], *given).code == 0
    (expected,) = session(plain).run(None, {"ids": ids})
    assert np.abs(np.load(files[3])["arr_0"] - expected).max() < 1e-3


def test_wrong_tensors_and_graphs_are_refused(nesa: Nesa, password: Path, tmp_path: Path) -> None:
    given = ("--ee-password-file", password)
    plain, key = tmp_path / "net.onnx", tmp_path / "net.key"
    onnx.save(llama(np.float32), plain)
    assert nesa("privacy", "key", plain, "--output", key, *given).code == 0
    file, out = tmp_path / "in.npz", tmp_path / "out.npz"
    for arrays, wanted in (
        ([np.zeros((1, 3), np.int64)], "numbers; the model has [7]"),
        ([], "the model has [7]"),
        ([np.full((1, LENGTH), 60)], "from 0 to 59"),
        ([np.full((1, LENGTH), 0.5)], "from 0 to 59"),
    ):
        np.savez(file, *arrays)
        refused = nesa("privacy", "encode", file, "--key", key, "--output", out, *given)
        assert (refused.code, wanted in refused.err) == (1, True)
    file.write_text("nothing")
    refused = nesa("privacy", "encode", file, "--key", key, "--output", out, *given)
    assert (refused.code, "npz" in refused.err) == (1, True)
    other = tmp_path / "other.onnx"
    onnx.save(llama(np.float64), other)
    refused = nesa("privacy", "transform", other, "--key", key, "--output", out, *given)
    assert (refused.code, "another model" in refused.err) == (1, True)
    other.write_bytes(b"nothing")
    refused = nesa("privacy", "key", other, "--output", tmp_path / "2.key", *given)
    assert (refused.code, "not an ONNX file" in refused.err) == (1, True)
