"""Reports that pay spares: members sign by slots, the chain is told places in the draw."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nesa.protocol.errors import InvalidMessage
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Timestamp
from nesa_oracle.checks import Case, check_member_evidence, check_report
from nesa_oracle.places import in_draw
from nesa_oracle.report import Report, agreed_report
from tests.oracle.cases import CHAIN, MARKET, committees_of, query_with, works_of
from tests.oracle.network import evidence_of
from tests.reports import Work

NOW = Timestamp(1_010)
ABSENT = (2, 0)


def case_with_spares() -> Case:
    """Of the first shard's members two were found absent, in slot 2 first."""
    names = [[f"a{number}" for number in range(6)], [f"b{number}" for number in range(4)]]
    committees = committees_of(query_with(), names)
    return Case(CHAIN, MARKET, replace(committees, absent=(ABSENT, ())))


CASE = case_with_spares()


def works(lineup: tuple[int, ...]) -> list[Work]:
    """What was done with the first shard's slots filled from these places of the draw."""
    first, second = works_of(CASE)
    members = tuple(first.members[position] for position in lineup)
    return [replace(first, members=members), second]


def evidence(lineup: tuple[int, ...], *signers: int) -> list[ShardEvidence]:
    chosen = list(signers or range(4))
    made = works(lineup)
    first = evidence_of(made[0], made[0].report(signers=chosen))
    return [first, evidence_of(made[1], made[1].report())]


def report(lineup: tuple[int, ...], *signers: int) -> Report:
    found = {shard: [one] for shard, one in enumerate(evidence(lineup, *signers))}
    made = agreed_report(CASE.query, found)
    assert made is not None
    return in_draw(CASE.committees, CASE.context, made)


@pytest.mark.parametrize(
    ("lineup", "places"),
    [
        ((5, 1, 4, 3), [1, 3, 4, 5]),
        ((0, 1, 4, 3), [0, 1, 3, 4]),
        ((0, 1, 2, 3), [0, 1, 2, 3]),
    ],
)
def test_whoever_opened_a_slot_is_paid_by_its_place(
    lineup: tuple[int, ...], places: list[int]
) -> None:
    check_member_evidence(CASE, 0, 1, evidence(lineup)[0])
    made = report(lineup)
    assert [result.position for result in made.shards[0].results] == places
    check_report(CASE, made, NOW)


def test_words_of_a_report_with_spares_leave_out_the_opened_commitments() -> None:
    made = report((5, 1, 4, 3), 0, 1, 2)
    commitments = made.shards[0].commitments
    words = made.shards[0].words()
    assert int.from_bytes(words[0], "big") & 0xFF == 0b110010
    assert words[2] == commitments[3]
    assert len(words) == 2 + 1 + 3 * 3


def test_a_spare_in_a_slot_that_is_not_its_own_is_refused() -> None:
    with pytest.raises(InvalidMessage):
        check_member_evidence(CASE, 0, 1, evidence((4, 1, 5, 3))[0])


def test_a_place_without_a_slot_is_refused() -> None:
    made = report((5, 1, 4, 3))
    results = made.shards[0].results
    moved = (*results[:-1], replace(results[-1], position=6))
    part = replace(made.shards[0], results=moved)
    with pytest.raises(InvalidMessage, match="place 6"):
        check_report(CASE, replace(made, shards=(part, made.shards[1])), NOW)
