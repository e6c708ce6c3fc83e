"""What a watchtower must not forget: its secret, its cursor, its cases, and its challenges."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from nesa.protocol.ids import QueryId, Timestamp
from nesa_miner.disputes.court_log import COURT_EVENTS, CourtLog
from nesa_miner.journal_file import Format, JournalFile
from nesa_miner.watchtower.cases import SECRET_BYTES, Case

CURSOR: Final = "cursor"
SECRET: Final = "secret"

FORMAT: Final = Format(
    version=1,
    schema="""
CREATE TABLE cases (
    log_key BLOB PRIMARY KEY, query_id INTEGER NOT NULL, closes_at INTEGER NOT NULL,
    wrong_shard INTEGER
);
"""
    + COURT_EVENTS,
)


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
