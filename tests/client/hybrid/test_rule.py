"""Every row of the hybrid rule, what each of its needs is for, and that nothing is ever weaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.client.hybrid.rule import (
    ROWS,
    SMALL_WEIGHTS,
    Missing,
    Need,
    Offer,
    Offered,
    Row,
    Sensitivity,
    Task,
    Way,
    choose,
    obstacle,
    rows_of,
)
from nesa.client.hybrid.words import Readers, backing, explain, explain_told, readers
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.queries import Assurance, Privacy

PRICE = Amount(ONE_NES)
WINDOW, ANSWERED = 120, 60
WAYS = tuple(dict.fromkeys(row.way for row in ROWS))
WAYS_BY = {str(way): way for way in WAYS}

LACKING: Mapping[Need, tuple[dict[str, Any], str]] = {
    Need.SMALL: ({"weights": SMALL_WEIGHTS + 1}, "weights"),
    Need.PROVABLE: ({"provable": False}, "no circuits"),
    Need.HIDDEN: ({"hidden": False}, "shows the answer to everybody, for good"),
    Need.ENCODED: ({"encoded": False}, "not under a key"),
    Need.SPLIT: ({"split": False}, "compute no layers"),
    Need.WATCHED: ({"watched": False}, "no watcher"),
    Need.ATTESTED: ({"attested": False}, "no attested seats"),
    Need.PATIENT: ({"deadline": None}, "no deadline is stated"),
}
"""What a task lacks for each need, and what is said of it."""


def offered(way: Way, price: Amount = PRICE) -> Offered:
    wait = WINDOW if way.assurance is Assurance.CHALLENGED else 0
    replicas = 1 if way.assurance is Assurance.PROVED else 4
    return Offered(price, 2, replicas, wait, wait + ANSWERED)


EVERYTHING: Mapping[Way, Offer] = {way: offered(way) for way in WAYS}


def fitting(row: Row) -> Task:
    """A task with what a row needs, and nothing else."""
    patient = WINDOW + ANSWERED if Need.PATIENT in row.needs else None
    return Task(
        sensitivity=row.sensitivity,
        weights=SMALL_WEIGHTS if Need.SMALL in row.needs else SMALL_WEIGHTS + 1,
        provable=Need.PROVABLE in row.needs,
        hidden=Need.HIDDEN in row.needs,
        encoded=Need.ENCODED in row.needs,
        split=Need.SPLIT in row.needs,
        watched=Need.WATCHED in row.needs,
        attested=Need.ATTESTED in row.needs,
        deadline=patient,
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{ROWS.index(row) + 1} {row.way}")
def test_a_row_is_chosen_by_who_has_what_it_needs(row: Row) -> None:
    choice = choose(fitting(row), EVERYTHING)
    assert choice.row is row
    above = rows_of(row.sensitivity)[: rows_of(row.sensitivity).index(row)]
    assert tuple(one.row for one in choice.passed) == above


@pytest.mark.parametrize(
    ("row", "need"), [(row, need) for row in ROWS for need in row.needs], ids=str
)
def test_a_row_is_passed_over_without_what_it_needs(row: Row, need: Need) -> None:
    changes, reason = LACKING[need]
    found = obstacle(row, replace(fitting(row), **changes), EVERYTHING[row.way])
    assert isinstance(found, str)
    assert reason in found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{ROWS.index(row) + 1} {row.way}")
def test_a_way_that_is_not_offered_is_passed_over_by_its_reason(row: Row) -> None:
    assert obstacle(row, fitting(row), Missing("none registered")) == "none registered"


def test_a_budget_passes_over_what_costs_more() -> None:
    task = Task(Sensitivity.CRITICAL, 1000, provable=True, hidden=True, budget=PRICE)
    proved = WAYS_BY["SEALED PROVED"]
    dear = {**EVERYTHING, proved: offered(proved, Amount(2 * PRICE))}
    choice = choose(task, dear)
    assert choice.way == WAYS_BY["SHARED"]
    assert "it costs 2 NES, more than the limit of 1 NES" in choice.passed[0].reason
    with pytest.raises(InvalidInput, match=r"more than the limit of 0\.5 NES"):
        choose(replace(task, budget=Amount(ONE_NES // 2)), dear)


def test_a_deadline_passes_over_what_takes_longer() -> None:
    attested = Task(
        Sensitivity.CRITICAL, SMALL_WEIGHTS + 1, False, watched=True, attested=True, deadline=119
    )
    choice = choose(attested, EVERYTHING)
    assert choice.way == WAYS_BY["SHARED"]
    assert "takes 120 s, which is behind the deadline of 119 s" in choice.passed[-1].reason
    assert choose(replace(attested, deadline=120), EVERYTHING).row.needs == (
        Need.ATTESTED,
        Need.WATCHED,
    )
    hasty = Task(Sensitivity.PUBLIC, 1000, True, deadline=WINDOW + ANSWERED - 1)
    assert choose(hasty, EVERYTHING).way == WAYS_BY["OPEN AGREED"]


def test_nothing_private_enough_is_refused_with_what_would_have_to_change() -> None:
    task = Task(Sensitivity.CRITICAL, SMALL_WEIGHTS + 1, provable=False)
    offers = {**EVERYTHING, WAYS_BY["SHARED"]: Missing("no shared version")}
    with pytest.raises(InvalidInput) as refused:
        choose(task, offers)
    said = str(refused.value)
    assert "nothing here is private enough for critical data, and nothing was asked" in said
    assert "SEALED PROVED: the model has 1,048,577 weights" in said
    assert "SHARED: no shared version" in said
    assert "SEALED CHALLENGED: no attested seats are asked for" in said
    assert "a machine of your own" in said


ALLOWED = {
    Sensitivity.PUBLIC: {"OPEN AGREED", "OPEN CHALLENGED"},
    Sensitivity.PERSONAL: {
        "EQUIVARIANT AGREED",
        "SPLIT AGREED",
        "SEALED CHALLENGED",
        "SEALED AGREED",
    },
    Sensitivity.CRITICAL: {"SEALED PROVED", "SHARED", "SEALED CHALLENGED"},
}


@given(
    sensitivity=st.sampled_from(Sensitivity),
    weights=st.sampled_from([1, SMALL_WEIGHTS, SMALL_WEIGHTS + 1]),
    facts=st.fixed_dictionaries(
        {
            name: st.booleans()
            for name in ("provable", "hidden", "encoded", "split", "watched", "attested")
        }
    ),
    deadline=st.sampled_from([None, 1, ANSWERED, WINDOW, WINDOW + ANSWERED]),
    budget=st.sampled_from([None, Amount(1), PRICE]),
    missing=st.sets(st.sampled_from(WAYS)),
)
def test_no_choice_is_weaker_than_the_sensitivity_asks(
    sensitivity: Sensitivity,
    weights: int,
    facts: dict[str, bool],
    deadline: int | None,
    budget: Amount | None,
    missing: set[Way],
) -> None:
    task = Task(sensitivity, weights, deadline=deadline, budget=budget, **facts)
    offers = {**EVERYTHING, **{way: Missing("away") for way in missing}}
    try:
        choice = choose(task, offers)
    except InvalidInput:
        return
    assert str(choice.way) in ALLOWED[sensitivity]
    assert choice.way not in missing
    assert budget is None or choice.offered.price <= budget
    assert deadline is None or choice.offered.earliest <= deadline
    if sensitivity is Sensitivity.CRITICAL and choice.way.assurance is Assurance.CHALLENGED:
        assert task.attested
        assert task.watched
    if choice.way.assurance is Assurance.PROVED:
        assert task.hidden
    said = explain("a model", Readers(choice.way.mode, choice.way.is_sealed), task, choice)
    assert (said.mode, said.assurance) == (choice.way.mode.name, choice.way.assurance.name)
    assert len(said.passed) == len(choice.passed)


def test_every_mode_and_assurance_is_said_in_words() -> None:
    one, many = Offered(PRICE, 1, 1, 0, 60), Offered(PRICE, 2, 4, 0, 60)

    def said(mode: Privacy, offer: Offered = many, sealed: bool = True, **facts: bool) -> str:
        return readers(Readers(mode, sealed, **facts), offer)

    assert len({said(mode) for mode in Privacy}) == len(Privacy)
    assert "everybody, for good" in said(Privacy.OPEN)
    assert "the operator that is drawn" in said(Privacy.SEALED, one)
    assert "8 operators" in said(Privacy.SEALED)
    assert "enclaves" in said(Privacy.SEALED, attested=True)
    assert "spares in their place" in said(Privacy.SEALED)
    assert "the watcher that you name" in said(Privacy.SEALED, watched=True)
    assert said(Privacy.SEALED, answer_shown=True).endswith("the answer everybody reads, for good")
    assert said(Privacy.SEALED).endswith("nobody else reads it or the answer")
    assert "both groups, of 1 each" in said(Privacy.SHARED, one)
    for mode in (Privacy.SPLIT, Privacy.EQUIVARIANT):
        assert "8 operators" in said(mode)
        assert said(mode, sealed=False).startswith("everybody, for good")
    ways = [Way(Privacy.OPEN, assurance) for assurance in Assurance]
    shares = Way(Privacy.SHARED, Assurance.AGREED)
    assert len({backing(way) for way in (*ways, shares)}) == 4
    assert "nothing on chain attests" in backing(shares)


def test_an_explanation_says_row_price_and_time() -> None:
    task = Task(Sensitivity.PERSONAL, 10, provable=True, deadline=30)
    said = explain("a model", Readers(Privacy.SEALED, True), task, choose(task, EVERYTHING))
    assert said.row is not None
    assert ROWS[said.row - 1].way == Way(Privacy.SEALED, Assurance.AGREED)
    assert (said.model, said.price) == ("a model", "1 NES")
    assert said.time.startswith("60 s at most")
    assert said.time.endswith("Nobody promises it within your 30 s")


def test_a_session_says_its_rounds_and_that_its_deposit_comes_back() -> None:
    way, session = Way(Privacy.SHARED, Assurance.AGREED), Offered(PRICE, 1, 1, 0, 60, rounds=3)
    said = explain_told("a model", Readers(way.mode, False), way, session)
    assert said.row is None
    assert said.is_deposit
    assert said.time.startswith("3 rounds of your client")
    assert "deposit comes back" in said.time
