"""Two of four lie: no quorum, no answer, and the honest half takes the liars to court."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from nesa import Client, Model
from nesa.chain.contracts import Contracts
from nesa.chain.disputes import Ending, GameResult
from nesa.chain.events import ChallengeEnded, ChallengeOpened, GameEnded, Moved
from nesa.chain.sender import Sender
from nesa.cli.demo.cast import Question
from nesa.cli.demo.liar import replace_by_liar
from nesa.devnet.accounts import DevnetAccount
from nesa.devnet.foundation import hand_out
from nesa.devnet.network import Devnet
from nesa.devnet.operators import Operator, wait_until_ready
from nesa.protocol.ids import ONE_NES, Amount, QueryId
from nesa_miner.config import read_settings, write_settings
from tests.end_to_end.processes import Observer
from tests.end_to_end.test_disputes import Dispute, until

pytestmark = [pytest.mark.deep, pytest.mark.asyncio(loop_scope="session")]

BONDS = Amount(1_000 * ONE_NES)


@pytest_asyncio.fixture(loop_scope="session")
async def split(
    devnet: Devnet, client: Client, observer: Observer
) -> AsyncIterator[tuple[list[Operator], list[Operator]]]:
    """The first shard's members: two that may sue, and two that lie and defend it."""
    members = list(devnet.miners[::2])
    for operator in members[:2]:
        await devnet.supervisor.stop(operator.name)
        allow_bonds(operator, 1_000.0)
        await devnet.founder.start(operator)
    await wait_until_ready(members[:2], devnet.supervisor)
    deployer = devnet.foundation.people.deployer
    await hand_out(client.connection, deployer, [(one.signer, BONDS) for one in members[:2]])
    await give_stake(client, deployer, members[2:])
    liars = [await replace_by_liar(devnet, one.name, defends=True) for one in members[2:]]
    yield members[:2], liars
    for operator in members[:2]:
        allow_bonds(operator, 0.0)
    for operator in members:
        await devnet.supervisor.stop(operator.name)
    await observer.revive_all()


def allow_bonds(operator: Operator, most: float) -> None:
    settings = read_settings(operator.folder)
    write_settings(operator.folder, settings.model_copy(update={"max_bonds": most}))


async def give_stake(client: Client, giver: DevnetAccount, operators: list[Operator]) -> None:
    """A seat's stake for each: earlier tests may have taken theirs, and left them the seat."""
    contracts = Contracts(client.connection)
    stake = (await contracts.parameters.request_limits("latest")).seat_stake
    sender = Sender(client.connection, giver.account)
    total = Amount(len(operators) * stake)
    await sender.send(contracts.token.approve(contracts.vault.address, total))
    for operator in operators:
        await sender.send(contracts.vault.call("deposit_for", operator.owner, stake))


async def test_a_split_committee_sues_itself_though_one_of_it_dies(
    client: Client,
    devnet: Devnet,
    observer: Observer,
    model: Model,
    question: Question,
    split: tuple[list[Operator], list[Operator]],
) -> None:
    honest, liars = split
    before = {o.name: await Dispute(client, QueryId(0)).stake(o) for o in devnet.miners}
    submitted = await client.submit(model, question.features)
    dispute = Dispute(client, submitted.query_id)
    sued = 2 * len(liars)

    async def are_sued() -> bool:
        return await dispute.count(ChallengeOpened) == sued

    await until(are_sued)
    opened = [e.challenge for e in await dispute.events() if isinstance(e, ChallengeOpened)]
    assert {one.accused for one in opened} == {liar.signer for liar in liars}
    assert {one.challenger for one in opened} == {one.signer for one in honest}

    async def is_under_way() -> bool:
        return await dispute.count(Moved) >= sued + 1

    await until(is_under_way)
    await observer.kill(honest[0])
    await observer.restart(honest[0])

    async def are_played() -> bool:
        return await dispute.count(GameEnded) == sued

    await until(are_played)
    assert set(await dispute.results()) == {GameResult.LOST_BY_FACT}
    await dispute.pass_time(61)

    async def is_over() -> bool:
        return await dispute.count(ChallengeEnded) == sued

    await until(is_over)
    endings = [e.ending for e in await dispute.events() if isinstance(e, ChallengeEnded)]
    assert sorted(endings) == [Ending.FALLEN] * 2 + [Ending.FALLEN_ELSEWHERE] * 2
    after = {o.name: await dispute.stake(o) for o in devnet.miners}
    lost = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert lost == {liar.name: opened[0].seat_stake for liar in liars}

    async def have_their_bonds() -> bool:
        held = [await dispute.balance(one.signer) for one in honest]
        return min(held) >= BONDS and sum(held) > 2 * BONDS

    await until(have_their_bonds)
