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
from nesa.protocol.ids import BlockNumber, Digest
from nesa_oracle.journal import JobKey, Journal, Phase
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
