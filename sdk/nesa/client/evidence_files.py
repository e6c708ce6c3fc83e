"""Keeps what convicts members of a session in files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import Final

HERE: Final = Path()


def keep_evidence(evidence: Mapping[str, bytes], folder: Path = HERE) -> tuple[Path, ...]:
    """Write evidence into files of a folder, which is made where there is something to keep, and
    return them. Where that fails a warning says so, and nothing else is lost.

    A file of that name with something else in it stays: the new one gets a number in its name.
    They hold digits of a share, which with the other group's are those of a query.
    """
    kept = []
    for name, data in evidence.items():
        try:
            kept.append(_written(folder / name, data))
        except OSError as error:
            warnings.warn(
                f"a member signed wrong sums, and what convicts it could not be kept in "
                f"{folder / name}: {error.strerror}; ask in a folder that can be written to",
                stacklevel=2,
            )
    return tuple(kept)


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    for free in chain([path], numbered):
        try:
            with free.open("xb") as file:
                file.write(data)
        except FileExistsError:
            if not _holds(free, data):
                continue
        return free
    raise AssertionError("the numbers do not end")


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
