"""The journal moves by compare-and-set and forgets nothing that it should not."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nesa.chain.abi import ContractCall
from nesa.chain.events import LogKey
from nesa.chain.logs import Cursor, ReadBlock
from nesa.chain.sender import Fees, Intent
from nesa.protocol.errors import ExhaustedResource, Incompatible, InvalidConfiguration
from nesa.protocol.ids import BlockNumber, Digest, Timestamp
from nesa_oracle.journal import Job, JobKey, Journal, Phase
from tests.oracle.cases import MARKET, query_with

KEY = JobKey((7, 0))


def log(number: int) -> LogKey:
    digest = Digest(number.to_bytes(32, "big"))
    return LogKey(BlockNumber(number), 0, digest, digest)


def intent(number: int) -> Intent:
    call = ContractCall(MARKET, b"report", "fulfil")
    return Intent(call, 3, Digest(number.to_bytes(32, "big")), b"raw", Fees(1, 1))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal(tmp_path / "journal.sqlite", "me")
    opened.open(log(1), query_with(), b"input")
    return opened


def phase(journal: Journal) -> Phase:
    job = journal.job(KEY)
    assert job is not None
    return job.phase


def test_a_job_goes_its_way_and_survives_every_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    steps = [
        (Phase.SEEN, lambda journal: journal.open(log(1), query_with(), b"input")),
        (Phase.GATHERED, lambda journal: journal.gathered(KEY, b"report")),
        (Phase.SENT, lambda journal: journal.sending(KEY, intent(1))),
        (Phase.MINED, lambda journal: journal.end(KEY, log(5))),
        (Phase.FINAL, lambda journal: journal.finish(KEY)),
    ]
    for expected, step in steps:
        journal = Journal(path, "me")
        step(journal)
        journal.close()
        again = Journal(path, "me")
        assert phase(again) is expected
        again.close()


def test_no_step_is_taken_from_the_wrong_phase(journal: Journal) -> None:
    assert not journal.sending(KEY, intent(1))
    assert journal.gathered(KEY, b"report")
    assert not journal.gathered(KEY, b"other")
    journal.end(KEY, log(5))
    assert not journal.sending(KEY, intent(2))
    assert not journal.discard_report(KEY)
    assert phase(journal) is Phase.MINED


def test_every_signed_transaction_is_remembered(journal: Journal) -> None:
    journal.gathered(KEY, b"report")
    journal.sending(KEY, intent(1))
    journal.sending(KEY, intent(2))
    assert journal.sent_hashes(KEY) == [intent(1).tx_hash, intent(2).tx_hash]


def test_an_undone_request_is_forgotten(journal: Journal) -> None:
    journal.undo(log(1))
    assert journal.job(KEY) is None


def test_an_undone_answer_is_owed_again(journal: Journal) -> None:
    journal.gathered(KEY, b"report")
    journal.end(KEY, log(5))
    journal.undo(log(5))
    job = journal.job(KEY)
    assert job is not None
    assert (job.phase, job.report, job.ended_at) == (Phase.GATHERED, b"report", None)


def test_an_undone_answer_of_somebody_else_is_owed_from_the_start(journal: Journal) -> None:
    journal.end(KEY, log(5))
    journal.undo(log(5))
    assert phase(journal) is Phase.SEEN


def test_a_request_in_another_block_starts_anew(journal: Journal) -> None:
    journal.gathered(KEY, b"report")
    moved = replace(query_with(), seed_block=BlockNumber(99))
    journal.open(log(2), moved, b"input")
    job = journal.job(KEY)
    assert job is not None
    assert (job.phase, job.query, job.report) == (Phase.SEEN, moved, None)


def waiting(journal: Journal) -> Job:
    """The job once it is answered by log 5 and waits to be delivered at 1,200."""
    journal.end(KEY, log(5))
    journal.await_delivery(KEY, Timestamp(1_200), 8)
    return stored(journal)


def stored(journal: Journal) -> Job:
    job = journal.job(KEY)
    assert job is not None
    return job


def test_an_answer_to_be_delivered_is_not_over(journal: Journal) -> None:
    job = waiting(journal)
    assert (job.closes_at, job.delay, job.over_at) == (1_200, 8, None)
    assert (job.is_due(Timestamp(1_208)), job.is_due(Timestamp(1_209))) == (False, True)
    journal.delivered(7, log(9))
    assert stored(journal).over_at == 9


def test_a_dispute_puts_the_delivery_off_and_never_forward(journal: Journal) -> None:
    waiting(journal)
    journal.postpone_delivery(7, Timestamp(1_300))
    journal.postpone_delivery(7, Timestamp(1_100))
    assert stored(journal).closes_at == 1_300
    journal.postpone_delivery(8, Timestamp(1_400))
    assert stored(journal).closes_at == 1_300


def test_an_undone_delivery_is_owed_again(journal: Journal) -> None:
    waiting(journal)
    journal.delivered(7, log(9))
    journal.undo(log(9))
    assert (stored(journal).over_at, stored(journal).closes_at) == (None, 1_200)


def test_with_its_answer_a_delivery_is_undone(journal: Journal) -> None:
    waiting(journal)
    journal.undo(log(5))
    assert (stored(journal).phase, stored(journal).closes_at) == (Phase.SEEN, None)


def test_an_answer_that_is_read_after_the_deadline_is_delivered_too(journal: Journal) -> None:
    journal.finish(KEY)  # nobody seemed to answer
    assert [job.key for job in journal.unanswered(7)] == [KEY]
    assert waiting(journal).phase is Phase.MINED
    assert journal.unanswered(7) == []
    assert [job.key for job in journal.unfinished()] == [KEY]


def test_an_agreed_answer_leaves_nothing_to_deliver(journal: Journal) -> None:
    journal.end(KEY, log(5))
    journal.delivered(7, log(9))
    journal.postpone_delivery(7, Timestamp(1_300))
    assert (stored(journal).over_at, stored(journal).closes_at) == (5, None)


def test_a_journal_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = Journal(path, "me")
    first.open(log(1), query_with(), b"input")
    for column in ("closes_at", "delay", "delivered_by", "delivered_at"):
        first._database.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    first._database.execute("PRAGMA user_version = 1")
    first.close()
    again = Journal(path, "me")
    assert waiting(again).closes_at == 1_200


def test_cursor_and_effects_are_stored_together(journal: Journal) -> None:
    cursor = Cursor((ReadBlock(BlockNumber(4), Digest(bytes(32))),))
    with pytest.raises(RuntimeError), journal.transaction():
        journal.end(KEY, log(5))
        journal.set_cursor(cursor)
        raise RuntimeError
    assert (journal.cursor(), phase(journal)) == (None, Phase.SEEN)
    with journal.transaction():
        journal.set_cursor(cursor)
    assert journal.cursor() == cursor


def test_only_unfinished_jobs_are_taken_up(journal: Journal) -> None:
    assert [job.key for job in journal.unfinished()] == [KEY]
    journal.finish(KEY)
    assert journal.unfinished() == []


def test_a_later_attempt_finds_the_input_of_one_that_expired(journal: Journal) -> None:
    journal.finish(KEY)
    assert journal.input_of(7) == b"input"
    journal.open(log(3), replace(query_with(), attempt=1), journal.input_of(7))
    journal.forget_finished(7)
    assert journal.job(KEY) is None
    assert journal.input_of(7) == b"input"
    assert journal.input_of(8) == b""


WRITES: dict[str, Callable[[Journal], object]] = {
    "open": lambda journal: journal.open(log(2), query_with(), b"input"),
    "end": lambda journal: journal.end(KEY, log(5)),
    "await_delivery": lambda journal: journal.await_delivery(KEY, Timestamp(1_200), 0),
    "postpone_delivery": lambda journal: journal.postpone_delivery(7, Timestamp(1_200)),
    "delivered": lambda journal: journal.delivered(7, log(9)),
    "undo": lambda journal: journal.undo(log(1)),
    "gathered": lambda journal: journal.gathered(KEY, b"report"),
    "sending": lambda journal: journal.sending(KEY, intent(1)),
    "discard_report": lambda journal: journal.discard_report(KEY),
    "finish": lambda journal: journal.finish(KEY),
    "forget_finished": lambda journal: journal.forget_finished(7),
    "set_cursor": lambda journal: journal.set_cursor(Cursor(())),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_the_disk_does_not_take_is_told_by_its_name(journal: Journal, name: str) -> None:
    journal._database.execute("PRAGMA query_only = ON")
    with pytest.raises(ExhaustedResource, match="nothing was lost"):
        WRITES[name](journal)
    assert phase(journal) is Phase.SEEN


def test_a_journal_belongs_to_one_signer_and_deployment(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path, "me").close()
    with pytest.raises(Incompatible, match="another deployment or signer"):
        Journal(path, "somebody else")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_other_files_are_no_journals(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database, but long enough to be looked at" * 20)
    with pytest.raises(InvalidConfiguration, match="cannot be used as a journal"):
        Journal(path, "me")
