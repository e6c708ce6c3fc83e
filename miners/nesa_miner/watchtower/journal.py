"""What a watchtower must not forget: its secret and cursor, its cases, and what it found."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from nesa.chain.deployment import Deployment
from nesa.protocol.faults import Equivocation, decode_fault, encode_fault
from nesa.protocol.ids import Address, QueryId, Timestamp
from nesa_miner.disputes.court_log import COURT_EVENTS, CourtLog
from nesa_miner.journal_file import Format, JournalFile
from nesa_miner.watchtower.cases import SECRET_BYTES, Case

CURSOR: Final = "cursor"
SECRET: Final = "secret"

KEPT_SECONDS: Final = 30 * 86_400
"""Chain time for which evidence that no court took yet is kept, and slashes are remembered."""

SHOWN_CHECKED: Final = 10
MOST_CHECKED: Final = 10_000
"""Answers of which the journal still knows what came of them."""

_SINCE_1: Final = """
CREATE TABLE equivocations (
    query_id INTEGER, shard INTEGER, signer TEXT, body BLOB NOT NULL, forget_at INTEGER NOT NULL,
    PRIMARY KEY (query_id, shard, signer)
);
CREATE TABLE slashes (
    log_key BLOB PRIMARY KEY, operator TEXT NOT NULL, forget_at INTEGER NOT NULL
);
CREATE TABLE checked (
    query_id INTEGER PRIMARY KEY, verdict TEXT NOT NULL, why TEXT NOT NULL, at INTEGER NOT NULL
);
"""

FORMAT: Final = Format(
    version=2,
    schema="""
CREATE TABLE cases (
    log_key BLOB PRIMARY KEY, query_id INTEGER NOT NULL, closes_at INTEGER NOT NULL,
    wrong_shard INTEGER
);
"""
    + COURT_EVENTS
    + _SINCE_1,
    changes={1: _SINCE_1},
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of an answer that was run again at chain time `at`: a verdict in words."""

    query_id: QueryId
    verdict: str
    why: str
    at: Timestamp


