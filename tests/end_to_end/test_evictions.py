"""Seats that a conviction left without stake are ended by a watchtower, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.chain.contracts import Contracts
from nesa.chain.events import ChallengeOpened
from nesa.chain.leaving import NO_END
from nesa.cli.demo.cast import MLP, Question
from nesa.devnet.network import Devnet, DevnetSettings, prepare, running_devnet
from nesa.devnet.operators import Operator
from nesa.protocol.ids import Address
from nesa_miner.seats import held_seats
from tests.end_to_end.conftest import SEATED
from tests.end_to_end.processes import Observer
from tests.end_to_end.test_disputes import Dispute, lied_to, until, watching

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def doomed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Devnet]:
    """A network of its own: it is of no use without its seats."""
    await prepare(print, SEATED)
    folder = tmp_path_factory.mktemp("doomed")
    async with running_devnet(DevnetSettings(folder, seated=SEATED), print) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asker(doomed: Devnet) -> AsyncIterator[Client]:
    async with Client.connect(doomed.layout.network, policy=RpcPolicy(poll=0.1)) as connected:
        yield connected


async def ended(client: Client, operator: Operator) -> bool:
    """Whether all seats of an operator are at their end."""
    seats = await held_seats(client.connection, Address(operator.owner))
    return all(seat.record.to_epoch != NO_END for seat in seats)


async def test_convicted_seats_are_ended_though_the_watchtower_dies(
    doomed: Devnet, asker: Client
) -> None:
    observer, question = Observer(doomed), Question.from_row(doomed.model(MLP), 40)
    model = await asker.model(MLP)
    async with watching(doomed, asker, evicts=True) as tower:
        submitted, liars = await lied_to(asker, doomed, model, question, 0, defends=False)
        dispute = Dispute(asker, submitted.query_id)

        async def is_challenged() -> bool:
            return await dispute.count(ChallengeOpened) == 1

        await until(is_challenged)
        await dispute.pass_time(61)
        await until(partial(has_lost, dispute, liars[0]))
        await observer.kill(tower)
        await doomed.founder.start(tower)
        for liar in liars:
            await until(partial(ended, asker, liar))
    names = {liar.name for liar in liars}
    for operator in doomed.miners:
        assert await ended(asker, operator) == (operator.name in names)
    ledger = await Contracts(asker.connection).vault.ledger(liars[0].owner, "latest")
    assert ledger.stake == 0


async def has_lost(dispute: Dispute, operator: Operator) -> bool:
    return await dispute.stake(operator) == 0
