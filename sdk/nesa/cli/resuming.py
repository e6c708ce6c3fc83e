"""How to go on with a query that was paid for when something went wrong."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nesa.protocol.errors import (
    InvalidConfiguration,
    InvalidInput,
    NesaError,
    QueryExpired,
    QueryFailed,
)
from nesa.protocol.ids import QueryId

if TYPE_CHECKING:
    from nesa.client.answers import SubmittedQuery


def command_after(error: NesaError) -> str | None:
    """The command that goes on with the query that `error` names; None when nothing does."""
    submitted: SubmittedQuery | None = error.submitted
    if submitted is None:
        return None
    if isinstance(error, QueryExpired):
        return f"nesa watch {submitted.query_id} --refund"
    return None if isinstance(error, QueryFailed) else answer_command(submitted)


def answer_command(submitted: SubmittedQuery) -> str:
    """The command that goes on waiting for a query's answer."""
    key = f" --content-key {key_file(submitted.query_id)}" if submitted.content_key else ""
    return f"nesa answer {submitted.query_id}{key}"


def key_file(query_id: QueryId) -> Path:
    """Where the content key of a sealed query is kept that could not be waited for."""
    return Path(f"nesa-query-{query_id}.key")


@contextlib.contextmanager
def keeping(submitted: SubmittedQuery) -> Iterator[None]:
    """What it takes to go on is kept when the block is left by an error or by Ctrl-C."""
    try:
        yield
    except NesaError as error:
        if not isinstance(error, QueryFailed):
            _keep_key(error.submitted or submitted)
        raise
    except BaseException:
        _keep_key(submitted)
        click.echo(f"query {submitted.query_id} is paid for; {go_on(submitted)}", err=True)
        raise


def go_on(submitted: SubmittedQuery) -> str:
    """The advice to wait again."""
    return f"go on with `{answer_command(submitted)}`"


def read_content_key(path: Path) -> bytes:
    """The content key in a file that `keeping` wrote.

    Raises:
        InvalidInput: there is none.
    """
    from nesa.privacy.sealing import CONTENT_KEY_BYTES

    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as a content key") from error
    if len(key) != CONTENT_KEY_BYTES:
        raise InvalidInput(f"{path} holds no content key of {CONTENT_KEY_BYTES} bytes")
    return key


def _keep_key(submitted: SubmittedQuery) -> None:
    if submitted.content_key is None:
        return
    path = key_file(submitted.query_id)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{submitted.content_key.hex()}\n")
    except OSError as error:
        raise InvalidConfiguration(
            f"cannot write the content key to {path}: {error.strerror}"
        ) from error
