"""In every query a random miner dies; every answer comes, and to the last byte the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from nesa import Client, Model
from nesa.chain.committees import DrawnCommittees
from nesa.cli.demo.cast import Question
from nesa.cli.demo.liar import replace_by_liar
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator
from nesa.protocol.faults import Outvoted, decode_fault, verify_fault
from tests.end_to_end.processes import Observer, drawn
from tests.end_to_end.test_queries import is_right

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATEST_KILL = 2.0
"""Seconds after the request until the last kill: about as long as a query takes."""


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def everybody_back(observer: Observer) -> AsyncIterator[None]:
    yield
    await observer.revive_all()


async def ask_while_one_dies(
    client: Client, model: Model, question: Question, observer: Observer, chance: random.Random
) -> None:
    """One query in the middle of which a random miner is killed; it is back afterwards."""
    victim: Operator = chance.choice(observer.devnet.miners)
    submitted = await client.submit(model, question.features)
    await asyncio.sleep(chance.uniform(0.0, LATEST_KILL))
    await observer.kill(victim)
    answer = await client.result(submitted)
    assert is_right(answer, question), f"query {submitted.query_id} without {victim.name}"
    await observer.restart(victim)


@pytest.mark.parametrize("queries", [5, pytest.param(50, marks=pytest.mark.deep)])
async def test_every_query_is_answered_alike_whoever_dies(
    client: Client, devnet: Devnet, observer: Observer, model: Model, queries: int
) -> None:
    chance = random.Random(queries)
    for number in range(queries):
        question = Question.from_row(devnet.model(model.name), number)
        await ask_while_one_dies(client, model, question, observer, chance)


async def test_a_miner_that_stalls_costs_time_and_nothing_else(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    with observer.frozen(devnet.miners[0], devnet.miners[1]):
        answer = await client.ask(model, question.features)
    assert is_right(answer, question)


@pytest.mark.deep
async def test_spares_prove_what_dead_provers_were_handed(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    """The first prover of each shard dies once it was drawn; its spare has the tensors too."""
    submitted = await client.submit(model, question.features, assurance="PROVED")
    committees = await drawn(client, submitted.query_id)
    first, spares = zip(*((seats[0], seats[1:]) for seats in committees.shards), strict=True)
    for seat in first:
        await observer.kill(devnet.operator_of(seat.signer))
    answer = await client.result(submitted)
    assert is_right(answer, question)
    paid = {member.signer for member in answer.committee if member.paid}
    assert all(paid & {seat.signer for seat in shard} for shard in spares)


async def test_a_miner_that_dies_lying_is_named_with_evidence(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    liar = await replace_by_liar(devnet, "miner-3")
    # The set may be made without a liar that is slow, of which there is nothing to tell then.
    for _ in range(3):
        submitted = await client.submit(model, question.features)
        shard, members = committee_of(await drawn(client, submitted.query_id), liar)
        assert is_right(await client.result(submitted), question)
        with contextlib.suppress(TimeoutError):
            await named_by(devnet, submitted.query_id, shard, members, liar, seconds=10)
            break
    await observer.kill(liar)
    named = await named_by(devnet, submitted.query_id, shard, members, liar)
    assert named == {liar.signer}


def committee_of(committees: DrawnCommittees, miner: Operator) -> tuple[int, list[str]]:
    """Shard and signers of the committee that a miner was drawn for."""
    for shard, seats in enumerate(committees.shards):
        signers = [str(seat.signer) for seat in seats]
        if miner.signer in signers:
            return shard, signers
    raise AssertionError(f"{miner.name} was not drawn")


async def named_by(
    devnet: Devnet,
    query_id: int,
    shard: int,
    members: list[str],
    liar: Operator,
    seconds: float = 60,
) -> set[str]:
    """Whom the other members of a committee name, once one of them does."""
    others = [one for one in devnet.miners if one.signer in members and one.signer != liar.signer]
    async with aiohttp.ClientSession() as session, asyncio.timeout(seconds):
        while True:
            shown = []
            for miner in others:
                url = f"{miner.endpoint}/v1/faults/{query_id}/0"
                async with session.get(url) as response:
                    shown += json.loads(await response.text())
            if shown:
                break
            await asyncio.sleep(0.1)
    for one in shown:
        fault = decode_fault(bytes.fromhex(one["body"][2:]))
        assert isinstance(fault, Outvoted)
        assert one["shard"] == shard
        verify_fault(members, fault)  # type: ignore[arg-type]
        assert members[fault.position] == one["signer"]
    return {one["signer"] for one in shown}
