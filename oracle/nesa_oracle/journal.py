"""What an oracle must not forget: one SQLite file, every change in one transaction.

A job is one attempt of one query, from its request to its answer or, for a CHALLENGED one that
calls its requester, to its delivery. Its phase moves by compare-and-set only; what is signed is
stored before it is sent; the chain cursor moves in the same transaction as the jobs that its logs
opened, answered or took back. A kill at any moment therefore leaves one effect on the chain.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NewType

from nesa.chain.events import LogKey
from nesa.chain.logs import Cursor
from nesa.chain.sender import Intent
from nesa.protocol.errors import ExhaustedResource, Incompatible, InvalidConfiguration
from nesa.protocol.ids import BlockNumber, Timestamp
from nesa.protocol.queries import Query, decode_query, encode_query

SCHEMA_VERSION: Final = 2

_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE jobs (
    query_id INTEGER, attempt INTEGER, phase TEXT NOT NULL, query BLOB NOT NULL,
    input BLOB NOT NULL, opened_by BLOB NOT NULL, ended_by BLOB, ended_at INTEGER, report BLOB,
    closes_at INTEGER, delay INTEGER, delivered_by BLOB, delivered_at INTEGER,
    PRIMARY KEY (query_id, attempt)
);
CREATE TABLE intents (
    tx_hash BLOB PRIMARY KEY, query_id INTEGER, attempt INTEGER, nonce INTEGER, raw BLOB NOT NULL
);
"""

_UPGRADE: Final = """
ALTER TABLE jobs ADD COLUMN closes_at INTEGER;
ALTER TABLE jobs ADD COLUMN delay INTEGER;
ALTER TABLE jobs ADD COLUMN delivered_by BLOB;
ALTER TABLE jobs ADD COLUMN delivered_at INTEGER
"""
"""From format 1, which knew no deliveries."""

JobKey = NewType("JobKey", tuple[int, int])
"""(query id, attempt)."""


