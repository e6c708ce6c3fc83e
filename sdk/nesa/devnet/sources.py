"""Notices that a contract's source changed, also when only a module that it imports did.

ape compiles a file again when that file changed and keeps the old bytecode when a module did.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path


def sources_digest(contracts: Path) -> str:
    """SHA-256 over every source below a folder, with its path."""
    digest = hashlib.sha256()
    for path in sorted(contracts.rglob("*.vy*")):
        for part in (str(path.relative_to(contracts)).encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def compiled_stamp(clone: Path) -> Path:
    """The file that says which sources of a clone ape's bytecode was made from."""
    return clone / ".build" / "sources.sha256"


def is_compiled(contracts: Path, stamp: Path) -> bool:
    """Whether `stamp` was written for these very sources."""
    return stamp.is_file() and stamp.read_text(encoding="ascii") == sources_digest(contracts)


def compile_once(contracts: Path, stamp: Path, compile_all: Callable[[], object]) -> bool:
    """Run `compile_all` and write `stamp`, unless it was written for these very sources.

    Of two commands that begin at once, the second waits, and finds it done.

    Returns:
        whether it ran.
    """
    if is_compiled(contracts, stamp):
        return False
    with _one_at_a_time(stamp):
        if is_compiled(contracts, stamp):
            return False
        digest = sources_digest(contracts)
        compile_all()
        mark_compiled(contracts, stamp, digest)
        return True


def mark_compiled(contracts: Path, stamp: Path, digest: str) -> None:
    """Write `stamp` for sources that had `digest` before they were compiled."""
    if sources_digest(contracts) == digest:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest, encoding="ascii")


@contextlib.contextmanager
def _one_at_a_time(stamp: Path) -> Iterator[None]:
    """Wait until nobody else compiles these sources; whoever is killed lets go."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    with stamp.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
