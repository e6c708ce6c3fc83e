"""Every stage of a query's end has its line."""

from __future__ import annotations

import pytest

from nesa import (
    ONE_NES,
    CallbackResult,
    Closed,
    Delivered,
    Finalised,
    Fulfilled,
    Held,
    Overturned,
    QueryStatus,
    Released,
)
from nesa.cli.stages import describe, why_waiting
from nesa.client.watching import Stage
from nesa.protocol.ids import Amount, Timestamp
from nesa.protocol.queries import Assurance
from tests.client.test_watching import ANSWER
from tests.oracle.cases import query_with


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Held((0,), Timestamp(60)), "challenge of shard 0; earliest end 1970-01-01 00:01:00 UTC"),
        (Held((0, 2), Timestamp(60)), "a challenge of shards 0 and 2;"),
        (Released(Timestamp(120)), "no challenge stood; disputable until 1970-01-01 00:02:00 UTC"),
        (Finalised(), "nobody can dispute the answer"),
        (Overturned(Amount(2 * ONE_NES)), "the answer is wrong; 2 NES returned"),
        (Delivered(CallbackResult.SUCCEEDED), "callback SUCCEEDED"),
        (Closed(QueryStatus.FINAL, Amount(0)), "closed as FINAL"),
    ],
)
def test_an_end_is_told_in_words(stage: Stage, words: str) -> None:
    assert words in describe(stage)


def test_a_challenged_answer_says_what_it_is_waited_for() -> None:
    query = query_with(assurance=Assurance.CHALLENGED)
    held = Held((1,), Timestamp(60))
    assert "disputable until" in str(why_waiting(query, Fulfilled(ANSWER)))
    assert why_waiting(query, held) == describe(held)
    assert why_waiting(query, Finalised()) is None
    assert why_waiting(query_with(), held) is None
