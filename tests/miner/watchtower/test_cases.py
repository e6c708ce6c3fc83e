"""What a watchtower does about an answer, from nothing but what it knows of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nesa.chain.disputes import Ending
from nesa.chain.docket import EMPTY, bonds_of, fold
from nesa.chain.events import ChallengeEnded, ChallengeOpened
from nesa.protocol.errors import Incompatible
from nesa.protocol.ids import Address, QueryId, Timestamp
from nesa_miner.journal_file import Format, JournalFile
from nesa_miner.watchtower.cases import (
    Accuse,
    Case,
    Forget,
    Inspect,
    is_sampled,
    next_step,
)
from nesa_miner.watchtower.journal import (
    FORMAT,
    KEPT_SECONDS,
    MOST_CHECKED,
    Checked,
    WatchJournal,
)
from tests.miner.disputes.memory_court import CHALLENGER, CLIENT
from tests.miner.disputes.test_duties import FIRST, KEY, OPENED, SECOND
from tests.protocol.test_faults import said, twofold

CASE = Case(b"log", QueryId(7), Timestamp(100))
WRONG = replace(CASE, wrong_shard=0)
MARKET = Address("0x" + "11" * 20)


def test_an_answer_is_inspected_until_its_windows_close() -> None:
    assert next_step(CASE, EMPTY, CHALLENGER, Timestamp(100)) == Inspect()
    for case in (CASE, WRONG):
        assert next_step(case, EMPTY, CHALLENGER, Timestamp(101)) == Forget()


def test_a_wrong_answer_is_challenged_once_whatever_comes_of_it() -> None:
    now = Timestamp(50)
    assert next_step(WRONG, EMPTY, CHALLENGER, now) == Accuse(0)
    assert next_step(WRONG, fold([OPENED]), CHALLENGER, now) is None
    lost = ChallengeEnded(KEY, 1, QueryId(7), Ending.STANDING)
    assert next_step(WRONG, fold([OPENED, lost]), CHALLENGER, now) is None


def test_a_sham_challenge_keeps_nobody_from_a_true_one() -> None:
    sham = ChallengeOpened(KEY, 2, CLIENT, QueryId(7), SECOND)
    stood = ChallengeEnded(KEY, 2, QueryId(7), Ending.STANDING)
    for docket in (fold([sham]), fold([sham, stood])):
        assert next_step(WRONG, docket, CHALLENGER, Timestamp(50)) == Accuse(0)
    fallen = ChallengeEnded(KEY, 2, QueryId(7), Ending.FALLEN)
    assert next_step(WRONG, fold([sham, fallen]), CHALLENGER, Timestamp(50)) is None


def test_a_challenge_of_another_shard_is_another_matter() -> None:
    second = replace(WRONG, wrong_shard=1)
    assert next_step(second, fold([OPENED]), CHALLENGER, Timestamp(5)) == Accuse(1)


def test_bonds_are_out_until_their_challenges_end() -> None:
    docket = fold([OPENED, ChallengeOpened(KEY, 2, CLIENT, QueryId(7), SECOND)])
    assert bonds_of(docket, CHALLENGER) == FIRST.bond
    ended = fold([OPENED, ChallengeEnded(KEY, 1, QueryId(7), Ending.FALLEN)])
    assert bonds_of(ended, CHALLENGER) == 0


def test_the_sample_is_the_share_and_only_its_owner_knows_it() -> None:
    one, other = bytes(32), bytes(31) + b"\1"
    numbers = [QueryId(number) for number in range(2_000)]

    def sample(secret: bytes, share: float) -> list[bool]:
        return [is_sampled(secret, 1, MARKET, number, share) for number in numbers]

    assert all(sample(one, 1.0))
    assert not any(sample(one, 0.0))
    assert 400 < sum(sample(one, 0.25)) < 600
    assert sample(one, 0.25) == sample(one, 0.25) != sample(other, 0.25)


def test_a_journal_keeps_cases_and_its_secret(tmp_path: Path) -> None:
    journal = WatchJournal(tmp_path / "journal.sqlite", b"me")
    for case in (CASE, WRONG, replace(CASE, log_key=b"another")):
        journal.keep_case(case)
    secret = journal.secret
    journal.close()
    again = WatchJournal(tmp_path / "journal.sqlite", b"me")
    assert again.cases() == [WRONG, replace(CASE, log_key=b"another")]
    assert again.secret == secret
    again.forget_case(WRONG.log_key)
    assert len(again.cases()) == 1
    again.close()


def test_a_journal_serves_one_account(tmp_path: Path) -> None:
    WatchJournal(tmp_path / "journal.sqlite", b"me").close()
    with pytest.raises(Incompatible):
        WatchJournal(tmp_path / "journal.sqlite", b"somebody else")


def test_a_journal_of_the_release_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    old = Format(1, FORMAT.schema.removesuffix(FORMAT.changes[1]))
    file = JournalFile(path, b"me", old)
    file.execute("INSERT INTO cases VALUES (?, ?, ?, ?)", (CASE.log_key, 1, 2, None))
    file.close()
    journal = WatchJournal(path, b"me")
    assert len(journal.cases()) == 1
    assert journal.checked(10) == []
    journal.close()


def test_evidence_and_slashes_are_kept_for_a_while(tmp_path: Path) -> None:
    journal = WatchJournal(tmp_path / "journal.sqlite", b"me")
    fault = twofold(said(2, 9), said(2, 8, round_=1))
    journal.keep_equivocation(MARKET, fault, Timestamp(0))
    journal.keep_slash(b"log", MARKET, Timestamp(0))
    journal.forget_old(Timestamp(KEPT_SECONDS))
    assert (journal.equivocations(), journal.slashed()) == ([(MARKET, fault)], [MARKET])
    journal.forget_old(Timestamp(KEPT_SECONDS + 1))
    assert (journal.equivocations(), journal.slashed()) == ([], [])
    journal.close()


def test_only_the_newest_verdicts_are_remembered(tmp_path: Path) -> None:
    journal = WatchJournal(tmp_path / "journal.sqlite", b"me")
    for number in (1, 2, 2 + MOST_CHECKED):
        journal.keep_checked(Checked(QueryId(number), "right", "", Timestamp(0)))
    assert [one.query_id for one in journal.checked(5)] == [2 + MOST_CHECKED]
    assert journal.verdicts() == {"right": 1}
    journal.close()
