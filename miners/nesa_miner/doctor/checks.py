"""One line of the doctor's report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nesa.protocol.errors import NesaError
from nesa_miner.config import MinerSettings
from nesa_miner.output import sentence


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"  # the miner works, but not for long or not fully
    FAILED = "failed"
    SKIPPED = "skipped"  # something else must be mended first


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it came out, and what to do when it is not well."""

    name: str
    verdict: Verdict
    text: str

    @property
    def is_failure(self) -> bool:
        """Whether the miner cannot work like this."""
        return self.verdict is Verdict.FAILED


@dataclass(frozen=True, slots=True)
class Patient:
    """The miner that is looked at."""

    folder: Path
    settings: MinerSettings
    password: str | None


def failed(name: str, text: str) -> Check:
    """A check that did not come out well; `text` says what to do."""
    return Check(name, Verdict.FAILED, text)


async def guarded(name: str, check: Callable[[], Awaitable[Check]]) -> Check:
    """A check whose errors are its outcome."""
    try:
        return await check()
    except NesaError as error:
        return failed(name, sentence(error))
