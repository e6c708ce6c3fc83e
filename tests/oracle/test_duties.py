"""The next thing to do follows from the job and the chain alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nesa.chain.committees import Seat
from nesa.protocol.ids import Address, BlockNumber, Timestamp
from nesa_oracle.duties import (
    LATE_SEED_BLOCKS,
    SEED_BLOCKS,
    Deliver,
    Duty,
    Finish,
    Gather,
    PinSeed,
    ReadDraw,
    Situation,
    Submit,
    next_action,
)
from nesa_oracle.journal import Job, JobKey, Phase
from tests.oracle.cases import committees_of, query_with

ME = Address("0x" + "1" * 40)
OTHER = Address("0x" + "2" * 40)
QUERY = query_with()


def seat(signer: Address) -> Seat:
    return Seat(0, signer, signer, "", b"")


def duty(phase: Phase = Phase.SEEN, oracles: tuple[Address, ...] = (ME, OTHER), **more: object):
    job = Job(JobKey((7, 0)), phase, QUERY, b"", None, b"report")
    drawn = committees_of(QUERY, oracles=[seat(signer) for signer in oracles])
    return replace(Duty(job, drawn), **more)  # type: ignore[arg-type]


def at(time: int = 1_001, block: int = 12, finality: int = 2) -> Situation:
    return Situation(BlockNumber(block), Timestamp(time), ME, finality)


def test_the_draw_is_read_once_the_seed_block_is_there() -> None:
    assert next_action(duty(committees=None), at(block=9)) is None
    assert next_action(duty(committees=None), at(block=10)) == ReadDraw()


def test_the_first_oracle_gathers_at_once() -> None:
    assert next_action(duty(), at()) == Gather()


def test_a_later_oracle_gathers_shortly_before_its_turn() -> None:
    waiting = duty(oracles=(OTHER, ME))
    assert next_action(waiting, at(time=1_004)) is None
    assert next_action(waiting, at(time=1_005)) == Gather()


@pytest.mark.parametrize("phase", [Phase.GATHERED, Phase.SENT])
def test_a_report_is_sent_in_turn_only(phase: Phase) -> None:
    assert next_action(duty(phase), at(time=1_005)) == Submit(Timestamp(1_006))
    assert next_action(duty(phase), at(time=1_007)) is None
    later = duty(phase, oracles=(OTHER, ME))
    assert next_action(later, at(time=1_005)) is None
    assert next_action(later, at(time=1_008)) == Submit(Timestamp(1_014))


def test_after_the_last_turn_it_is_sent_by_anybody() -> None:
    stranger = duty(Phase.GATHERED, oracles=(OTHER,))
    assert isinstance(next_action(stranger, at(time=1_020)), Submit)


def test_what_is_under_way_is_not_started_twice() -> None:
    assert next_action(duty(is_busy=True), at()) is None


def test_after_the_deadline_the_job_is_over() -> None:
    assert next_action(duty(Phase.SENT), at(time=1_061)) == Finish("nobody answered in time")


def test_an_answer_is_forgotten_when_it_is_deep_enough() -> None:
    ended = duty(Phase.MINED)
    job = replace(ended.job, ended_at=BlockNumber(20))
    ended = replace(ended, job=job)
    assert next_action(ended, at(block=21)) is None
    assert next_action(ended, at(block=22)) == Finish("ended")


def waiting(delay: int = 0, **more: object) -> Duty:
    """An answered job whose windows end at 1,200."""
    ended = duty(Phase.MINED)
    due = {"ended_at": BlockNumber(20), "closes_at": Timestamp(1_200), "delay": delay}
    return replace(ended, job=replace(ended.job, **due | more))


def test_an_answer_that_waits_for_its_delivery_is_not_forgotten() -> None:
    assert next_action(waiting(), at(time=1_200, block=99)) is None


def test_an_answer_is_delivered_once_its_windows_are_over() -> None:
    assert next_action(waiting(), at(time=1_201)) == Deliver()
    assert next_action(waiting(delay=8), at(time=1_208)) is None
    assert next_action(waiting(delay=8), at(time=1_209)) == Deliver()


def test_a_delivery_is_forgotten_when_it_is_deep_enough() -> None:
    delivered = waiting(delivered_at=BlockNumber(50))
    assert next_action(delivered, at(time=1_300, block=51)) is None
    assert next_action(delivered, at(time=1_300, block=52)) == Finish("ended")


def test_an_oracle_knows_the_queries_that_it_was_drawn_for() -> None:
    assert duty().is_drawn(ME)
    assert not duty(oracles=(OTHER,)).is_drawn(ME)
    assert not duty(committees=None).is_drawn(ME)


@pytest.mark.parametrize("phase", [Phase.SEEN, Phase.GATHERED, Phase.SENT])
def test_an_old_seed_is_pinned_before_it_is_forgotten(phase: Phase) -> None:
    old = at(block=QUERY.seed_block + SEED_BLOCKS + 1)
    assert next_action(duty(phase), old) == PinSeed()
    assert isinstance(next_action(duty(phase, is_pinned=True), old), Gather | Submit)


def test_a_seed_that_nobody_pins_is_pinned_before_the_turn() -> None:
    waiting = duty(oracles=(OTHER, ME))
    assert next_action(waiting, at(block=QUERY.seed_block + SEED_BLOCKS + 1)) is None
    assert next_action(waiting, at(block=QUERY.seed_block + LATE_SEED_BLOCKS + 1)) == PinSeed()
