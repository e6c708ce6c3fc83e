"""What convicts members is kept in files, beside what was kept before."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.client.evidence_files import keep_evidence


def test_other_evidence_of_the_name_stays(tmp_path: Path) -> None:
    first, second, third = tmp_path / "a.cbor", tmp_path / "a-2.cbor", tmp_path / "a-3.cbor"
    for data, path in ((b"1", first), (b"2", second), (b"3", third), (b"2", second), (b"1", first)):
        assert keep_evidence({"a.cbor": data}, tmp_path) == (path,)
    assert [path.read_bytes() for path in (first, second, third)] == [b"1", b"2", b"3"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_is_made_for_what_there_is(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    assert keep_evidence({}, folder) == ()
    assert not folder.exists()
    assert keep_evidence({"a.cbor": b"1"}, folder) == (folder / "a.cbor",)


def test_evidence_that_cannot_be_written_is_said_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be kept in .*file/a.cbor: "):
        kept = keep_evidence({"file/a.cbor": b"1", "b.cbor": b"2"}, tmp_path)
    assert kept == (tmp_path / "b.cbor",)
    assert kept[0].read_bytes() == b"2"
