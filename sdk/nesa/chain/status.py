"""What a daemon is doing: asked of the running one, else read from what it wrote down."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from nesa.protocol.errors import InvalidConfiguration, Unavailable

PATH: Final = "/v1/status"
"""Where a daemon says what it does."""

TIMEOUT_SECONDS: Final = 3.0
MAX_BYTES: Final = 1 << 20
ANY_HOST: Final = ("0.0.0.0", "::", "")
"""Hosts that mean every address of this machine."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon as its settings have it: its name, as in `nesa-<name> run`, where it listens, its
    journal with a table of jobs, and the phases of those."""

    name: str
    host: str
    port: int
    journal: Path
    phases: tuple[str, ...]

    async def read_status(self) -> Mapping[str, Any]:
        """The running daemon's status, or without one what its journal holds.

        Raises:
            InvalidConfiguration: there is no journal either, or it cannot be read.
        """
        try:
            return {"running": True, **await self.ask_running()}
        except Unavailable:
            return {"running": False, "jobs": await asyncio.to_thread(self.count_jobs)}

    async def ask_running(self) -> Mapping[str, Any]:
        """What the running daemon says of itself; errors as the function of this name."""
        return await ask_running(self.host, self.port, self.name, "signer")

    def count_jobs(self) -> Mapping[str, int]:
        """How many jobs the journal has in each phase; the file is only read.

        Raises:
            InvalidConfiguration: there is none, or it cannot be read.
        """
        if not self.journal.is_file():
            raise InvalidConfiguration(
                f"no {self.name} is running and there is no journal at {self.journal}; start one "
                f"with `nesa-{self.name} run`"
            )
        place = f"{self.journal.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(place, uri=True)) as base:
                rows = base.execute("SELECT phase, COUNT(*) FROM jobs GROUP BY phase").fetchall()
        except sqlite3.Error as error:
            raise InvalidConfiguration(
                f"{self.journal} cannot be read as a journal: {error}"
            ) from error
        counts = {str(phase): int(count) for phase, count in rows}
        return {phase: counts.get(phase, 0) for phase in self.phases}


def tally(phases: Iterable[str], names: Iterable[str]) -> Mapping[str, int]:
    """How many of `phases` there are of each of `names`."""
    found = list(phases)
    return {name: found.count(name) for name in names}


async def ask_running(host: str, port: int, who: str, told: str) -> Mapping[str, Any]:
    """What a running program on this machine says of itself: `who` it is, `told` what it names.

    Raises:
        Unavailable: nobody answers, or it is another program.
    """
    reached = "127.0.0.1" if host in ANY_HOST else host
    url = f"http://{reached}:{port}{PATH}"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    other = f"what answers at {url} is no {who}"
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as found:
            if found.status != 200 or (found.content_length or 0) > MAX_BYTES:
                raise Unavailable(other)
            document = await found.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise Unavailable(f"no {who} answers at {url}") from error
    if not isinstance(document, dict) or told not in document:
        raise Unavailable(other)
    return document
