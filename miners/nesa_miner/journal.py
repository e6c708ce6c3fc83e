"""What a miner must not forget: one SQLite file, every change in one transaction.

A job is one shard of one attempt of one query. Its phase only ever moves by compare-and-set, salts
and locks are stored before the messages that use them leave, and the chain cursor moves in the same
transaction as the jobs that its logs opened. A kill at any moment therefore loses nothing that
another party has seen.

Nor does a reorganisation: what was done for a job is kept under the seed and the input that it was
done for. When they come back the member goes on where it was and signs nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from nesa.chain.deployment import Deployment
from nesa.protocol.ids import Address
from nesa_miner.at_rest import AtRest
from nesa_miner.disputes.court_log import COURT_EVENTS, CourtLog
from nesa_miner.jobs import Job, JobKey, Phase, StoredClaim, StoredFault, WorkKey
from nesa_miner.journal_file import Format, JournalFile
from nesa_miner.sessions.ledger import (
    SESSION_TABLES,
    SESSIONS_SINCE_7,
    SESSIONS_SINCE_8,
    SessionLedger,
)

_WORK: Final = (
    "records",
    "content_keys",
    "handoffs",
    "boundaries",
    "evidence",
    "faults",
    "statements",
)
"""Tables of what was done for a job."""

_SINCE_5: Final = (
    COURT_EVENTS
    + """
CREATE TABLE releases (
    log_key BLOB PRIMARY KEY, query_id INTEGER NOT NULL, closes_at INTEGER NOT NULL
);
"""
)

_SINCE_6: Final = """
CREATE TABLE statements (
    query_id INTEGER, attempt INTEGER, signer TEXT, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, signer)
);
"""

FORMAT: Final = Format(
    version=8,
    schema="""
