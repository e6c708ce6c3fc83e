"""Files by digest: read from the developer's or a peer's store, checked, and kept locally."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import fsspec

from nesa.chain.connection import redacted
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import ExhaustedResource, IntegrityError, Unavailable
from nesa.protocol.ids import Digest

MAX_FILE_BYTES: Final = 1 << 30


class FileStore:
    """Content-addressed files: a local folder in front of any number of sources.

    `sources` are fsspec URLs (a folder, http, s3, ipfs); a file's name in each is the hexadecimal
    digest of its bytes. Nothing is returned whose digest was not checked in this call.
    """

    def __init__(self, folder: Path, sources: Sequence[str]) -> None:
        self._folder = folder
        self._sources = tuple(sources)
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, digest: Digest) -> bytes:
        """Bytes whose Merkle root is `digest`.

        Raises:
            Unavailable: no source has the file.
            IntegrityError: every source that has it holds other bytes.
            ExhaustedResource: the local disk is full, or the file exceeds 1 GiB.
        """
        local = self.read_local(digest)
        if local is not None:
            return local
        data = self._fetch_remote(digest)
        self._keep(digest, data)
        return data

    def read_local(self, digest: Digest) -> bytes | None:
        """The local copy, if it is there and whole; a damaged one is dropped."""
        path = self._folder / digest.hex()
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if _is_whole(data, digest):
            return data
        path.unlink(missing_ok=True)
        return None

    def _fetch_remote(self, digest: Digest) -> bytes:
        damaged = False
        for source in self._sources:
            data = _read(f"{source.rstrip('/')}/{digest.hex()}")
            if data is None:
                continue
            if _is_whole(data, digest):
                return data
            damaged = True
        if damaged:
            raise IntegrityError(f"no source holds the bytes of file {digest.hex()} unchanged")
        named = map(_without_secrets, self._sources)
        raise Unavailable(
            f"file {digest.hex()} is in none of the stores {', '.join(named) or '(none)'}; "
            "add one that has it to `stores` in miner.json"
        )

    def _keep(self, digest: Digest, data: bytes) -> None:
        try:
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".incoming-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(name, self._folder / digest.hex())
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ExhaustedResource(
                f"no room for {len(data)} bytes in {self._folder}; free some space and start again"
            ) from error


def _is_whole(data: bytes, digest: Digest) -> bool:
    """Whether these are the bytes of a file. None is empty, but a lost disk cache leaves such."""
    return bool(data) and bytes_root(data) == digest


def _without_secrets(source: str) -> str:
    """How a source may be named: a folder whole, a URL without what may hold a secret."""
    return redacted(source) if "://" in source else source


def _read(url: str) -> bytes | None:
    """Bytes at `url`, or nothing when they cannot be had there."""
    try:
        with fsspec.open(url, "rb") as file:
            data = bytes(file.read(MAX_FILE_BYTES + 1))
    except Exception:  # every kind of store has errors of its own
        return None
    if len(data) > MAX_FILE_BYTES:
        name = _without_secrets(url)
        raise ExhaustedResource(f"a file at {name} is larger than {MAX_FILE_BYTES} bytes")
    return data
