"""The oracle as others on this machine find it."""

from __future__ import annotations

from nesa.chain.status import Daemon
from nesa_oracle.config import OracleSettings
from nesa_oracle.journal import Phase


def as_daemon(settings: OracleSettings) -> Daemon:
    """Where the oracle answers, and what it writes down."""
    phases = tuple(str(phase) for phase in Phase)
    return Daemon("oracle", settings.host, settings.port, settings.journal, phases)
