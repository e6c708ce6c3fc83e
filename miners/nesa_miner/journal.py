"""What a miner must not forget: one SQLite file, every change in one transaction.

A job is one shard of one attempt of one query. Its phase only ever moves by compare-and-set, salts
and locks are stored before the messages that use them leave, and the chain cursor moves in the same
transaction as the jobs that its logs opened. A kill at any moment therefore loses nothing that
another party has seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NewType

from nesa.protocol.errors import ExhaustedResource, Incompatible, InvalidConfiguration
from nesa_miner.at_rest import AtRest

SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE jobs (
    query_id INTEGER, attempt INTEGER, phase TEXT NOT NULL, log_key BLOB NOT NULL,
    query BLOB NOT NULL, input BLOB NOT NULL, seed BLOB, shard INTEGER, position INTEGER,
    PRIMARY KEY (query_id, attempt)
);
CREATE TABLE records (
    query_id INTEGER, attempt INTEGER, sequence INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, sequence)
);
CREATE TABLE messages (
    query_id INTEGER, attempt INTEGER, kind TEXT, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, kind)
);
CREATE TABLE evidence (
    query_id INTEGER, attempt INTEGER, shard INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, shard)
);
"""

JobKey = NewType("JobKey", tuple[int, int])
"""(query id, attempt)."""