class WatchJournal:
    """The store of one watchtower; use from one thread, one process at a time.

    Raises (any method):
        ExhaustedResource: the disk is full; nothing of the transaction was kept.
    """

    def __init__(self, path: Path, identity: bytes) -> None:
        """Open or make the journal at `path` for one chain, market and account.

        Raises:
            Incompatible: the journal belongs to another deployment or account.
            InvalidConfiguration: the file is not a journal, or another process has it open.
        """
        self._file = JournalFile(path, identity, FORMAT)
        self.court_log = CourtLog(self._file)
        if self._file.fact(SECRET) is None:
            self._file.set_fact(SECRET, os.urandom(SECRET_BYTES))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Everything inside happens together or not at all."""
        return self._file.transaction()

    @property
    def secret(self) -> bytes:
        """What decides which queries are looked at."""
        return self._file.fact(SECRET) or b""

    def cursor(self) -> str | None:
        """The chain cursor."""
        found = self._file.fact(CURSOR)
        return None if found is None else found.decode()

    def set_cursor(self, text: str) -> None:
        """Store the chain cursor."""
        self._file.set_fact(CURSOR, text.encode())

    def keep_case(self, case: Case) -> None:
        """Store an answer under watch, or what was found of it."""
        self._file.execute(
            "INSERT OR REPLACE INTO cases VALUES (?, ?, ?, ?)",
            (case.log_key, case.query_id, case.closes_at, case.wrong_shard),
        )

    def reopen(self, query_id: QueryId, closes_at: Timestamp) -> None:
        """The windows of an answer under watch close at another time than was thought."""
        self._file.execute(
            "UPDATE cases SET closes_at = ? WHERE query_id = ?", (closes_at, query_id)
        )

    def forget_case(self, log_key: bytes) -> None:
        """An answer is not under watch any more."""
        self._file.execute("DELETE FROM cases WHERE log_key = ?", (log_key,))

    def cases(self) -> list[Case]:
        """Answers under watch."""
        rows = self._file.execute("SELECT log_key, query_id, closes_at, wrong_shard FROM cases")
        return [
            Case(bytes(key), QueryId(query_id), Timestamp(closes_at), wrong_shard)
            for key, query_id, closes_at, wrong_shard in rows.fetchall()
        ]

    def summary(self) -> dict[str, object]:
        """What was checked and what is under watch, for people."""
        cases = self.cases()
        return {
            "checked": self.verdicts(),
            "last_checked": [asdict(one) for one in self.checked(SHOWN_CHECKED)],
            "watching": len(cases),
            "wrong": [
                {"query": case.query_id, "shard": case.wrong_shard, "until": case.closes_at}
                for case in cases
                if case.wrong_shard is not None
            ],
        }

    def keep_equivocation(self, signer: Address, fault: Equivocation, now: Timestamp) -> None:
        """Store what convicts a signer; what is known of the same work stays."""
        context = fault.first.context
        self._file.execute(
            "INSERT OR IGNORE INTO equivocations VALUES (?, ?, ?, ?, ?)",
            (context.query_id, context.shard, signer, encode_fault(fault), now + KEPT_SECONDS),
        )

    def equivocations(self) -> list[tuple[Address, Equivocation]]:
        """(signer, what convicts it) of everything that is kept."""
        rows = self._file.execute("SELECT signer, body FROM equivocations").fetchall()
        found = [(Address(signer), decode_fault(bytes(body))) for signer, body in rows]
        return [(signer, fault) for signer, fault in found if isinstance(fault, Equivocation)]

    def keep_slash(self, log_key: bytes, operator: Address, now: Timestamp) -> None:
        """Store that an operator lost stake."""
        values = (log_key, operator, now + KEPT_SECONDS)
        self._file.execute("INSERT OR IGNORE INTO slashes VALUES (?, ?, ?)", values)

    def undo_slash(self, log_key: bytes) -> None:
        """A reorganisation took a slash back."""
        self._file.execute("DELETE FROM slashes WHERE log_key = ?", (log_key,))

    def slashed(self) -> list[Address]:
        """Operators that lost stake not long ago."""
        rows = self._file.execute("SELECT DISTINCT operator FROM slashes").fetchall()
        return [Address(operator) for (operator,) in rows]

    def forget_old(self, now: Timestamp) -> None:
        """Let go of evidence and slashes that were kept for long enough."""
        self._file.execute("DELETE FROM equivocations WHERE forget_at < ?", (now,))
        self._file.execute("DELETE FROM slashes WHERE forget_at < ?", (now,))

    def keep_checked(self, checked: Checked) -> None:
        """Store what came of an answer; the oldest make room."""
        values = (checked.query_id, checked.verdict, checked.why, checked.at)
        self._file.execute("INSERT OR REPLACE INTO checked VALUES (?, ?, ?, ?)", values)
        self._file.execute(
            "DELETE FROM checked WHERE query_id <= (SELECT MAX(query_id) FROM checked) - ?",
            (MOST_CHECKED,),
        )

    def checked(self, most: int) -> list[Checked]:
        """What came of the newest answers, newest query first."""
        rows = self._file.execute("SELECT * FROM checked ORDER BY query_id DESC LIMIT ?", (most,))
        return [Checked(*row) for row in rows.fetchall()]

    def verdicts(self) -> dict[str, int]:
        """How many answers came out how, of those that are remembered."""
        rows = self._file.execute("SELECT verdict, COUNT(*) FROM checked GROUP BY verdict")
        return {str(verdict): int(count) for verdict, count in rows.fetchall()}


def journal_identity(deployment: Deployment, account: Address) -> bytes:
    """Whose journal it is."""
    return f"{deployment.chain_id} {deployment.court} {account}".encode()
