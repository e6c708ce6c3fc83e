"""What the doctor can say of memory: what each shard takes, and whether there is enough."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nesa_miner.config import CONFIG_FILE
from nesa_miner.doctor.checks import Check, Verdict

CONTROL_GROUP: Final = Path("/sys/fs/cgroup/memory.max")
MEMORY: Final = Path("/proc/meminfo")


def check_memory(needs: Sequence[tuple[int, int]], memory_limit: int, allowed: int | None) -> Check:
    """The shards and the tensors of queries under way fit into the memory that there is.

    `needs` are shards and the bytes that each took when it was loaded, `allowed` is None when
    nobody knows.
    """
    total = resident_bytes() + memory_limit
    parts = [f"shard {shard} takes {_mib(size)}" for shard, size in needs]
    parts.append(f"tensors of queries up to {_mib(memory_limit)}")
    text = f"{', '.join(parts)}; {_mib(total)} in all"
    if allowed is None or total <= allowed:
        return Check("memory", Verdict.OK, text)
    advice = f"{text}, {_mib(allowed)} allowed; lower memory_limit_mib in {CONFIG_FILE}"
    return Check("memory", Verdict.WARNING, f"{advice} or give up a seat")


def resident_bytes() -> int:
    """Most bytes that this process has had in memory at once."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def allowed_bytes() -> int | None:
    """The least of what control group, limits and machine allow; None when nobody says."""
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    found = [] if address_space == resource.RLIM_INFINITY else [address_space]
    found += _number(CONTROL_GROUP, 0, 1) + _number(MEMORY, 1, 1024)
    return min(found, default=None)


def _number(path: Path, word: int, unit: int) -> list[int]:
    """A number in the first line of a file, if there is one."""
    try:
        return [int(path.read_text().splitlines()[0].split()[word]) * unit]
    except (OSError, ValueError, IndexError):
        return []


def _mib(size: int) -> str:
    return f"{size >> 20} MiB"
