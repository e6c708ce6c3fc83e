"""Who may report when: own turns first, then everybody, never after the deadline."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nesa.chain.committees import Seat
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Query
from nesa_oracle.checks import Case, check_turn
from nesa_oracle.turns import VOLUNTEER_SPREAD, chances, next_chance
from tests.oracle.cases import committees_of, query_with

RULES = QueryParameters(7000, 1000, 500, 500, 8, 3, 20, 2, 60, 30, 120, 60, 20)
OPENED = 1_000
NAMES = [Address(f"0x{number:040x}") for number in range(1, 6)]


def seats(*signers: Address) -> tuple[Seat, ...]:
    return tuple(Seat(slot, signer, signer, "", b"") for slot, signer in enumerate(signers))


def asked() -> Query:
    return replace(
        query_with(RULES), opened_at=Timestamp(OPENED), answer_deadline=Timestamp(OPENED + 60)
    )


def test_an_oracle_reports_in_its_own_turn() -> None:
    first, second, third = (
        chances(asked(), seats(*NAMES[:3]), NAMES[place])[0] for place in range(3)
    )
    assert (first.begins, second.begins, third.begins) == (OPENED, OPENED + 8, OPENED + 16)
    assert first.ends == OPENED + 6


def test_after_the_last_turn_anybody_may_report() -> None:
    chance = next_chance(asked(), seats(*NAMES[:3]), NAMES[4], Timestamp(OPENED))
    assert chance is not None
    assert OPENED + 24 <= chance.begins < OPENED + 24 + VOLUNTEER_SPREAD
    assert chance.ends == OPENED + 61


def test_fewer_oracles_than_turns_open_the_report_earlier() -> None:
    chance = next_chance(asked(), seats(NAMES[0]), NAMES[4], Timestamp(OPENED))
    assert chance is not None
    assert chance.begins < OPENED + 8 + VOLUNTEER_SPREAD


def test_after_the_deadline_there_is_no_chance() -> None:
    assert next_chance(asked(), seats(*NAMES[:3]), NAMES[0], Timestamp(OPENED + 61)) is None


@given(st.integers(0, 5), st.integers(0, 4), st.integers(OPENED, OPENED + 60))
def test_no_chance_is_one_that_the_contract_refuses(count: int, who: int, now: int) -> None:
    oracles = seats(*NAMES[: min(count, RULES.oracle_turns)])
    case = Case(1, NAMES[0], committees_of(asked(), oracles=oracles))
    chance = next_chance(asked(), oracles, NAMES[who], Timestamp(now))
    if chance is not None and chance.holds(Timestamp(now)):
        check_turn(case, NAMES[who], Timestamp(now))


def test_the_contract_refuses_what_is_no_chance() -> None:
    case = Case(1, NAMES[0], committees_of(asked(), oracles=seats(*NAMES[:3])))
    for reporter, now in ((NAMES[1], OPENED), (NAMES[0], OPENED + 8), (NAMES[0], OPENED + 61)):
        try:
            check_turn(case, reporter, Timestamp(now))
        except InvalidMessage:
            continue
        raise AssertionError("this is somebody else's turn")
