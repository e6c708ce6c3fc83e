"""The journal forgets nothing that another party may have seen."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nesa.protocol.errors import (
    ExhaustedResource,
    Incompatible,
    IntegrityError,
    InvalidConfiguration,
)
from nesa_miner.at_rest import AtRest
from nesa_miner.jobs import JobKey, Phase, StoredClaim, WorkKey
from nesa_miner.journal import Journal

KEY = JobKey((7, 0))
WORK = WorkKey(KEY, b"seed", b"in digest")
OTHER_WORK = WorkKey(KEY, b"another seed", b"in digest")
ENCRYPTION_KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
AT_REST = AtRest(ENCRYPTION_KEY)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", b"identity", AT_REST)


def add(journal: Journal, log_key: bytes = b"log") -> bool:
    with journal.transaction():
        return journal.add_job(KEY, log_key, b"query", b"input")


def test_a_new_job_waits_for_its_seed(journal: Journal) -> None:
    assert add(journal)
    job = journal.job(KEY)
    assert job is not None
    assert (job.phase, job.shard, job.seed) == (Phase.SEEN, None, None)


def test_the_same_log_opens_a_job_once(journal: Journal) -> None:
    add(journal)
    assert not add(journal)


def test_a_moved_log_starts_the_job_anew(journal: Journal) -> None:
    filled(journal)
    assert add(journal, b"log after a reorganisation")
    (job,) = journal.open_jobs()
    assert (job.phase, job.seed, job.shard) == (Phase.SEEN, None, None)
    assert journal.evidence(KEY, 0) == []


def test_a_phase_moves_only_from_where_it_was(journal: Journal) -> None:
    add(journal)
    assert not journal.move(KEY, Phase.DRAWN, Phase.SETTLED)
    assert journal.draw(KEY, b"seed", 1, 3)
    assert not journal.draw(KEY, b"another seed", 0, 0)
    assert journal.move(KEY, Phase.DRAWN, Phase.SETTLED)


def test_an_ended_job_is_not_open(journal: Journal) -> None:
    add(journal)
    journal.end(KEY, 1_000)
    assert journal.open_jobs() == []


def test_two_processes_do_not_sign_from_one_journal(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nesa_miner.journal_file.LOCK_SECONDS", 0.05)
    with pytest.raises(InvalidConfiguration, match="another process"):
        Journal(tmp_path / "journal.sqlite", b"identity", AT_REST)
    journal.close()
    Journal(tmp_path / "journal.sqlite", b"identity", AT_REST).close()


def filled(journal: Journal) -> None:
    add(journal)
    journal.draw(KEY, b"seed", 0, 2)
    journal.add_record(WORK, b"lock")
    journal.keep_content_key(KEY, b"input", b"key")
    journal.keep_handoff(KEY, b"seed", 1, b"tensors")
    journal.keep_evidence(WORK, 0, b"evidence")


def test_another_seed_has_nothing_but_the_content_key(journal: Journal) -> None:
    filled(journal)
    journal.redraw(KEY)
    journal.draw(KEY, b"another seed", 0, 1)
    assert journal.records(OTHER_WORK) == []
    assert journal.evidence(KEY, 0) == []
    assert journal.handoffs(KEY, b"another seed") == []
    assert journal.content_key(KEY, b"input") == b"key"


def test_a_seed_that_comes_back_finds_everything_as_it_was(journal: Journal) -> None:
    filled(journal)
    journal.redraw(KEY)
    journal.undo([b"log"], 1_000)
    journal.prune(1_000)
    add(journal, b"another log")
    journal.undo([b"another log"], 1_000)
    add(journal)
    journal.draw(KEY, b"seed", 0, 2)
    assert journal.records(WORK) == [b"lock"]
    assert journal.evidence(KEY, 0) == [b"evidence"]
    assert journal.handoffs(KEY, b"seed") == [(1, b"tensors")]


def test_what_was_undone_and_stays_so_is_forgotten_in_the_end(journal: Journal) -> None:
    filled(journal)
    journal.undo([b"log"], 1_000)
    assert journal.reopen_unanswered(0) == []
    assert journal.reopen_undrawn(0, 7) == []
    journal.prune(1_001)
    add(journal)
    journal.draw(KEY, b"seed", 0, 2)
    assert journal.records(WORK) == []
    assert journal.content_key(KEY, b"input") is None


def test_what_is_answered_is_kept_for_a_while_and_then_forgotten(journal: Journal) -> None:
    filled(journal)
    journal.conclude(7, b"answer", 1_000)
    journal.prune(1_000)
    assert journal.evidence(KEY, 0) == [b"evidence"]
    journal.prune(1_001)
    assert journal.job(KEY) is None
    assert journal.records(WORK) == []
    assert journal.evidence(KEY, 0) == []
    assert journal.handoffs(KEY, b"seed") == []


def test_a_query_that_may_be_asked_again_keeps_its_input(journal: Journal) -> None:
    filled(journal)
    journal.end(KEY, 1_000)
    journal.prune(1_001)
    assert journal.records(WORK) == []
    job = journal.job(KEY)
    assert job is not None
    assert job.input == b"input"
    journal.conclude(7, b"refund", 2_000)
    journal.prune(2_001)
    assert journal.job(KEY) is None


def test_an_undone_answer_opens_its_job_again(journal: Journal) -> None:
    filled(journal)
    journal.conclude(7, b"answer", 1_000)
    assert journal.undo([b"answer"], 2_000) == ([], [KEY])
    assert journal.open_jobs()[0].phase is Phase.DRAWN
    journal.prune(2_000)
    assert journal.records(WORK) == [b"lock"]


def test_only_those_who_were_not_drawn_look_again(journal: Journal) -> None:
    add(journal)
    journal.end(KEY, 1_000)
    assert journal.reopen_undrawn(1_001, 7) == []
    assert journal.reopen_undrawn(1_000, 8) == []
    assert journal.reopen_undrawn(1_000, 7) == [KEY]
    journal.draw(KEY, b"seed", 0, 2)
    journal.end(KEY, 1_000)
    assert journal.reopen_undrawn(1_000, 7) == []


def test_after_a_reorganisation_all_that_is_not_answered_looks_again(journal: Journal) -> None:
    add(journal)
    journal.draw(KEY, b"seed", 0, 2)
    journal.end(KEY, 1_000)
    assert journal.reopen_unanswered(1_001) == []
    assert journal.reopen_unanswered(1_000) == [KEY]
    job = journal.job(KEY)
    assert job is not None
    assert (job.phase, job.position) == (Phase.DRAWN, 2)
    journal.conclude(7, b"answer", 1_000)
    assert journal.reopen_unanswered(1_000) == []


def test_claims_of_others_add_up_and_can_be_undone(journal: Journal) -> None:
    journal.add_claimed(b"nobody's business", 7, 0, 0b1)
    journal.add_claim(KEY, b"answer", b"claim")
    journal.add_claimed(b"first", 7, 0, 0b0111)
    journal.add_claimed(b"second", 7, 1, 0b1111)
    assert journal.claims() == [StoredClaim(KEY, b"claim", {0: 0b0111, 1: 0b1111})]
    journal.undo([b"second"], 1_000)
    assert journal.claims() == [StoredClaim(KEY, b"claim", {0: 0b0111})]
    journal.undo([b"answer"], 1_000)
    assert journal.claims() == []


def test_an_undone_log_takes_its_job_along(journal: Journal) -> None:
    add(journal)
    assert journal.undo([b"unknown", b"log"], 1_000) == ([KEY], [])
    assert journal.job(KEY) is None


def test_records_come_back_in_order(journal: Journal) -> None:
    for body in (b"salt", b"lock", b"certificate"):
        journal.add_record(WORK, body)
    assert journal.records(WORK) == [b"salt", b"lock", b"certificate"]
    assert journal.records(WORK._replace(in_digest=b"another input")) == []
    assert journal.records(WORK._replace(job=JobKey((7, 1)))) == []


def test_the_first_content_key_of_an_input_stays(journal: Journal) -> None:
    journal.keep_content_key(KEY, b"input", b"first")
    journal.keep_content_key(KEY, b"input", b"second")
    journal.keep_content_key(KEY, b"another input", b"third")
    assert journal.content_key(KEY, b"input") == b"first"
    assert journal.content_key(KEY, b"another input") == b"third"


def test_hand_overs_come_back_in_the_order_of_their_arrival(journal: Journal) -> None:
    for position in (1, 0, 1):
        journal.keep_handoff(KEY, b"seed", position, b"from %d" % position)
    assert journal.handoffs(KEY, b"seed") == [(1, b"from 1"), (0, b"from 0"), (1, b"from 1")]


def test_newer_evidence_replaces_older(journal: Journal) -> None:
    filled(journal)
    journal.keep_evidence(WORK, 0, b"four results")
    assert journal.evidence(KEY, 0) == [b"four results"]


def test_every_input_has_evidence_of_its_own(journal: Journal) -> None:
    filled(journal)
    second = WORK._replace(in_digest=b"another")
    journal.keep_evidence(second, 0, b"more")
    journal.keep_evidence(WORK, 0, b"proved")
    assert journal.evidence(KEY, 0) == [b"proved", b"more"]
    assert journal.evidence_size(KEY, 0) == len(b"proved" + b"more")
    assert journal.evidence_of(second) == b"more"
    assert journal.evidence_size(KEY, 1) == 0


def test_records_and_messages_are_unreadable_on_disk(journal: Journal, tmp_path: Path) -> None:
    journal.add_record(WORK, b"a sealed tensor")
    journal.keep_handoff(KEY, b"seed", 0, b"another sealed tensor")
    journal.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"sealed tensor" not in stored


def test_another_encryption_key_cannot_read_the_records(journal: Journal, tmp_path: Path) -> None:
    journal.add_record(WORK, b"a sealed tensor")
    journal.close()
    stranger = AtRest(X25519PrivateKey.generate())
    other = Journal(tmp_path / "journal.sqlite", b"identity", stranger)
    with pytest.raises(IntegrityError, match="another key"):
        other.records(WORK)


def test_a_failed_transaction_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(KeyError), journal.transaction():
        journal.add_job(KEY, b"log", b"query", b"input")
        journal.set_fact("cursor", b"12")
        raise KeyError
    assert journal.job(KEY) is None
    assert journal.fact("cursor") is None


def test_another_identity_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.sqlite", b"identity", AT_REST).close()
    with pytest.raises(Incompatible, match="another deployment or signer"):
        Journal(tmp_path / "journal.sqlite", b"somebody else", AT_REST)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(InvalidConfiguration, match="cannot be used as a journal"):
        Journal(tmp_path / "journal.sqlite", b"identity", AT_REST)


def test_a_full_disk_is_said_and_loses_nothing(journal: Journal) -> None:
    add(journal)
    pages = journal._file.execute("PRAGMA page_count").fetchone()[0]
    journal._file.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ExhaustedResource, match="disk"), journal.transaction():
        journal.add_record(WORK, bytes(1 << 20))
    assert journal.records(WORK) == []
    with pytest.raises(ExhaustedResource, match="disk"):
        journal.add_record(WORK, bytes(1 << 20))
    assert journal.job(KEY) is not None


WRITER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from nesa_miner.at_rest import AtRest
from nesa_miner.jobs import JobKey, WorkKey
from nesa_miner.journal import Journal
key = X25519PrivateKey.from_private_bytes(bytes(range(32)))
journal = Journal(Path(sys.argv[1]), b"identity", AtRest(key))
for number in range(10_000):
    with journal.transaction():
        journal.add_record(WorkKey(JobKey((7, 0)), b"seed", b"in digest"), b"%d" % number)
    print(number, flush=True)
"""


def test_what_was_stored_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    seen = [int(writer.stdout.readline()) for _ in range(20)]
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    stored = [int(body) for body in Journal(path, b"identity", AT_REST).records(WORK)]
    assert stored[: len(seen)] == seen
    assert stored == list(range(len(stored)))


def test_a_journal_of_the_format_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, b"identity", AT_REST)
    add(journal)
    journal.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        since = ("sessions", "session_statements", "session_seeds")
        for table in ("court_events", "releases", "statements", *since):
            database.execute(f"DROP TABLE {table}")
        database.execute("PRAGMA user_version = 4")
    again = Journal(path, b"identity", AT_REST)
    assert again.job(KEY) is not None
    assert again.court_log.events() == []
    again.close()
    Journal(path, b"identity", AT_REST).close()
