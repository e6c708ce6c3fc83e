"""Miners and oracles die at the worst moments; the query completes and is paid once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from nesa import Client, Model
from nesa.cli.demo.cast import Question
from nesa.cli.demo.liar import replace_by_liar
from nesa.client.receipts import unpaid_members
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator
from tests.end_to_end.processes import (
    Observer,
    count_fulfilments,
    drawn,
    no_blocks,
    until,
)
from tests.end_to_end.test_queries import is_right

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def everybody_back(observer: Observer) -> AsyncIterator[None]:
    yield
    await observer.revive_all()


async def test_a_miner_killed_between_commit_and_reveal_comes_back_to_its_word(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    first_shard = [miner for number, miner in enumerate(devnet.miners) if number % 2 == 0]
    target, _, *others = first_shard
    with observer.frozen(*others):
        submitted = await client.submit(model, question.features)
        # Two of four cannot settle: the target has committed and waits.
        await until(lambda: observer.journal_count(target, "records", submitted.query_id) > 0)
        assert not observer.journal_count(target, "evidence", submitted.query_id)
        await observer.kill(target)
    await observer.restart(target)
    answer = await client.result(submitted)
    assert is_right(answer, question)
    assert sum(member.paid for member in answer.committee) >= 6


async def test_an_oracle_killed_after_signing_answers_once(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    submitted = await client.submit(model, question.features)
    await drawn(client, submitted.query_id)

    def has_signed(oracle: Operator) -> bool:
        return observer.journal_count(oracle, "intents", submitted.query_id) > 0

    async with no_blocks(client):
        # A report can be simulated once the chain can look back at the seed block.
        await client.connection.request("evm_mine")
        # The other oracle's turn begins when the first one takes too long.
        await until(lambda: any(map(has_signed, devnet.oracles)))
        oracle = next(filter(has_signed, devnet.oracles))
        await observer.kill(oracle)
        await client.connection.request("anvil_dropAllTransactions")
        await observer.devnet.founder.start(oracle)
    answer = await client.result(submitted)
    assert is_right(answer, question)
    assert await count_fulfilments(client, submitted.query_id) == 1


@pytest.mark.deep
async def test_a_lying_prover_costs_a_turn_and_not_the_answer(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    """The first prover of the first shard hands over a wrong tensor before anybody else does."""
    with observer.frozen(*devnet.miners):
        submitted = await client.submit(model, question.features, assurance="PROVED")
        committees = await drawn(client, submitted.query_id)
        first, spare = (devnet.operator_of(seat.signer) for seat in committees.shards[0])
        liar = await replace_by_liar(devnet, first.name)
    answer = await client.result(submitted)
    assert is_right(answer, question)
    paid = {devnet.operator_of(m.signer).name for m in answer.committee if m.paid}
    assert spare.name in paid
    assert liar.name not in paid
    await devnet.supervisor.stop(liar.name)


async def test_a_liar_and_a_dead_miner_are_the_only_ones_unpaid(
    client: Client, devnet: Devnet, observer: Observer, model: Model, question: Question
) -> None:
    liar = await replace_by_liar(devnet, "miner-3")
    # Who commits too late on a busy machine is unpaid as well: of three queries one has to do.
    for _ in range(3):
        await observer.revive_all()
        # Only here, so that the victim dies before it has worked.
        with observer.frozen(*devnet.miners[1::2]):
            submitted = await client.submit(model, question.features)
            committees = await drawn(client, submitted.query_id)
            victim = devnet.operator_of(committees.shards[1][0].signer)
            await observer.kill(victim)
        answer = await client.result(submitted)
        assert is_right(answer, question)
        members = unpaid_members(answer.committee)
        unpaid = {devnet.operator_of(member.signer).name for member in members}
        if unpaid == {liar.name, victim.name}:
            break
    assert unpaid == {liar.name, victim.name}
    await devnet.supervisor.stop(liar.name)
