"""The court's events in a journal, by the logs that told them: what a docket is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nesa.chain.events import (
    ChainEvent,
    ChallengeEnded,
    ChallengeOpened,
    GameEnded,
    Moved,
)
from nesa.chain.stored_events import decode_stored_event, encode_event
from nesa_miner.journal_file import JournalFile

COURT_EVENTS: Final = """
CREATE TABLE court_events (
    log_key BLOB PRIMARY KEY, challenge_id INTEGER NOT NULL, block INTEGER NOT NULL,
    log_index INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX court_events_by_challenge ON court_events (challenge_id);
"""


class CourtLog:
    """Events of challenges in a journal; inside the transaction of the journal's cursor."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file

    def keep(
        self, log_key: bytes, event: ChallengeOpened | Moved | GameEnded | ChallengeEnded
    ) -> None:
        """Store an event; the same log again changes nothing."""
        place = (event.log.block_number, event.log.log_index)
        self._file.execute(
            "INSERT OR IGNORE INTO court_events VALUES (?, ?, ?, ?, ?)",
            (log_key, event.challenge_id, *place, encode_event(event)),
        )

    def undo(self, log_keys: Sequence[bytes]) -> None:
        """Take back what a reorganisation took back."""
        for log_key in log_keys:
            self._file.execute("DELETE FROM court_events WHERE log_key = ?", (log_key,))

    def forget(self, challenge_id: int) -> None:
        """A challenge is over for good."""
        self._file.execute("DELETE FROM court_events WHERE challenge_id = ?", (challenge_id,))

    def events(self) -> list[ChainEvent]:
        """Everything that is kept, in chain order."""
        rows = self._file.execute("SELECT body FROM court_events ORDER BY block, log_index")
        return [decode_stored_event(bytes(body)) for (body,) in rows]
