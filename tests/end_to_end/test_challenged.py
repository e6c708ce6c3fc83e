"""A CHALLENGED query through real processes: readable early, waited for until it is final."""

from __future__ import annotations

import asyncio

import pytest

from nesa import Client, Delivered, Finalised, Model, QueryStatus
from nesa.cli.demo.cast import Question
from nesa.client.watching import Stage
from tests.end_to_end.test_queries import is_right

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def pass_time(client: Client, seconds: int) -> None:
    await client.connection.request("evm_increaseTime", seconds)


async def test_a_challenged_query_is_waited_for(
    client: Client, model: Model, question: Question
) -> None:
    submitted = await client.submit(model, question.features, assurance="CHALLENGED")
    early = await client.result(submitted, early=True)
    assert is_right(early, question)
    window = submitted.query.rules.dispute_window
    assert early.status is QueryStatus.FULFILLED
    assert early.disputable_until == early.timings.answered_at + window

    told: list[Stage] = []

    async def note(stage: Stage) -> None:
        told.append(stage)

    waiting = asyncio.create_task(client.result(submitted, note))
    await asyncio.sleep(1.5)
    assert not waiting.done()
    await pass_time(client, window)
    answer = await asyncio.wait_for(waiting, 120)
    assert is_right(answer, question)
    assert (answer.status, answer.disputable_until) == (QueryStatus.FINAL, None)
    assert isinstance(told[-1], Finalised)
    assert not any(isinstance(stage, Delivered) for stage in told)


async def test_after_it_the_network_goes_on(
    client: Client, model: Model, question: Question
) -> None:
    assert is_right(await client.ask(model, question.features), question)