CREATE TABLE jobs (
    query_id INTEGER, attempt INTEGER, phase TEXT NOT NULL, log_key BLOB NOT NULL,
    query BLOB NOT NULL, input BLOB NOT NULL, seed BLOB, shard INTEGER, position INTEGER,
    ended_by BLOB, forget_at INTEGER,
    PRIMARY KEY (query_id, attempt)
);
CREATE INDEX jobs_to_forget ON jobs (forget_at) WHERE forget_at IS NOT NULL;
CREATE TABLE records (
    query_id INTEGER, attempt INTEGER, seed BLOB, in_digest BLOB, sequence INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, seed, in_digest, sequence)
);
CREATE TABLE content_keys (
    query_id INTEGER, attempt INTEGER, input_digest BLOB, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, input_digest)
);
CREATE TABLE handoffs (
    query_id INTEGER, attempt INTEGER, seed BLOB, sequence INTEGER, position INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, seed, sequence)
);
CREATE TABLE boundaries (
    query_id INTEGER, attempt INTEGER, seed BLOB, in_digest BLOB, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, seed, in_digest)
);
CREATE TABLE evidence (
    query_id INTEGER, attempt INTEGER, seed BLOB, in_digest BLOB, shard INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, seed, in_digest)
);
CREATE TABLE faults (
    query_id INTEGER, attempt INTEGER, seed BLOB, shard INTEGER, signer TEXT, kind TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt, seed, shard, signer, kind)
);
CREATE TABLE claims (
    query_id INTEGER, attempt INTEGER, log_key BLOB NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (query_id, attempt)
);
CREATE TABLE claimed (
    log_key BLOB PRIMARY KEY, query_id INTEGER, shard INTEGER, paid INTEGER
);
"""
    + _SINCE_5
    + _SINCE_6
    + SESSION_TABLES,
    changes={4: _SINCE_5, 5: _SINCE_6, 6: SESSIONS_SINCE_7, 7: SESSIONS_SINCE_8},
)

_ENCRYPTED: Final = (
    ("records", "body"),
    ("content_keys", "body"),
    ("handoffs", "body"),
    ("boundaries", "body"),
    ("session_statements", "request"),
)
"""Tables whose column `at_rest` encrypts."""

NO_LOG: Final = b""
"""The log key of a job whose request is not on chain any more."""


class Journal:
    """The store of one miner; use from one thread. While it is open no other miner can open it:
    two processes that sign with one key would contradict each other.

    Raises (any method):
        ExhaustedResource: the disk is full; nothing of the transaction was kept.
    """

    def __init__(self, path: Path, identity: bytes, at_rest: AtRest) -> None:
        """Open or make the journal at `path` for one chain, market and signer (`identity`).

        Records and messages may hold what a sealed query hides, so `at_rest` encrypts them.

        Raises:
            Incompatible: the journal belongs to another deployment or signer.
            InvalidConfiguration: the file is not a journal, or another process has it open.
        """
        self._at_rest = at_rest
        self._file = JournalFile(path, identity, FORMAT)
        self.court_log = CourtLog(self._file)
        self.sessions = SessionLedger(self._file, at_rest)

    def keep_under_newest(self) -> None:
        """Encrypt again what was stored under a former key, which can be forgotten then."""
        with self.transaction():
            for table, column in _ENCRYPTED:
                self._store_again(table, column)

    def _store_again(self, table: str, column: str) -> None:
        read = f"SELECT {column} FROM {table} WHERE rowid = ?"  # noqa: S608
        write = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
        rows = self._file.execute(f"SELECT rowid FROM {table}").fetchall()  # noqa: S608
        for (row,) in rows:
            (stored,) = self._file.execute(read, (row,)).fetchone()
            if (again := self._at_rest.under_newest(stored)) is not None:
                self._file.execute(write, (again, row))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Everything inside happens together or not at all."""
        return self._file.transaction()

    def fact(self, name: str) -> bytes | None:
        """A named value such as the chain cursor."""
        return self._file.fact(name)

    def set_fact(self, name: str, body: bytes) -> None:
        """Store a named value."""
        self._file.set_fact(name, body)

    def add_job(self, key: JobKey, log_key: bytes, query: bytes, input_: bytes) -> bool:
        """Store a job that the log `log_key` opened; False when that very log is known already.

        The same attempt from another log (a reorganisation moved it) starts the job anew.
        """
        known = self.job(key)
        if known is not None and known.log_key == log_key:
            return False
        self._delete("claims", key)
        self._file.execute(
            "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, NULL)",
            (*key, Phase.SEEN, log_key, query, input_),
        )
        return True

    def _delete(self, table: str, key: JobKey) -> None:
        self._file.execute(
            f"DELETE FROM {table} WHERE query_id = ? AND attempt = ?",  # noqa: S608
            key,
        )

    def job(self, key: JobKey) -> Job | None:
        """The job of `key`."""
        row = self._file.execute(f"{_SELECT} AND query_id = ? AND attempt = ?", key).fetchone()
        return None if row is None else _job(row)

    def open_jobs(self) -> list[Job]:
        """Jobs that have not ended, oldest first."""
        rows = self._file.execute(
            f"{_SELECT} AND phase != ? ORDER BY query_id, attempt", (Phase.ENDED,)
        )
        return [_job(row) for row in rows]

    def attempts(self, query_id: int) -> list[Job]:
        """All jobs of a query, the first attempt first."""
        rows = self._file.execute(f"{_SELECT} AND query_id = ? ORDER BY attempt", (query_id,))
        return [_job(row) for row in rows]

    def move(self, key: JobKey, before: Phase, after: Phase) -> bool:
        """Compare-and-set of the phase; False when the job was not in `before`."""
        cursor = self._file.execute(
            "UPDATE jobs SET phase = ? WHERE query_id = ? AND attempt = ? AND phase = ?",
            (after, *key, before),
        )
        return cursor.rowcount == 1

    def draw(self, key: JobKey, seed: bytes, shard: int, position: int) -> bool:
        """SEEN becomes DRAWN with the place in the committee."""
        cursor = self._file.execute(
            "UPDATE jobs SET phase = ?, seed = ?, shard = ?, position = ?"
            " WHERE query_id = ? AND attempt = ? AND phase = ?",
            (Phase.DRAWN, seed, shard, position, *key, Phase.SEEN),
        )
        return cursor.rowcount == 1

    def redraw(self, key: JobKey) -> None:
        """Back to SEEN: another seed draws again. What was done for the old one stays with it."""
        self._file.execute(
            "UPDATE jobs SET phase = ?, seed = NULL, shard = NULL, position = NULL"
            " WHERE query_id = ? AND attempt = ?",
            (Phase.SEEN, *key),
        )

    def end(self, key: JobKey, forget_at: int) -> None:
        """Whatever the phase was, this miner has no more to do; the query may still be open."""
        self._file.execute(
            "UPDATE jobs SET phase = ?, forget_at = ? WHERE query_id = ? AND attempt = ?",
            (Phase.ENDED, forget_at, *key),
        )

    def conclude(self, query_id: int, log_key: bytes, forget_at: int) -> None:
        """The chain said in `log_key` that the attempts of a query so far are over."""
        self._file.execute(
            "UPDATE jobs SET phase = ?, ended_by = ?, forget_at = ?"
            " WHERE query_id = ? AND ended_by IS NULL",
            (Phase.ENDED, log_key, forget_at, query_id),
        )

    def keep_longer(self, query_id: int, forget_at: int) -> None:
        """What was done for a query is disputed and stays until `forget_at` at least.

        An attempt that is not over yet is not forgotten anyway.
        """
        self._file.execute(
            "UPDATE jobs SET forget_at = ? WHERE query_id = ? AND forget_at < ?",
            (forget_at, query_id, forget_at),
        )

    def reopen_undrawn(self, still_kept_at: int, query_id: int) -> list[JobKey]:
        """Back to SEEN what ended because others were drawn for a query: an absence gives a spare a
        slot. Only jobs that will still be kept at `still_kept_at`.
        """
        where = (
            "phase = ? AND ended_by IS NULL AND shard IS NULL AND forget_at >= ? AND query_id = ?"
        )
        return self._reopened(where, (Phase.ENDED, still_kept_at, query_id))

    def reopen_unanswered(self, still_kept_at: int) -> list[JobKey]:
        """Back to where it was what ended without a word of the chain about its query: a
        reorganisation may change the draw, and who was found absent. Only jobs that will still be
        kept at `still_kept_at`.
        """
        where = "phase = ? AND ended_by IS NULL AND forget_at >= ?"
        return self._reopened(where, (Phase.ENDED, still_kept_at))

    def _reopened(self, where: str, values: tuple[object, ...]) -> list[JobKey]:
        rows = self._file.execute(
            "UPDATE jobs SET ended_by = NULL, forget_at = NULL,"  # noqa: S608
            f" phase = CASE WHEN shard IS NULL THEN ? ELSE ? END WHERE {where}"
            " RETURNING query_id, attempt",
            (Phase.SEEN, Phase.DRAWN, *values),
        )
        return [JobKey((row[0], row[1])) for row in rows.fetchall()]

    def prune(self, now: int) -> None:
        """Drop what was done for jobs whose time is over, and the jobs when their query is over.

        The request of a query that can still be asked again stays: nothing else has its input.
        """
        over = "SELECT query_id, attempt FROM jobs WHERE forget_at < ?"
        for table in _WORK:
            self._file.execute(
                f"DELETE FROM {table} WHERE (query_id, attempt) IN ({over})",  # noqa: S608
                (now,),
            )
        self._file.execute("DELETE FROM jobs WHERE forget_at < ? AND ended_by IS NOT NULL", (now,))
        self._file.execute("UPDATE jobs SET forget_at = NULL WHERE forget_at < ?", (now,))
        for table in ("claimed", "releases"):
            self._file.execute(
                f"DELETE FROM {table} WHERE query_id NOT IN (SELECT query_id FROM claims)"  # noqa: S608
            )

    def undo(self, log_keys: Sequence[bytes], forget_at: int) -> tuple[list[JobKey], list[JobKey]]:
        """Take back what these logs did, because a reorganisation took them back.

        Returns the jobs that they opened, which are not there any more, and those that are open
        again. What was done for the first is kept until `forget_at`: their logs may come back.
        """
        undone: list[JobKey] = []
        again: list[JobKey] = []
        for log_key in log_keys:
            undone += self._taken_back(log_key, forget_at)
            self._file.execute("DELETE FROM claims WHERE log_key = ?", (log_key,))
            for table in ("claimed", "releases"):
                self._file.execute(f"DELETE FROM {table} WHERE log_key = ?", (log_key,))  # noqa: S608
            again += self._reopened("ended_by = ?", (log_key,))
        return undone, again

    def _taken_back(self, log_key: bytes, forget_at: int) -> list[JobKey]:
        rows = self._file.execute(
            "UPDATE jobs SET log_key = ?, phase = ?, ended_by = ?, forget_at = ?, seed = NULL,"
            " shard = NULL, position = NULL WHERE log_key = ? RETURNING query_id, attempt",
            (NO_LOG, Phase.ENDED, NO_LOG, forget_at, log_key),
        )
        keys = [JobKey((row[0], row[1])) for row in rows.fetchall()]
        for key in keys:
            self._delete("claims", key)
        return keys

    def add_claim(self, key: JobKey, log_key: bytes, body: bytes) -> None:
        """Store a slot that the answer in `log_key` left out and this miner is to claim."""
        self._file.execute(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (*key, log_key, body)
        )

    def add_claimed(self, log_key: bytes, query_id: int, shard: int, paid: int) -> None:
        """Store who is paid after a claim of anybody, where this miner has one of its own."""
        self._file.execute(
            "INSERT OR REPLACE INTO claimed SELECT ?, ?, ?, ?"
            " WHERE EXISTS (SELECT 1 FROM claims WHERE query_id = ?)",
            (log_key, query_id, shard, paid, query_id),
        )

    def add_release(self, log_key: bytes, query_id: int, closes_at: int) -> None:
        """Store until when slots of a query can be claimed after a dispute, where that matters."""
        self._file.execute(
            "INSERT OR REPLACE INTO releases SELECT ?, ?, ?"
            " WHERE EXISTS (SELECT 1 FROM claims WHERE query_id = ?)",
            (log_key, query_id, closes_at, query_id),
        )

    def claims(self) -> list[StoredClaim]:
        """Slots to be claimed, oldest first."""
        rows = self._file.execute(
            "SELECT query_id, attempt, body, (SELECT COALESCE(MAX(closes_at), 0) FROM releases"
            " WHERE releases.query_id = claims.query_id) FROM claims ORDER BY rowid"
        )
        return [
            StoredClaim(JobKey((query, attempt)), bytes(body), self._claimed(query), released)
            for query, attempt, body, released in rows.fetchall()
        ]

    def _claimed(self, query_id: int) -> dict[int, int]:
        found: dict[int, int] = {}
        rows = self._file.execute("SELECT shard, paid FROM claimed WHERE query_id = ?", (query_id,))
        for shard, paid in rows:
            found[shard] = found.get(shard, 0) | paid
        return found

    def drop_claim(self, key: JobKey) -> None:
        """There is nothing more to claim."""
        self._delete("claims", key)

    def add_record(self, work: WorkKey, body: bytes) -> None:
        """Append to the journal of one agreement."""
        self._file.execute(
            "INSERT INTO records SELECT ?, ?, ?, ?, 1 + COALESCE(MAX(sequence), 0), ? FROM records"
            " WHERE query_id = ? AND attempt = ? AND seed = ? AND in_digest = ?",
            (*work.columns, self._at_rest.encrypt(body), *work.columns),
        )

    def records(self, work: WorkKey) -> list[bytes]:
        """The journal of one agreement, in order."""
        rows = self._file.execute(
            "SELECT body FROM records WHERE query_id = ? AND attempt = ? AND seed = ?"
            " AND in_digest = ? ORDER BY sequence",
            work.columns,
        )
        return [self._at_rest.decrypt(row[0]) for row in rows]

    def keep_content_key(self, key: JobKey, input_digest: bytes, wrapped: bytes) -> None:
        """Keep the key to the input that `input_digest` names; the first one stays."""
        self._file.execute(
            "INSERT OR IGNORE INTO content_keys VALUES (?, ?, ?, ?)",
            (*key, input_digest, self._at_rest.encrypt(wrapped)),
        )

    def content_key(self, key: JobKey, input_digest: bytes) -> bytes | None:
        """The wrapped content key to an input."""
        row = self._file.execute(
            "SELECT body FROM content_keys WHERE query_id = ? AND attempt = ? AND input_digest = ?",
            (*key, input_digest),
        ).fetchone()
        return None if row is None else self._at_rest.decrypt(row[0])

    def keep_handoff(self, key: JobKey, seed: bytes, position: int, body: bytes) -> None:
        """Keep what the member drawn at `position` of the shard before handed over."""
        self._file.execute(
            "INSERT INTO handoffs SELECT ?, ?, ?, 1 + COALESCE(MAX(sequence), 0), ?, ?"
            " FROM handoffs WHERE query_id = ? AND attempt = ? AND seed = ?",
            (*key, seed, position, self._at_rest.encrypt(body), *key, seed),
        )

    def handoffs(self, key: JobKey, seed: bytes) -> list[tuple[int, bytes]]:
        """Position and message of every kept hand-over, in the order of their arrival."""
        rows = self._file.execute(
            "SELECT position, body FROM handoffs WHERE query_id = ? AND attempt = ? AND seed = ?"
            " ORDER BY sequence",
            (*key, seed),
        )
        return [(position, self._at_rest.decrypt(body)) for position, body in rows]

    def keep_boundary(self, work: WorkKey, body: bytes) -> None:
        """Keep the tensors that an agreement is about, once they are whole and checked."""
        self._file.execute(
            "INSERT OR REPLACE INTO boundaries VALUES (?, ?, ?, ?, ?)",
            (*work.columns, self._at_rest.encrypt(body)),
        )

    def boundary(self, work: WorkKey) -> bytes | None:
        """The tensors that an agreement is about, if they were kept."""
        row = self._file.execute(
            "SELECT body FROM boundaries WHERE query_id = ? AND attempt = ? AND seed = ?"
            " AND in_digest = ?",
            work.columns,
        ).fetchone()
        return None if row is None else self._at_rest.decrypt(row[0])

    def keep_evidence(self, work: WorkKey, shard: int, body: bytes) -> None:
        """Store what is served to oracles; newer evidence holds at least as many results."""
        self._file.execute(
            "INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET body = excluded.body",
            (*work.columns, shard, body),
        )

    def evidence_of(self, work: WorkKey) -> bytes | None:
        """Evidence of one agreement, if it settled here."""
        row = self._file.execute(
            "SELECT body FROM evidence WHERE query_id = ? AND attempt = ? AND seed = ?"
            " AND in_digest = ?",
            work.columns,
        ).fetchone()
        return None if row is None else bytes(row[0])

    def evidence(self, key: JobKey, shard: int) -> list[bytes]:
        """Evidence of one shard under the seed that counts, one piece for every input."""
        rows = self._file.execute(f"SELECT body {_SERVED} ORDER BY evidence.rowid", (*key, shard))
        return [bytes(row[0]) for row in rows]

    def keep_fault(self, key: JobKey, seed: bytes, fault: StoredFault) -> bool:
        """Store what convicts a member; False when it is convicted of that already."""
        cursor = self._file.execute(
            "INSERT OR IGNORE INTO faults VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, seed, fault.shard, fault.signer, fault.kind, fault.body),
        )
        return cursor.rowcount == 1

    def faults(self, key: JobKey) -> list[StoredFault]:
        """Everything that convicts members of an attempt, as it was found."""
        rows = self._file.execute(
            "SELECT shard, signer, kind, body FROM faults WHERE query_id = ? AND attempt = ?"
            " ORDER BY rowid",
            key,
        )
        return [StoredFault(*row) for row in rows]

    def keep_statement(self, key: JobKey, signer: str, body: bytes) -> None:
        """Store what a member signed against this miner's own result; the first one stays."""
        self._file.execute(
            "INSERT OR IGNORE INTO statements VALUES (?, ?, ?, ?)", (*key, signer, body)
        )

    def statements(self) -> list[tuple[bytes, bytes]]:
        """(query of the attempt, statement) of everything that is left to be sued, oldest first."""
        rows = self._file.execute(
            "SELECT query, body FROM statements JOIN jobs USING (query_id, attempt)"
            " ORDER BY statements.rowid"
        )
        return [(bytes(query), bytes(body)) for query, body in rows]

    def drop_statement(self, key: JobKey, signer: str) -> None:
        """There is nothing to sue any more."""
        self._file.execute(
            "DELETE FROM statements WHERE query_id = ? AND attempt = ? AND signer = ?",
            (*key, signer),
        )

    def equivocations(self) -> list[StoredFault]:
        """What convicts members of having signed two outputs, in any attempt."""
        rows = self._file.execute(
            "SELECT shard, signer, kind, body FROM faults WHERE kind = 'Equivocation'"
        )
        return [StoredFault(*row) for row in rows]

    def evidence_size(self, key: JobKey, shard: int) -> int:
        """Bytes of that evidence, 0 when there is none; it is not read for this."""
        row = self._file.execute(f"SELECT COALESCE(SUM(LENGTH(body)), 0) {_SERVED}", (*key, shard))
        return int(row.fetchone()[0])


_SELECT: Final = (
    "SELECT query_id, attempt, phase, log_key, query, input, seed, shard, position,"
    " ended_by IS NULL AND shard IS NULL AND forget_at IS NOT NULL FROM jobs WHERE log_key != X''"
)

_SERVED: Final = (
    "FROM evidence JOIN jobs USING (query_id, attempt, seed)"
    " WHERE query_id = ? AND attempt = ? AND evidence.shard = ?"
)


def _job(row: tuple[Any, ...]) -> Job:
    key, phase, drawn = JobKey((row[0], row[1])), Phase(row[2]), (row[6], row[7], row[8])
    return Job(key, phase, row[3], row[4], row[5], *drawn, bool(row[9]))


def journal_identity(deployment: Deployment, signer: Address) -> bytes:
    """Whose journal it is."""
    return f"{deployment.chain_id} {deployment.market} {signer}".encode()
