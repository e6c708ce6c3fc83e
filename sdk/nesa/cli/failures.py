"""From an error to one sentence that says what to do."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from typing import Final

import click

from nesa.protocol.errors import (
    ExhaustedResource,
    Incompatible,
    IntegrityError,
    NesaError,
    QueryExpired,
    Rejected,
    Unavailable,
)

ADVICE: Final[Mapping[type[NesaError], str]] = {
    Unavailable: "check that the network runs and try again",
    Incompatible: "use the network file that belongs to this chain",
    IntegrityError: "fetch the file again from somebody you trust",
    ExhaustedResource: "make room and try again",
    QueryExpired: "ask again; the fee can be taken back with `nesa watch QUERY_ID --refund`",
}
"""What to do about each kind of error whose own text does not say it."""


def sentence(error: BaseException) -> str:
    """What went wrong and what to do, for a person."""
    if isinstance(error, Rejected):
        return f"the chain refused: {error.reason}"
    if isinstance(error, NesaError):
        advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), "")
        return f"{error}; {advice}" if advice and ";" not in str(error) else str(error)
    if isinstance(error, BaseExceptionGroup):
        return sentence(error.exceptions[0])
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}; check the path and its rights"
    kind = type(error).__name__
    return f"nesa met a fault of its own ({kind}: {error}); set NESA_TRACEBACK=1 to see where"


def report(error: BaseException, *, as_json: bool) -> None:
    """Write the sentence, and where it happened when the environment asks for it."""
    if as_json:
        payload = {"error": {"kind": type(error).__name__, "message": sentence(error)}}
        click.echo(json.dumps(payload))
    else:
        click.echo(f"Error: {sentence(error)}", err=True)
    if os.environ.get("NESA_TRACEBACK"):
        traceback.print_exception(error)
