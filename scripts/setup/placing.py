"""Puts fetched things in place whole or not at all, also when two runs race."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from scripts.setup.failure import explain_os_error

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"


@contextlib.contextmanager
def one_run_at_a_time(tools: Path = TOOLS) -> Iterator[None]:
    """Waits until no other set-up of this checkout is under way; a killed run lets go by itself."""
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up of this checkout is running: waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Nobody else is at work, so these are what killed runs left.
        for leftover in tools.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def place_file(source: IO[bytes], destination: Path, *, mode: int = 0o644) -> None:
    """Copies `source` to `destination`, which exists afterwards in full or is as it was before."""
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=destination.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                # Without this a power cut can leave the new name on an empty file.
                os.fsync(copy.fileno())
            Path(name).chmod(mode)
            Path(name).replace(destination)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise explain_os_error(problem) from problem


def place_link(target: Path, destination: Path) -> None:
    """Makes `destination` a link to `target`, replacing what was there in one step."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".new-") as folder:
        link = Path(folder) / destination.name
        link.symlink_to(target)
        link.replace(destination)


def place_folder(fill: Callable[[Path], None], destination: Path) -> Path:
    """Has `fill` make a folder, then gives it the name `destination`; an existing one stays."""
    if destination.is_dir():
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".new-") as scratch:
        made = Path(scratch) / destination.name
        made.mkdir()
        fill(made)
        try:
            made.rename(destination)
        except OSError as problem:
            # Another run was quicker; what it placed is as complete as ours.
            if not destination.is_dir():
                raise explain_os_error(problem) from problem
    return destination
