"""Sessions in the journal: the newest voucher of each, what was signed in it, seeds that came.

A statement is stored before it leaves. Two about one question would cost the member its stake, so
the first one stays, and after a kill the member goes on as if nothing had happened.

After a reorganisation the number of a session may be another client's. So everything is kept under
the hash of its seed block, too: nobody gets another one's voucher or refusals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from eth_utils.crypto import keccak

from nesa.privacy.shared.members import Work
from nesa.privacy.shared.statements import Session
from nesa.privacy.shared.wire import ShareRequest, encode_request
from nesa.protocol.errors import IntegrityError, InvalidMessage, ReusedRandomness
from nesa.protocol.ids import Amount, Digest, QueryId, Timestamp
from nesa_miner.at_rest import AtRest
from nesa_miner.journal_file import JournalFile
from nesa_miner.sessions.terms import HeldVoucher

_BY_SEED: Final = """
CREATE TABLE sessions (
    session_id INTEGER, seed BLOB, amount INTEGER NOT NULL, r BLOB NOT NULL, vs BLOB NOT NULL,
    redeemed INTEGER NOT NULL, forget_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, seed)
);
CREATE TABLE session_statements (
    session_id INTEGER, seed BLOB, number INTEGER, round INTEGER, in_digest BLOB NOT NULL,
    out_digest BLOB NOT NULL, request BLOB NOT NULL,
    PRIMARY KEY (session_id, seed, number, round)
);
CREATE INDEX session_inputs ON session_statements (session_id, number, in_digest);
"""

_CLIENT_SEEDS: Final = """
CREATE TABLE session_seeds (
    seed BLOB PRIMARY KEY, session_id INTEGER NOT NULL, number INTEGER NOT NULL,
    round INTEGER NOT NULL
);
"""

SESSION_TABLES: Final = _BY_SEED + _CLIENT_SEEDS

SESSIONS_SINCE_7: Final = (
    """
CREATE TABLE sessions (
    session_id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, r BLOB NOT NULL, vs BLOB NOT NULL,
    redeemed INTEGER NOT NULL, forget_at INTEGER NOT NULL
);
CREATE TABLE session_statements (
    session_id INTEGER, number INTEGER, round INTEGER, in_digest BLOB NOT NULL,
    out_digest BLOB NOT NULL, request BLOB NOT NULL,
    PRIMARY KEY (session_id, number, round)
);
CREATE INDEX session_inputs ON session_statements (session_id, number, in_digest);
"""
    + _CLIENT_SEEDS
)

_ASIDE: Final = """
DROP INDEX session_inputs;
ALTER TABLE sessions RENAME TO former_sessions;
ALTER TABLE session_statements RENAME TO former_statements;
"""

_TAKEN_OVER: Final = """
INSERT INTO sessions
    SELECT session_id, x'', amount, r, vs, redeemed, forget_at FROM former_sessions;
INSERT INTO session_statements
    SELECT session_id, x'', number, round, in_digest, out_digest, request FROM former_statements;
