"""The miner as others on this machine find it."""

from __future__ import annotations

from pathlib import Path

from nesa.chain.status import Daemon
from nesa_miner.config import MinerSettings
from nesa_miner.jobs import Phase


def as_daemon(folder: Path, settings: MinerSettings) -> Daemon:
    """Where the miner of a folder answers, and what it writes down."""
    phases = tuple(str(phase) for phase in Phase)
    return Daemon("miner", settings.host, settings.port, folder / settings.journal, phases)
