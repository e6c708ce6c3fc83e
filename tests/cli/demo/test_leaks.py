"""The search finds a secret in every spelling that a program would use."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from nesa.cli.demo.leaks import Trace, find, read_files, spellings

VALUES = np.array([[3, -7, 11, 100]], np.int8)
SECRET = VALUES.tobytes()


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        SECRET.hex().encode(),
        base64.b64encode(SECRET),
        str(VALUES.reshape(-1).tolist()).encode(),
        b"[3,-7,11,100]",
    ],
    ids=["raw", "hex", "base64", "list", "compact"],
)
def test_each_spelling_is_found(written: bytes) -> None:
    traces = [Trace("log", b"before " + written + b" after"), Trace("other", b"nothing")]
    leaks = find(spellings(SECRET, VALUES), traces)
    assert {leak.place for leak in leaks} == {"log"}


def test_what_is_not_there_is_not_found() -> None:
    assert find(spellings(SECRET, VALUES), [Trace("log", b"3, -7, 11, 10")]) == ()


def test_every_file_below_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "miner.log").write_bytes(SECRET)
    (trace,) = read_files([tmp_path])
    assert trace.data == SECRET
