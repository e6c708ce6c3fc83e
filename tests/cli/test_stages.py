"""Every stage of a query's end has its line."""

from __future__ import annotations

import pytest

from nesa import ONE_NES, CallbackResult, Closed, Delivered, Finalised, Overturned, QueryStatus
from nesa.cli.stages import describe
from nesa.client.watching import Stage
from nesa.protocol.ids import Amount


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Finalised(), "nobody can dispute the answer"),
        (Overturned(Amount(2 * ONE_NES)), "the answer is wrong; 2 NES returned"),
        (Delivered(CallbackResult.SUCCEEDED), "callback SUCCEEDED"),
        (Closed(QueryStatus.FINAL, Amount(0)), "closed as FINAL"),
    ],
)
def test_an_end_is_told_in_words(stage: Stage, words: str) -> None:
    assert words in describe(stage)
