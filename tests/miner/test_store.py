"""Files come back only with the bytes that their digest names."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import ExhaustedResource, IntegrityError, Unavailable
from nesa_miner.store import FileStore

SHARD = b"a shard's file" * 100
DIGEST = bytes_root(SHARD)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "developer"
    folder.mkdir()
    (folder / DIGEST.hex()).write_bytes(SHARD)
    return folder


def store(tmp_path: Path, *sources: Path) -> FileStore:
    return FileStore(tmp_path / "files", [str(source) for source in sources])


def test_a_file_is_fetched_once_and_kept(tmp_path: Path, source: Path) -> None:
    files = store(tmp_path, source)
    assert files.fetch(DIGEST) == SHARD
    (source / DIGEST.hex()).unlink()
    assert files.fetch(DIGEST) == SHARD


@pytest.mark.parametrize("left", [b"", SHARD[:-1], SHARD[:-1] + b"!"])
def test_what_a_lost_disk_cache_left_is_fetched_again(
    tmp_path: Path, source: Path, left: bytes
) -> None:
    files = store(tmp_path, source)
    kept = tmp_path / "files" / DIGEST.hex()
    kept.write_bytes(left)
    assert files.fetch(DIGEST) == SHARD


def test_an_empty_file_of_a_source_is_no_file(tmp_path: Path, source: Path) -> None:
    (source / DIGEST.hex()).write_bytes(b"")
    with pytest.raises(IntegrityError, match="unchanged"):
        store(tmp_path, source).fetch(DIGEST)


def test_a_tampered_source_is_refused(tmp_path: Path, source: Path) -> None:
    (source / DIGEST.hex()).write_bytes(SHARD[:-1] + b"!")
    with pytest.raises(IntegrityError, match="unchanged"):
        store(tmp_path, source).fetch(DIGEST)
    assert not (tmp_path / "files" / DIGEST.hex()).exists()


def test_an_honest_source_behind_a_tampered_one_is_enough(tmp_path: Path, source: Path) -> None:
    liar = tmp_path / "liar"
    liar.mkdir()
    (liar / DIGEST.hex()).write_bytes(b"something else")
    assert store(tmp_path, liar, source).fetch(DIGEST) == SHARD


def test_a_missing_file_names_the_stores(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"miner\.json"):
        store(tmp_path, tmp_path / "nowhere").fetch(DIGEST)


def test_an_error_names_no_password_of_a_store(tmp_path: Path, broken_store: str) -> None:
    url = broken_store.replace("http://", "http://someone:secret@") + "/token"
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:\d+/\.\.\.; add") as failure:
        FileStore(tmp_path / "files", [url]).fetch(DIGEST)
    assert "secret" not in str(failure.value)
    assert "token" not in str(failure.value)


def test_a_damaged_local_copy_is_fetched_again(tmp_path: Path, source: Path) -> None:
    files = store(tmp_path, source)
    files.fetch(DIGEST)
    (tmp_path / "files" / DIGEST.hex()).write_bytes(b"bit rot")
    assert files.fetch(DIGEST) == SHARD
    assert (tmp_path / "files" / DIGEST.hex()).read_bytes() == SHARD


def test_a_full_disk_is_said_and_leaves_no_half_file(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = store(tmp_path, source)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ExhaustedResource, match="free some space"):
        files.fetch(DIGEST)
    assert list((tmp_path / "files").iterdir()) == []


@pytest.fixture
def broken_store() -> Iterator[str]:
    """A store whose server has a fault of its own."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_store_in_trouble_is_passed_over(tmp_path: Path, source: Path, broken_store: str) -> None:
    folder = tmp_path / "files"
    assert FileStore(folder, [broken_store, "nonsense://x", str(source)]).fetch(DIGEST) == SHARD
    (folder / DIGEST.hex()).unlink()
    with pytest.raises(Unavailable):
        FileStore(folder, [broken_store]).fetch(DIGEST)
