"""Kills what a dead supervisor left behind; run as a script, standard library only.

Reads lines from standard input: `+N` when process group N was started, `-N` when it is gone. The
end of the input means that the supervisor ended, however it ended: every group still listed dies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def surviving(lines: Iterable[str]) -> set[int]:
    """Process groups that were started and not reported gone."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    """Wait for the end of the input, then kill."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    for group in surviving(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
