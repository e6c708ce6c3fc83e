"""The file under the journal: SQLite of one format, one owner, and one process at a time."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nesa.protocol.errors import ExhaustedResource, Incompatible, InvalidConfiguration

LOCK_SECONDS: Final = 2.0
"""How long a daemon that is being replaced may take to let go of its journal."""

FACTS: Final = "CREATE TABLE facts (name TEXT PRIMARY KEY, body BLOB NOT NULL);"
"""The table that every journal begins with."""


@dataclass(frozen=True, slots=True)
class Format:
    """What is in a file: statements that make its tables, and by the number of an older format
    those that make it this one."""

    version: int
    schema: str
    changes: Mapping[int, str] = field(default_factory=dict)


class JournalFile:
    """An open file; use from one thread. While it is open no other process can open it.

    Raises (any method):
        ExhaustedResource: the disk is full; nothing of the transaction was kept.
    """

    def __init__(self, path: Path, identity: bytes, format_: Format) -> None:
        """Open or make the file at `path` for the owner `identity`.

        Raises:
            Incompatible: the file has another format or belongs to somebody else.
            InvalidConfiguration: the file is no journal, or another process has it open.
        """
        with contextlib.ExitStack() as opened:
            try:
                self._lock = opened.enter_context(contextlib.closing(_held(path)))
                database = sqlite3.connect(path, isolation_level=None)
                self._database = opened.enter_context(contextlib.closing(database))
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._prepare(path, identity, format_)
            except sqlite3.DatabaseError as error:
                words = "another process is using it" if "locked" in str(error) else str(error)
                message = f"{path} cannot be used as a journal: {words}"
                raise InvalidConfiguration(message) from error
            opened.pop_all()

    def _prepare(self, path: Path, identity: bytes, wanted: Format) -> None:
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self.transaction():
                self._run(FACTS + wanted.schema, wanted.version)
                self.set_fact("identity", identity)
        while version in wanted.changes:
            with self.transaction():
                self._run(wanted.changes[version], version + 1)
            version += 1
        if version not in (0, wanted.version):
            raise Incompatible(f"{path} has journal format {version}, this is {wanted.version}")
        if self.fact("identity") != identity:
            raise Incompatible(
                f"{path} belongs to another deployment or signer; use another --dir for this one"
            )

    def _run(self, statements: str, version: int) -> None:
        for statement in statements.split(";"):
            self.execute(statement)
        self.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens together or not at all."""
        with _full_disk_said():
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        with _full_disk_said():
            return self._database.execute(statement, values)

    def fact(self, name: str) -> bytes | None:
        """A named value such as the chain cursor."""
        row = self.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_fact(self, name: str, body: bytes) -> None:
        """Store a named value."""
        self.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, body))


@contextmanager
def _full_disk_said() -> Iterator[None]:
    """Turns the database's error for a disk that is full or fails into one of ours."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" not in str(error) and "disk I/O" not in str(error):
            raise
        raise ExhaustedResource(
            "the disk that holds the journal is full; free some space, nothing was lost"
        ) from error


def _held(path: Path) -> sqlite3.Connection:
    """A lock beside the journal, free again when this process ends, however it does."""
    lock = sqlite3.connect(f"{path}.lock", timeout=LOCK_SECONDS, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    return lock