DROP TABLE former_sessions;
DROP TABLE former_statements;
"""

SESSIONS_SINCE_8: Final = _ASIDE + _BY_SEED + _TAKEN_OVER
"""What was stored without its session's seed has none, until the session is asked about again,
by the payer of the voucher in it."""


ANOTHER_SHARE: Final = "another share was sent in this round; count the round up"


@dataclass(frozen=True, slots=True)
class Account:
    """A session's newest voucher, and how much of it was redeemed; `seed` is the hash of its seed
    block, empty where a former format did not store it."""

    session_id: QueryId
    seed: bytes
    voucher: HeldVoucher
    redeemed: Amount


class SessionLedger:
    """Tables of sessions in a journal; use from one thread.

    Raises (any method):
        ExhaustedResource: the disk is full; nothing was stored.
    """

    def __init__(self, file: JournalFile, at_rest: AtRest) -> None:
        self._file = file
        self._at_rest = at_rest

    def former_voucher(self, session_id: QueryId) -> HeldVoucher | None:
        """The voucher that a former format stored of a session of the number, without its seed."""
        row = self._file.execute(
            "SELECT amount, r, vs FROM sessions WHERE session_id = ? AND seed = x''", (session_id,)
        ).fetchone()
        return None if row is None else HeldVoucher(Amount(row[0]), row[1], row[2])

    def take_over(self, session: Session) -> None:
        """What a former format stored of a session without its seed is this one's; who calls has
        found that its `former_voucher` is the payer's, or of no worth."""
        with self._file.transaction():
            for table in ("sessions", "session_statements"):
                self._file.execute(
                    f"UPDATE OR IGNORE {table} SET seed = ?"  # noqa: S608
                    " WHERE session_id = ? AND seed = x''",
                    (session.seed, session.session_id),
                )

    def open(self, session: Session, forget_at: Timestamp) -> None:
        """Keep a session, at least until `forget_at`."""
        self._file.execute(
            "INSERT OR IGNORE INTO sessions VALUES (?, ?, 0, ?, ?, 0, ?)",
            (*_key(session), bytes(32), bytes(32), forget_at),
        )

    def voucher(self, session: Session) -> HeldVoucher:
        """The newest voucher."""
        row = self._file.execute(
            "SELECT amount, r, vs FROM sessions WHERE session_id = ? AND seed = ?", _key(session)
        ).fetchone()
        return HeldVoucher() if row is None else HeldVoucher(Amount(row[0]), row[1], row[2])

    def keep_voucher(self, session: Session, voucher: HeldVoucher) -> None:
        """Store a voucher that is worth more than the one before; another one changes nothing."""
        self._file.execute(
            "UPDATE sessions SET amount = ?, r = ?, vs = ?"
            " WHERE session_id = ? AND seed = ? AND amount < ?",
            (voucher.amount, voucher.r, voucher.vs, *_key(session), voucher.amount),
        )

    def unredeemed(self) -> list[Account]:
        """Every session with a voucher that is worth more than was redeemed, oldest first."""
        rows = self._file.execute(
            "SELECT session_id, seed, amount, r, vs, redeemed FROM sessions"
            " WHERE amount > redeemed ORDER BY session_id, rowid"
        ).fetchall()
        return [
            Account(QueryId(number), seed, HeldVoucher(Amount(amount), r, vs), Amount(redeemed))
            for number, seed, amount, r, vs, redeemed in rows
        ]

    def redeemed(self, account: Account, amount: Amount) -> None:
        """The chain has paid `amount` of a voucher, all in all."""
        self._file.execute(
            "UPDATE sessions SET redeemed = ? WHERE session_id = ? AND seed = ?",
            (amount, account.session_id, account.seed),
        )

    def served(self, session: Session) -> int:
        """Statements that were signed in a session."""
        row = self._file.execute(
            "SELECT COUNT(*) FROM session_statements WHERE session_id = ? AND seed = ?",
            _key(session),
        ).fetchone()
        return int(row[0])

    def has_served(self, session: Session, request: ShareRequest) -> bool:
        """Whether a request was answered already, so that it may be sent again without payment.

        Raises:
            InvalidMessage: something else was asked for in this round.
            IntegrityError: stored under another key, or changed.
        """
        row = self._file.execute(
            "SELECT request FROM session_statements"
            " WHERE session_id = ? AND seed = ? AND number = ? AND round = ?",
            (*_key(session), request.number, request.round),
        ).fetchone()
        if row is not None and self._at_rest.decrypt(row[0]) != encode_request(request):
            raise InvalidMessage(ANOTHER_SHARE)
        return row is not None

    def admit_seed(self, session_id: QueryId, request: ShareRequest) -> None:
        """Remember a seed, by its hash, for the one share that it hides.

        Raises:
            ReusedRandomness: it came for another one before.
        """
        if request.seed is None:
            return
        place = (session_id, request.number, request.round)
        seed = keccak(request.seed)
        self._file.execute(
            "INSERT OR IGNORE INTO session_seeds VALUES (?, ?, ?, ?)", (seed, *place)
        )
        row = self._file.execute(
            "SELECT session_id, number, round FROM session_seeds WHERE seed = ?", (seed,)
        ).fetchone()
        if tuple(row) != place:
            raise ReusedRandomness("this seed came before; draw another for every share")

    def state(self, session: Session, request: ShareRequest, work: Work) -> None:
        """Store what is about to be signed, with the request so that it can be defended.

        Raises:
            InvalidMessage: something else was asked for in this round.
            IntegrityError: this machine made something else of the same share before.
        """
        place = (*_key(session), request.number, request.round)
        stored = self._at_rest.encrypt(encode_request(request))
        with self._file.transaction():
            self._refuse_contradiction(place, work)
            self._file.execute(
                "INSERT OR IGNORE INTO session_statements VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*place, work.in_digest, work.out_digest, stored),
            )

    def _refuse_contradiction(self, place: tuple[int, bytes, int, int], work: Work) -> None:
        row = self._file.execute(
            "SELECT in_digest FROM session_statements"
            " WHERE session_id = ? AND seed = ? AND number = ? AND round = ?",
            place,
        ).fetchone()
        if row is not None and row[0] != work.in_digest:
            raise InvalidMessage(ANOTHER_SHARE)
        row = self._file.execute(
            "SELECT out_digest FROM session_statements"
            " WHERE session_id = ? AND seed = ? AND number = ? AND in_digest = ?",
            (*place[:3], work.in_digest),
        ).fetchone()
        if row is not None and row[0] != work.out_digest:
            raise IntegrityError("this machine made other sums of this share before")

    def requests(self, session_id: QueryId, in_digest: Digest) -> Iterator[bytes]:
        """Encoded requests whose share has a digest.

        Raises:
            IntegrityError: stored under another key, or changed.
        """
        rows = self._file.execute(
            "SELECT request FROM session_statements WHERE session_id = ? AND in_digest = ?",
            (session_id, in_digest),
        ).fetchall()
        yield from (self._at_rest.decrypt(row[0]) for row in rows)

    def keep_longer(self, session_id: QueryId, forget_at: Timestamp) -> None:
        """What was signed in a session is disputed and stays until `forget_at` at least."""
        self._file.execute(
            "UPDATE sessions SET forget_at = ? WHERE session_id = ? AND forget_at < ?",
            (forget_at, session_id, forget_at),
        )

    def prune(self, now: Timestamp) -> None:
        """Drop sessions that need not be kept any longer; seeds are remembered for good."""
        over = "SELECT session_id, seed FROM sessions WHERE forget_at < ?"
        self._file.execute(
            f"DELETE FROM session_statements WHERE (session_id, seed) IN ({over})",  # noqa: S608
            (now,),
        )
        self._file.execute("DELETE FROM sessions WHERE forget_at < ?", (now,))


def _key(session: Session) -> tuple[int, bytes]:
    return session.session_id, session.seed
