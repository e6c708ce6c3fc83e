"""What the `nesa-miner` command prints: lines for people, one JSON document for programs."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from nesa.protocol.errors import (
    ExhaustedResource,
    Incompatible,
    IntegrityError,
    NesaError,
    Rejected,
    Unavailable,
)

ADVICE: Final[Mapping[type[NesaError], str]] = {
    Unavailable: "check that it runs and try again",
    Incompatible: "use the deployment file that belongs to this chain",
    IntegrityError: "do not go on with it; ask the developer of the version",
    ExhaustedResource: "make room and try again",
}
"""What to do about an error whose own text gives no advice."""

_ADVISES: Final = ";"
"""Every error text that says what to do has it behind this."""


def sentence(error: BaseException) -> str:
    """What went wrong and what to do, for a person."""
    if isinstance(error, BaseExceptionGroup):
        return sentence(error.exceptions[0])
    if isinstance(error, Rejected):
        return f"the chain refused: {error.reason}"
    if isinstance(error, NesaError):
        advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), "")
        return f"{error}; {advice}" if advice and _ADVISES not in str(error) else str(error)
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}; check the path and its rights"
    kind = type(error).__name__
    return f"the miner met a fault of its own ({kind}); set NESA_TRACEBACK=1 to see where"


def report(error: BaseException, *, as_json: bool) -> None:
    """Write the sentence, and where it happened when the environment asks for it."""
    if as_json:
        document = {"error": {"kind": type(error).__name__, "message": sentence(error)}}
        click.echo(json.dumps(document))
    else:
        click.echo(f"Error: {sentence(error)}", err=True)
    if os.environ.get("NESA_TRACEBACK"):
        traceback.print_exception(error)


def show(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a document as JSON, or one line an entry."""
    found = plain(document)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    width = max((len(name) for name in found), default=0) + 2
    for name, value in found.items():
        click.echo(f"{name.replace('_', ' '):{width}}{_line(value)}")


def plain(value: Any) -> Any:
    """`value` from JSON types only; bytes become 0x-prefixed text."""
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _line(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_line(entry) for entry in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_line(entry)}" for name, entry in value.items()) or "none"
    return "-" if value is None else str(value)
