"""From an error to one sentence that says what to do."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping
from typing import Final

import click

from nesa.cli.resuming import command_after
from nesa.cli.text import printable
from nesa.protocol.errors import (
    ExhaustedResource,
    Incompatible,
    IntegrityError,
    NesaError,
    Rejected,
    Unavailable,
    Unmined,
)

ADVICE: Final[Mapping[type[NesaError], str]] = {
    Unavailable: "check that the network runs and try again",
    Incompatible: "use the network file that belongs to this chain",
    IntegrityError: "fetch the file again from somebody you trust",
    ExhaustedResource: "make room and try again",
}
"""What to do about each kind of error whose own text does not say it."""


def sentence(error: BaseException) -> str:
    """What went wrong and what to do, for a person."""
    if isinstance(error, NesaError):
        command = command_after(error)
        paid = f"; query {error.submitted.query_id} is paid for: `{command}`" if command else ""
        return f"{_cause(error)}{paid}"
    if isinstance(error, BaseExceptionGroup):
        return sentence(error.exceptions[0])
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}; check the path and its rights"
    kind = type(error).__name__
    return f"nesa met a fault of its own ({kind}: {error}); set NESA_TRACEBACK=1 to see where"


def document(error: BaseException) -> dict[str, object]:
    """The same for a program; with the query that was paid for and the command that goes on."""
    found: dict[str, object] = {"kind": type(error).__name__, "message": sentence(error)}
    if isinstance(error, NesaError) and error.submitted is not None:
        found["query"] = error.submitted.query_id
        found["transaction"] = f"0x{error.submitted.tx_hash.hex()}"
        found["resume"] = command_after(error)
    if isinstance(error, Unmined):
        found["transactions"] = [f"0x{tx_hash.hex()}" for tx_hash in error.tx_hashes]
    return {"error": found}


def report(error: BaseException, *, as_json: bool) -> None:
    """Write the sentence, and where it happened when the environment asks for it."""
    if as_json:
        click.echo(json.dumps(document(error)))
    else:
        click.echo(f"Error: {printable(sentence(error))}", err=True)
    if os.environ.get("NESA_TRACEBACK"):
        traceback.print_exception(error)


@contextlib.contextmanager
def warnings_in_words() -> Iterator[None]:
    """Warnings are written as a person reads them while the block runs."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: click.echo(
            f"Warning: {printable(str(message))}", err=True
        )
        yield


def _cause(error: NesaError) -> str:
    if isinstance(error, Rejected):
        return f"the chain refused: {error}"
    advice = next((text for kind, text in ADVICE.items() if isinstance(error, kind)), "")
    return f"{error}; {advice}" if advice and ";" not in str(error) else str(error)