class Phase(StrEnum):
    """How far a job has come."""

    SEEN = "seen"  # requested; the seed block is not there yet
    DRAWN = "drawn"  # this miner is a member; agreement runs
    SETTLED = "settled"  # a quorum agreed; evidence is served
    ENDED = "ended"  # fulfilled, refunded, expired, undone, or not drawn


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one query as stored; `shard` and `position` are known from DRAWN on."""

    key: JobKey
    phase: Phase
    log_key: bytes
    query: bytes
    input: bytes
    seed: bytes | None
    shard: int | None
    position: int | None


class Journal:
    """The store of one miner; use from one thread.

    Raises (any method):
        ExhaustedResource: the disk is full; nothing of the transaction was kept.
    """

    def __init__(self, path: Path, identity: bytes, at_rest: AtRest) -> None:
        """Open or make the journal at `path` for one chain, market and signer (`identity`).

        Records and messages may hold what a sealed query hides, so `at_rest` encrypts them.

        Raises:
            Incompatible: the journal belongs to another deployment or signer.
            InvalidConfiguration: the file is not a journal.
        """
        try:
            self._at_rest = at_rest
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._prepare(path, identity)
        except sqlite3.DatabaseError as error:
            raise InvalidConfiguration(f"{path} cannot be used as a journal: {error}") from error

    def _prepare(self, path: Path, identity: bytes) -> None:
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self.transaction():
                for statement in _SCHEMA.split(";"):
                    self._database.execute(statement)
                self.set_fact("identity", identity)
                self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise Incompatible(f"{path} has journal format {version}, this is {SCHEMA_VERSION}")
        if self.fact("identity") != identity:
            raise Incompatible(
                f"{path} belongs to another deployment or signer; use another --dir for this one"
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens together or not at all."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "full" not in str(error) and "disk I/O" not in str(error):
                raise
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise ExhaustedResource(
                "the disk that holds the journal is full; free some space, nothing was lost"
            ) from error

    def fact(self, name: str) -> bytes | None:
        """A named value such as the chain cursor."""
        row = self._database.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_fact(self, name: str, body: bytes) -> None:
        """Store a named value."""
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, body))

    def add_job(self, key: JobKey, log_key: bytes, query: bytes, input_: bytes) -> bool:
        """Store a job that the log `log_key` opened; False when that very log is known already.

        The same attempt from another log (a reorganisation moved it) starts the job anew: what
        was signed for the old seed counts for nothing, and the seed is part of every signature.
        """
        known = self.job(key)
        if known is not None and known.log_key == log_key:
            return False
        self._forget(key)
        self._database.execute(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
            (*key, Phase.SEEN, log_key, query, input_),
        )
        return True

    def _forget(self, key: JobKey) -> None:
        for table in ("jobs", "records", "messages", "evidence"):
            self._delete(table, key)

    def _delete(self, table: str, key: JobKey) -> None:
        self._database.execute(
            f"DELETE FROM {table} WHERE query_id = ? AND attempt = ?",  # noqa: S608
            key,
        )

    def job(self, key: JobKey) -> Job | None:
        """The job of `key`."""
        row = self._database.execute(
            "SELECT * FROM jobs WHERE query_id = ? AND attempt = ?", key
        ).fetchone()
        return None if row is None else _job(row)

    def open_jobs(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        rows = self._database.execute(
            "SELECT * FROM jobs WHERE phase != ? ORDER BY query_id, attempt", (Phase.ENDED,)
        )
        return [_job(row) for row in rows]

    def move(self, key: JobKey, before: Phase, after: Phase) -> bool:
        """Compare-and-set of the phase; False when the job was not in `before`."""
        cursor = self._database.execute(
            "UPDATE jobs SET phase = ? WHERE query_id = ? AND attempt = ? AND phase = ?",
            (after, *key, before),
        )
        return cursor.rowcount == 1

    def draw(self, key: JobKey, seed: bytes, shard: int, position: int) -> bool:
        """SEEN becomes DRAWN with the place in the committee."""
        cursor = self._database.execute(
            "UPDATE jobs SET phase = ?, seed = ?, shard = ?, position = ?"
            " WHERE query_id = ? AND attempt = ? AND phase = ?",
            (Phase.DRAWN, seed, shard, position, *key, Phase.SEEN),
        )
        return cursor.rowcount == 1

    def redraw(self, key: JobKey) -> None:
        """Back to SEEN, without anything that was made for the old seed."""
        with self.transaction():
            for table in ("records", "messages", "evidence"):
                self._delete(table, key)
            self._database.execute(
                "UPDATE jobs SET phase = ?, seed = NULL, shard = NULL, position = NULL"
                " WHERE query_id = ? AND attempt = ?",
                (Phase.SEEN, *key),
            )

    def end(self, key: JobKey) -> None:
        """Whatever the phase was, the job is over."""
        self._database.execute(
            "UPDATE jobs SET phase = ? WHERE query_id = ? AND attempt = ?", (Phase.ENDED, *key)
        )

    def undo(self, log_keys: Sequence[bytes]) -> list[JobKey]:
        """Forget the jobs that these logs opened; a reorganisation took them back."""
        undone = []
        for log_key in log_keys:
            row = self._database.execute(
                "SELECT query_id, attempt FROM jobs WHERE log_key = ?", (log_key,)
            ).fetchone()
            if row is not None:
                undone.append(JobKey((row[0], row[1])))
                self._forget(undone[-1])
        return undone

    def add_record(self, key: JobKey, body: bytes) -> None:
        """Append to the agreement's journal of a job."""
        self._database.execute(
            "INSERT INTO records SELECT ?, ?, 1 + COALESCE(MAX(sequence), 0), ? FROM records"
            " WHERE query_id = ? AND attempt = ?",
            (*key, self._at_rest.encrypt(body), *key),
        )

    def records(self, key: JobKey) -> list[bytes]:
        """The agreement's journal of a job, in order."""
        rows = self._database.execute(
            "SELECT body FROM records WHERE query_id = ? AND attempt = ? ORDER BY sequence", key
        )
        return [self._at_rest.decrypt(row[0]) for row in rows]

    def keep_message(self, key: JobKey, kind: str, body: bytes) -> None:
        """Keep what somebody sent and a restart will need; the first one of a kind stays."""
        self._database.execute(
            "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?)",
            (*key, kind, self._at_rest.encrypt(body)),
        )

    def message(self, key: JobKey, kind: str) -> bytes | None:
        """The kept message of one kind."""
        row = self._database.execute(
            "SELECT body FROM messages WHERE query_id = ? AND attempt = ? AND kind = ?",
            (*key, kind),
        ).fetchone()
        return None if row is None else self._at_rest.decrypt(row[0])

    def keep_evidence(self, key: JobKey, shard: int, body: bytes) -> None:
        """Store what is served to oracles; newer evidence holds at least as many results."""
        self._database.execute(
            "INSERT OR REPLACE INTO evidence VALUES (?, ?, ?, ?)", (*key, shard, body)
        )

    def evidence(self, key: JobKey, shard: int) -> bytes | None:
        """Evidence of one shard, if it settled here."""
        row = self._database.execute(
            "SELECT body FROM evidence WHERE query_id = ? AND attempt = ? AND shard = ?",
            (*key, shard),
        ).fetchone()
        return None if row is None else bytes(row[0])


def _job(
    row: tuple[int, int, str, bytes, bytes, bytes, bytes | None, int | None, int | None],
) -> Job:
    key = JobKey((row[0], row[1]))
    return Job(key, Phase(row[2]), row[3], row[4], row[5], row[6], row[7], row[8])
