"""Who runs the network of a folder: a locked file with the supervisor's process id."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nesa.protocol.errors import InvalidConfiguration, Unavailable

_POLL_SECONDS: Final = 0.1


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Own the folder's network until the context or the process ends.

    Raises:
        InvalidConfiguration: another process owns it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        if not _try_lock(file.fileno()):
            raise InvalidConfiguration(
                f"a network already runs from {path.parent}; stop it with "
                f"`nesa devnet down --dir {path.parent}`"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def owner(path: Path) -> int | None:
    """Process id of the running owner, or None."""
    if not path.is_file():
        return None
    with path.open("r+", encoding="ascii") as file:
        if _try_lock(file.fileno()):
            return None
        return int(file.read() or 0) or None


def end_owner(path: Path, timeout: float) -> bool:
    """Ask the owner to stop and wait until it has; False when nobody owns it.

    Raises:
        Unavailable: it still runs after `timeout` seconds.
    """
    pid = owner(path)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    limit = time.monotonic() + timeout
    while owner(path) is not None:
        if time.monotonic() > limit:
            raise Unavailable(f"process {pid} still runs {timeout:.0f} s after SIGTERM")
        time.sleep(_POLL_SECONDS)
    return True


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
