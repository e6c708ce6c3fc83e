"""How to go on with a query that was paid for when something went wrong."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nesa.protocol.errors import (
    InvalidConfiguration,
    InvalidInput,
    NesaError,
    QueryExpired,
    QueryFailed,
    Rejected,
)
from nesa.protocol.ids import Digest, QueryId, Timestamp

if TYPE_CHECKING:
    from nesa.chain.sender import Intent
    from nesa.client.answers import SubmittedQuery


DEPOSIT: Final = "GasEscrow.deposit"
"""What the call is named that leaves coin for a query's reporter."""


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
    encoded = submitted.equivariant_key is not None
    return _command(submitted.query_id, submitted.content_key, encoded=encoded)


def key_file(query: QueryId | Digest) -> Path:
    """Where the content key of a sealed query is kept, which is known by its number or, before it
    has one, by the transaction that asks it."""
    return Path(f"nesa-query-{_word(query)}.key")


@dataclass(slots=True)
class Departure:
    """A query between the command and its number. Its content key is in a file before the query
    leaves, so that nothing paid for is lost whenever the command is stopped. `kept` is another
    file for it, which stays after the answer. `encoded` says that the model is under a user's
    key."""

    content_key: bytes | None
    kept: Path | None = None
    hashes: list[Digest] = field(default_factory=list)
    submitted: SubmittedQuery | None = None
    encoded: bool = False

    async def note(self, intent: Intent) -> None:
        """Keep what it takes to go on; awaited before each transaction leaves. That of a deposit
        of gas asks nothing, so that it says nothing of the query.

        Raises:
            InvalidConfiguration: the content key cannot be written.
        """
        if intent.call.label == DEPOSIT:
            return
        if self.content_key is not None and not self.hashes:
            _write_key(key_file(intent.tx_hash), self.content_key)
            if self.kept is not None:
                _write_key(self.kept, self.content_key)
        self.hashes.append(intent.tx_hash)

    def check(self) -> None:
        """Refuse, before anything is sent, to write over what is there: it may be a key.

        Raises:
            InvalidConfiguration: there is such a file.
        """
        if self.kept is not None and self.kept.exists():
            raise InvalidConfiguration(f"{self.kept} is there already; name another file")

    def arrived(self, submitted: SubmittedQuery) -> None:
        """The query has a number, and its key's file is called by it from here on."""
        if self.content_key is not None:
            # Where it fails the key stays under its old name, and `keeping` writes the new one.
            with contextlib.suppress(OSError):
                key_file(self.hashes[0]).replace(key_file(submitted.query_id))
        self.submitted = submitted

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Left early, the block says what was sent and how to go on; the key's file goes when
        nobody needs it any more."""
        try:
            yield
        except (Rejected, QueryFailed) as error:
            if self.submitted is None or isinstance(error, QueryFailed):
                self._remove_key()
                self._remove_kept()
            raise
        except BaseException as error:
            if self.submitted is None and (self.hashes or not isinstance(error, Exception)):
                click.echo(self._whereabouts(), err=True)
            raise
        self._remove_key()

    def _whereabouts(self) -> str:
        if not self.hashes:
            return "nothing was sent, nothing is paid"
        sent = " or ".join(_word(tx_hash) for tx_hash in self.hashes)
        return (
            f"transaction {sent} was sent and may have paid for the query; go on with "
            f"`{self._going_on()}`"
        )

    def _going_on(self) -> str:
        file = key_file(self.hashes[0])
        return _command(self.hashes[-1], self.content_key, file, encoded=self.encoded)

    def _remove_key(self) -> None:
        if self.content_key is None or not self.hashes:
            return
        named = self.hashes[0] if self.submitted is None else self.submitted.query_id
        with contextlib.suppress(OSError):
            key_file(named).unlink(missing_ok=True)

    def _remove_kept(self) -> None:
        if self.kept is not None and self.hashes:
            with contextlib.suppress(OSError):
                self.kept.unlink(missing_ok=True)


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
        left = time_left(submitted.query.answer_deadline, time.time())
        click.echo(f"query {submitted.query_id} is paid for{left}; {go_on(submitted)}", err=True)
        raise


def time_left(deadline: Timestamp, now: float) -> str:
    """How long an answer may still come, with the hour; both in seconds since 1970."""
    hour = time.strftime("%H:%M:%S UTC", time.gmtime(deadline))
    left = int(deadline - now)
    if left <= 0:
        return f" and its deadline passed at {hour}"
    return f" and can be answered until {hour}, for {left} s more"


def go_on(submitted: SubmittedQuery) -> str:
    """The advice to wait again."""
    return f"go on with `{answer_command(submitted)}`"


def read_content_key(path: Path) -> bytes:
    """The content key in a file that `nesa query` wrote.

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
    if submitted.content_key is not None:
        _write_key(key_file(submitted.query_id), submitted.content_key)


def _write_key(path: Path, content_key: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{content_key.hex()}\n")
    except OSError as error:
        raise InvalidConfiguration(
            f"cannot write the content key to {path}: {error.strerror}"
        ) from error


def _command(
    query: QueryId | Digest,
    content_key: bytes | None,
    file: Path | None = None,
    *,
    encoded: bool,
) -> str:
    key = f" --content-key {file or key_file(query)}" if content_key else ""
    frame = " --ee-key FILE" if encoded else ""
    return f"nesa answer {_word(query)}{key}{frame}"


def _word(query: QueryId | Digest) -> str:
    return f"0x{query.hex()}" if isinstance(query, bytes) else str(query)
