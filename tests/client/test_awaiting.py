"""When an answer is handed out: at once, or when nobody can dispute it any more."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from nesa import Drawn, Expired, Finalised, Fulfilled, Overturned, QueryExpired, Requested
from nesa.client.answers import SubmittedQuery
from nesa.client.awaiting import Awaiting
from nesa.client.watching import Stage
from nesa.protocol.ids import ZERO_DIGEST, Amount, Timestamp
from nesa.protocol.queries import Assurance
from tests.client.test_watching import ANSWER, COMMITTEES, QUERY
from tests.oracle.cases import query_with

LIFE = (Requested(QUERY), Drawn(COMMITTEES), Fulfilled(ANSWER))


@dataclass
class Told:
    """A query whose stages are known beforehand."""

    submitted: SubmittedQuery
    life: tuple[Stage, ...]

    async def stages(self) -> AsyncGenerator[Stage, None]:
        for stage in self.life:
            yield stage

    async def patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        return await ask()

    @contextmanager
    def naming_it(self) -> Any:
        yield


class Reading(Awaiting):
    """Says which report it would read."""

    async def _read(self, stage: Fulfilled, committees: object) -> Any:
        return stage


async def handed_out(
    assurance: Assurance, *more: Stage, early: bool = False
) -> tuple[object, list[Stage]]:
    submitted = SubmittedQuery(query_with(assurance=assurance), ZERO_DIGEST, None)
    told: list[Stage] = []

    async def note(stage: Stage) -> None:
        told.append(stage)

    following: Any = Told(submitted, (*LIFE, *more))
    unused: Any = None
    waiting = Reading(unused, unused, following, unused)
    return await waiting.answer(note, early=early), told


@pytest.mark.parametrize("assurance", [Assurance.AGREED, Assurance.PROVED])
async def test_an_answer_is_handed_out_when_it_is_reported(assurance: Assurance) -> None:
    answer, told = await handed_out(assurance, Finalised())
    assert answer == told[-1] == Fulfilled(ANSWER)


@pytest.mark.parametrize("end", [Finalised(), Overturned(Amount(7))])
async def test_a_challenged_answer_is_handed_out_at_its_end(end: Stage) -> None:
    answer, told = await handed_out(Assurance.CHALLENGED, end)
    assert (answer, told[-1]) == (Fulfilled(ANSWER), end)


async def test_a_challenged_answer_is_handed_out_early_on_demand() -> None:
    answer, told = await handed_out(Assurance.CHALLENGED, Finalised(), early=True)
    assert answer == told[-1] == Fulfilled(ANSWER)


async def test_nothing_is_handed_out_without_a_report() -> None:
    submitted = SubmittedQuery(query_with(assurance=Assurance.CHALLENGED), ZERO_DIGEST, None)
    following: Any = Told(submitted, (*LIFE[:2], Expired(Timestamp(1_060))))
    unused: Any = None
    with pytest.raises(QueryExpired):
        await Reading(unused, unused, following, unused).answer()
