"""What a member stores of sessions, when a number becomes another client's and formats change."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.privacy.shared.members import Work
from nesa.privacy.shared.wire import ShareRequest, encode_request
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Amount, Digest, Timestamp
from nesa_miner.at_rest import AtRest
from nesa_miner.journal import Journal
from nesa_miner.sessions.ledger import SESSIONS_SINCE_7
from nesa_miner.sessions.terms import HeldVoucher

from .attended import PRICE, SESSION

AFTER = replace(SESSION, seed=Digest(b"\x23" * 32))
"""Another session of the same number, after a reorganisation."""

FAR = Timestamp(4_100_000_000)
VOUCHER = HeldVoucher(PRICE, b"\1" * 32, b"\2" * 32)
SHARE = ShareRequest(0, 0, None, bytes(3))
OTHER_SHARE = ShareRequest(0, 0, None, bytes([1, 2, 3]))
WORK = Work(Digest(b"\3" * 32), Digest(b"\4" * 32), b"")
OTHER_WORK = Work(Digest(b"\5" * 32), Digest(b"\6" * 32), b"")
AT_REST = AtRest(X25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Journal]:
    journal = Journal(path, b"identity", AT_REST)
    try:
        yield journal
    finally:
        journal.close()


def test_another_session_of_the_number_begins_anew(path: Path) -> None:
    with opened(path) as journal:
        ledger = journal.sessions
        ledger.open(SESSION, Timestamp(1))
        ledger.keep_voucher(SESSION, VOUCHER)
        ledger.state(SESSION, SHARE, WORK)
        ledger.take_over(AFTER)
        assert ledger.voucher(AFTER) == HeldVoucher()
        assert ledger.served(AFTER) == 0
        assert not ledger.has_served(AFTER, OTHER_SHARE)
        ledger.open(AFTER, FAR)
        ledger.state(AFTER, OTHER_SHARE, OTHER_WORK)
        assert ledger.voucher(SESSION) == VOUCHER
        with pytest.raises(InvalidMessage, match="count the round up"):
            ledger.has_served(SESSION, OTHER_SHARE)
        ledger.prune(Timestamp(2))
        assert (ledger.served(SESSION), ledger.served(AFTER)) == (0, 1)


def test_one_sessions_payment_is_not_the_others(path: Path) -> None:
    with opened(path) as journal:
        for session in (SESSION, AFTER):
            journal.sessions.open(session, FAR)
            journal.sessions.keep_voucher(session, VOUCHER)
        first, second = journal.sessions.unredeemed()
        journal.sessions.redeemed(first, PRICE)
        assert journal.sessions.unredeemed() == [second]


def test_what_a_former_format_stored_is_kept(path: Path) -> None:
    with opened(path):
        pass
    stored = AT_REST.encrypt(encode_request(SHARE))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        for table in ("sessions", "session_statements", "session_seeds"):
            database.execute(f"DROP TABLE {table}")
        database.executescript(SESSIONS_SINCE_7)
        number = SESSION.session_id
        row = (number, PRICE, VOUCHER.r, VOUCHER.vs, FAR)
        database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, 0, ?)", row)
        digests = (WORK.in_digest, WORK.out_digest)
        said = (number, *digests, stored)
        database.execute("INSERT INTO session_statements VALUES (?, 0, 0, ?, ?, ?)", said)
        database.execute("PRAGMA user_version = 7")
    with opened(path) as journal:
        (account,) = journal.sessions.unredeemed()
        assert (account.voucher, account.redeemed) == (VOUCHER, Amount(0))
        journal.sessions.take_over(SESSION)
        assert journal.sessions.voucher(SESSION) == VOUCHER
        assert journal.sessions.has_served(SESSION, SHARE)
        assert list(journal.sessions.requests(number, WORK.in_digest)) == [encode_request(SHARE)]


def test_a_taken_over_journal_has_the_tables_of_a_new_one(path: Path) -> None:
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        made = "SELECT name, sql FROM sqlite_master WHERE name LIKE 'session%' ORDER BY name"
        fresh = database.execute(made).fetchall()
        for table in ("sessions", "session_statements", "session_seeds"):
            database.execute(f"DROP TABLE {table}")
        database.executescript(SESSIONS_SINCE_7)
        database.execute("PRAGMA user_version = 7")
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute(made).fetchall() == fresh
