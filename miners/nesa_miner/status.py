"""What a miner is doing: asked of the running one, else read from what it wrote down."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import aiohttp

from nesa.protocol.errors import InvalidConfiguration, Unavailable
from nesa_miner.config import MinerSettings
from nesa_miner.jobs import Phase

TIMEOUT_SECONDS: Final = 3.0
MAX_BYTES: Final = 1 << 20
ANY_HOST: Final = ("0.0.0.0", "::", "")
"""Hosts that mean every address of this machine."""


async def ask_running(host: str, port: int, who: str, told: str) -> Mapping[str, Any]:
    """What a running daemon on this machine says of itself: `who` it is, `told` what it names.

    Raises:
        Unavailable: nobody answers, or somebody else.
    """
    reached = "127.0.0.1" if host in ANY_HOST else host
    url = f"http://{reached}:{port}/v1/status"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            if response.status != 200 or (response.content_length or 0) > MAX_BYTES:
                raise Unavailable(f"what answers at {url} is no {who}")
            found = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise Unavailable(f"no {who} answers at {url}") from error
    if not isinstance(found, dict) or told not in found:
        raise Unavailable(f"what answers at {url} is no {who}")
    return found


async def ask_miner(settings: MinerSettings) -> Mapping[str, Any]:
    """What the running miner says of itself; errors as `ask_running`."""
    return await ask_running(settings.host, settings.port, "miner", "signer")


async def read_status(folder: Path, settings: MinerSettings) -> Mapping[str, Any]:
    """The running miner's status, or without one what its journal holds.

    Raises:
        InvalidConfiguration: there is no journal either, or it cannot be read.
    """
    try:
        return {"running": True, **await ask_miner(settings)}
    except Unavailable:
        jobs = await asyncio.to_thread(count_jobs, folder / settings.journal)
        return {"running": False, "jobs": jobs}


def count_jobs(journal: Path) -> Mapping[str, int]:
    """How many jobs a journal has in each phase; the file is only read.

    Raises:
        InvalidConfiguration: there is none, or it cannot be read.
    """
    if not journal.is_file():
        raise InvalidConfiguration(
            f"no miner is running and there is no journal at {journal}; start one with "
            "`nesa-miner run`"
        )
    try:
        with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as base:
            rows = base.execute("SELECT phase, COUNT(*) FROM jobs GROUP BY phase").fetchall()
    except sqlite3.Error as error:
        raise InvalidConfiguration(f"{journal} cannot be read as a journal: {error}") from error
    counts = {str(phase): int(count) for phase, count in rows}
    return {str(phase): counts.get(str(phase), 0) for phase in Phase}
