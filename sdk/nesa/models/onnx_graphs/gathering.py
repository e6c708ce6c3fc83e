"""Fills a shard's file of weights from byte ranges of the model's files, wherever those are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from nesa.models.index import word
from nesa.models.onnx_graphs.manifest import ShardEntry, WeightEntry
from nesa.protocol.errors import IntegrityError

ReadRange = Callable[[str, int, int], Iterable[bytes]]
"""Gives `nbytes` bytes of a file of the model's folder in pieces: path, offset, nbytes."""


def gather_weights(shard: ShardEntry, read: ReadRange, path: Path) -> None:
    """Writes the weights of one shard to `path`, a piece at a time, and nothing of any other shard.

    Raises:
        IntegrityError: a range has other bytes than its digest names, or more of them; what was
            written is removed.
    """
    try:
        with path.open("wb") as target:
            for weight in shard.weights:
                _gather(weight, read, target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _gather(weight: WeightEntry, read: ReadRange, target: BinaryIO) -> None:
    digest = hashlib.sha256()
    target.seek(weight.offset)
    left = weight.nbytes
    for piece in read(weight.source, weight.source_offset, weight.nbytes):
        left -= len(piece)
        if left < 0:
            raise IntegrityError(f"{weight.source} gives more bytes than were asked for")
        digest.update(piece)
        target.write(piece)
    if word(digest.digest()) != weight.digest:
        raise IntegrityError(f"{weight.source} has other bytes at {weight.source_offset}")
