"""How a miner logs: a JSON document a line, and never what a query holds or what a key is."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

MAX_TEXT: Final = 400
"""Longest text in a log line; a tensor or a key file that got into a message ends here."""

MAX_TRACEBACK: Final = 8_000
"""Longest traceback; it has lines of source and the error's own words, no values."""

WITHHELD: Final = frozenset(
    {
        "content_key", "features", "handoff", "input", "inputs", "key", "output", "outputs",
        "password", "payload", "private_key", "salt", "sent", "tensor", "tensors",
        "tensors_in", "tensors_out", "wrapped",
    }
)  # fmt: skip
"""Names under which nothing is ever logged."""

_Fields = MutableMapping[str, Any]


def configure_logging(
    stream: TextIO | None = None, *, as_json: bool | None = None, level: int = logging.INFO
) -> None:
    """Send every log of this process to `stream` (stdout): JSON lines unless it is a terminal."""
    out = sys.stdout if stream is None else stream
    machine = not out.isatty() if as_json is None else as_json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_content,
            structlog.processors.JSONRenderer() if machine else _console(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def without_content(_: Any, __: str, fields: _Fields) -> _Fields:
    """Replace what must not be logged: forbidden names, raw bytes, and text without end."""
    for name in list(fields):
        limit = MAX_TRACEBACK if name == "exception" else MAX_TEXT
        fields[name] = "withheld" if name in WITHHELD else _shown(fields[name], limit)
    return fields


def origin_of(error: Exception) -> dict[str, str]:
    """Where an error came from, without its words, which may hold what a sealed query hides."""
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    return {"error": type(error).__name__, "where": where}


def _shown(value: Any, limit: int = MAX_TEXT) -> Any:
    """Numbers and short text as they are; bytes and arrays only by their size."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(entry) for entry in value]
    if isinstance(value, dict):
        return without_content(None, "", {str(name): entry for name, entry in value.items()})
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"array of shape {tuple(value.shape)}"
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


class _Forward(logging.Handler):
    """Gives what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record's own words; never its traceback, which may show arguments."""
        logger = structlog.get_logger(record.name)
        logger.log(record.levelno, record.getMessage(), library=record.name)