class Phase(StrEnum):
    """How far a job has come."""

    SEEN = "seen"  # requested; nobody's evidence is complete yet
    GATHERED = "gathered"  # a checked report lies in the journal
    SENT = "sent"  # a transaction was signed and may be anywhere
    MINED = "mined"  # the chain has the answer, not deep enough to forget the job
    FINAL = "final"  # nothing is left to do


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one query as stored; `report` is the calldata to send.

    `ended_at` is the block of the answer. It is delivered `delay` seconds after `closes_at`, on the
    chain's clock, when its windows end; that is None when there is nothing to deliver.
    `delivered_at` is the block in which that was done, or the answer overturned.
    """

    key: JobKey
    phase: Phase
    query: Query
    input: bytes
    ended_at: BlockNumber | None
    report: bytes | None
    closes_at: Timestamp | None = None
    delay: int | None = None
    delivered_at: BlockNumber | None = None

    @property
    def over_at(self) -> BlockNumber | None:
        """Block behind which nothing is left to do, unless a reorganisation takes it back."""
        return self.ended_at if self.closes_at is None else self.delivered_at

    def is_due(self, now: Timestamp) -> bool:
        """Whether the answer is to be delivered at chain time `now`."""
        return self.closes_at is not None and now > self.closes_at + (self.delay or 0)


class Journal:
    """The store of one oracle; use from one thread.

    Raises (any method):
        ExhaustedResource: the disk is full; nothing of the transaction was kept.
    """

    def __init__(self, path: Path, identity: str) -> None:
        """Open or make the journal at `path` for one chain, market and signer (`identity`).

        Raises:
            Incompatible: the journal belongs to another deployment or signer.
            InvalidConfiguration: the file is not a journal, or cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._prepare(path, identity)
        except (sqlite3.DatabaseError, OSError) as error:
            raise InvalidConfiguration(f"{path} cannot be used as a journal: {error}") from error

    def _prepare(self, path: Path, identity: str) -> None:
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with self.transaction():
                for statement in _SCHEMA.split(";"):
                    self._database.execute(statement)
                self._set_fact("identity", identity)
                self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version == 1:
            with self.transaction():
                for statement in _UPGRADE.split(";"):
                    self._database.execute(statement)
                self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise Incompatible(f"{path} has journal format {version}, this is {SCHEMA_VERSION}")
        if self._fact("identity") != identity:
            raise Incompatible(
                f"{path} belongs to another deployment or signer; use another --dir for this one"
            )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens together or not at all; part of the one around it."""
        is_nested = self._database.in_transaction
        if is_nested:
            yield
            return
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise ExhaustedResource(
                f"the journal cannot be written ({error}); free some space, nothing was lost"
            ) from error

    def cursor(self) -> Cursor | None:
        """How far the chain was read."""
        text = self._fact("cursor")
        return None if text is None else Cursor.from_json(text)

    def set_cursor(self, cursor: Cursor) -> None:
        """Store how far the chain was read; inside the transaction of its effects."""
        self._set_fact("cursor", cursor.to_json())

    def open(self, log: LogKey, query: Query, sent: bytes) -> JobKey:
        """Store a job that `log` opened; another log for the same attempt starts it anew."""
        key = JobKey((query.query_id, query.attempt))
        with self.transaction():
            self._forget(key)
            self._write(
                "INSERT INTO jobs (query_id, attempt, phase, query, input, opened_by)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*key, Phase.SEEN, encode_query(query), sent, log_bytes(log)),
            )
        return key

    def end(self, key: JobKey, log: LogKey) -> None:
        """`log` answered or refunded the query, or opened its next attempt."""
        self._write(
            "UPDATE jobs SET phase = ?, ended_by = ?, ended_at = ?"
            " WHERE query_id = ? AND attempt = ?",
            (Phase.MINED, log_bytes(log), log.block_number, *key),
        )

    def await_delivery(self, key: JobKey, closes_at: Timestamp, delay: int) -> None:
        """The answer of a job is to be delivered `delay` seconds after `closes_at`."""
        self._write(
            "UPDATE jobs SET closes_at = ?, delay = ? WHERE query_id = ? AND attempt = ?",
            (closes_at, delay, *key),
        )

    def postpone_delivery(self, query_id: int, closes_at: Timestamp) -> None:
        """The windows of the query's answer end later than they did."""
        self._write(
            "UPDATE jobs SET closes_at = ? WHERE query_id = ? AND closes_at < ?",
            (closes_at, query_id, closes_at),
        )

    def delivered(self, query_id: int, log: LogKey) -> None:
        """`log` delivered the query's answer, or overturned it."""
        self._write(
            "UPDATE jobs SET delivered_by = ?, delivered_at = ?"
            " WHERE query_id = ? AND closes_at IS NOT NULL",
            (log_bytes(log), log.block_number, query_id),
        )

    def undo(self, log: LogKey) -> None:
        """Take back what `log` opened, ended or delivered."""
        raw = log_bytes(log)
        opened = self._database.execute(
            "SELECT query_id, attempt FROM jobs WHERE opened_by = ?", (raw,)
        ).fetchall()
        with self.transaction():
            for query_id, attempt in opened:
                self._forget(JobKey((query_id, attempt)))
            self._write(
                "UPDATE jobs SET phase = CASE WHEN report IS NULL THEN ? ELSE ? END,"
                " ended_by = NULL, ended_at = NULL, closes_at = NULL WHERE ended_by = ?",
                (Phase.SEEN, Phase.GATHERED, raw),
            )
            self._write(
                "UPDATE jobs SET delivered_by = NULL, delivered_at = NULL WHERE delivered_by = ?",
                (raw,),
            )

    def gathered(self, key: JobKey, report: bytes) -> bool:
        """SEEN becomes GATHERED; False when the job was elsewhere."""
        return self._moved(
            "UPDATE jobs SET phase = ?, report = ? WHERE query_id = ? AND attempt = ?"
            " AND phase = ?",
            (Phase.GATHERED, report, *key, Phase.SEEN),
        )

    def sending(self, key: JobKey, intent: Intent) -> bool:
        """GATHERED or SENT becomes SENT with what is about to leave; False when elsewhere."""
        with self.transaction():
            self._write(
                "INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?)",
                (intent.tx_hash, *key, intent.nonce, intent.raw),
            )
            return self._moved(
                "UPDATE jobs SET phase = ? WHERE query_id = ? AND attempt = ? AND phase IN (?, ?)",
                (Phase.SENT, *key, Phase.GATHERED, Phase.SENT),
            )

    def discard_report(self, key: JobKey) -> bool:
        """GATHERED or SENT becomes SEEN: the report is of no use any more."""
        return self._moved(
            "UPDATE jobs SET phase = ?, report = NULL WHERE query_id = ? AND attempt = ?"
            " AND phase IN (?, ?)",
            (Phase.SEEN, *key, Phase.GATHERED, Phase.SENT),
        )

    def finish(self, key: JobKey) -> None:
        """Whatever the phase was, nothing is left to do."""
        with self.transaction():
            self._write(
                "UPDATE jobs SET phase = ?, report = NULL WHERE query_id = ? AND attempt = ?",
                (Phase.FINAL, *key),
            )
            self._write("DELETE FROM intents WHERE query_id = ? AND attempt = ?", key)

    def forget_finished(self, query_id: int) -> None:
        """Drop the final jobs of a query that no later attempt will need."""
        self._write("DELETE FROM jobs WHERE query_id = ? AND phase = ?", (query_id, Phase.FINAL))

    def input_of(self, query_id: int) -> bytes:
        """What the query's request carried; empty when it was never seen."""
        row = self._database.execute(
            "SELECT input FROM jobs WHERE query_id = ? ORDER BY attempt DESC LIMIT 1", (query_id,)
        ).fetchone()
        return b"" if row is None else bytes(row[0])

    def job(self, key: JobKey) -> Job | None:
        """The job of `key`."""
        row = self._database.execute(f"{_SELECT} WHERE query_id = ? AND attempt = ?", key)
        found = row.fetchone()
        return None if found is None else _job(found)

    def unfinished(self) -> list[Job]:
        """Jobs that are not final, oldest first."""
        rows = self._database.execute(
            f"{_SELECT} WHERE phase != ? ORDER BY query_id, attempt", (Phase.FINAL,)
        )
        return [_job(row) for row in rows]

    def unanswered(self, query_id: int) -> list[Job]:
        """The query's jobs that no log has ended, also those that were given up: the answer may lie
        in blocks that are not read yet when the deadline passes."""
        rows = self._database.execute(
            f"{_SELECT} WHERE query_id = ? AND ended_by IS NULL ORDER BY attempt", (query_id,)
        )
        return [_job(row) for row in rows]

    def sent_hashes(self, key: JobKey) -> list[bytes]:
        """Every transaction that was signed for a job, oldest first."""
        rows = self._database.execute(
            "SELECT tx_hash FROM intents WHERE query_id = ? AND attempt = ? ORDER BY rowid", key
        )
        return [bytes(row[0]) for row in rows]

    def _forget(self, key: JobKey) -> None:
        for table in ("jobs", "intents"):
            self._write(
                f"DELETE FROM {table} WHERE query_id = ? AND attempt = ?",  # noqa: S608
                key,
            )

    def _moved(self, statement: str, values: Sequence[object]) -> bool:
        return self._write(statement, values).rowcount == 1

    def _write(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        with self.transaction():
            return self._database.execute(statement, tuple(values))

    def _fact(self, name: str) -> str | None:
        row = self._database.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set_fact(self, name: str, body: str) -> None:
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, body))


def log_bytes(log: LogKey) -> bytes:
    """A log's key as the journal stores it."""
    return log.block_hash + log.tx_hash + log.log_index.to_bytes(4, "big")


_SELECT: Final = (
    "SELECT query_id, attempt, phase, query, input, ended_at, report,"
    " closes_at, delay, delivered_at FROM jobs"
)


def _job(row: tuple[Any, ...]) -> Job:
    query_id, attempt, phase, query, *rest = row
    return Job(JobKey((query_id, attempt)), Phase(phase), decode_query(query), *rest)
