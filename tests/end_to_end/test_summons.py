"""A committee comes up short, its silent members are summoned, and a spare finishes the query."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass, replace

import pytest
import pytest_asyncio

from nesa import Client
from nesa.chain.connection import RpcPolicy
from nesa.chain.contracts import Contracts
from nesa.chain.events import MemberSummoned, decode_event
from nesa.chain.sender import Sender
from nesa.chain.summonses import Summons
from nesa.cli.demo.cast import MLP, Question
from nesa.devnet.foundation import hand_out
from nesa.devnet.network import Devnet, DevnetSettings, prepare, running_devnet
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.queries import Query
from nesa.protocol.summons import Call
from tests.end_to_end.conftest import SEATED
from tests.end_to_end.processes import Observer, drawn
from tests.end_to_end.test_queries import is_right
from tests.end_to_end.test_splits import allow_bonds

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.deep]

MINERS = 10
"""Five seats a shard: one spare behind each committee."""

ANSWER_SECONDS = 120
"""Calling two members and the spare's work take most of the minute that a query of a development
network has."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def larger(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Devnet]:
    await prepare(print, SEATED)
    settings = DevnetSettings(tmp_path_factory.mktemp("larger"), miners=MINERS, seated=SEATED)
    async with running_devnet(settings, print) as running:
        await answer_within(running, ANSWER_SECONDS)
        yield running


async def answer_within(devnet: Devnet, seconds: int) -> None:
    """Give later queries so long to be answered."""
    async with Client.connect(devnet.layout.network) as client:
        parameters = client.contracts.parameters
        rules = replace(await parameters.query_parameters("latest"), answer_window=seconds)
        owner = Sender(client.connection, devnet.foundation.people.deployer.account)
        await owner.send(parameters.call("set_query_parameters", astuple(rules)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def patient(larger: Devnet) -> AsyncIterator[Client]:
    async with Client.connect(larger.layout.network, policy=RpcPolicy(poll=0.1)) as connected:
        yield connected


@dataclass(frozen=True)
class Caller:
    """Somebody with NES who summons."""

    client: Client
    sender: Sender

    @classmethod
    def of(cls, client: Client, devnet: Devnet) -> Caller:
        account = devnet.foundation.people.deployer.account
        return cls(client, Sender(client.connection, account))

    @property
    def summons(self) -> Summons:
        return Summons.of(self.client.connection)

    async def summon(self, query: Query, shard: int, position: int) -> Call:
        rules = await self.summons.rules("latest")
        await self.until(query.opened_at + rules.patience)
        token = Contracts(self.client.connection).token
        await self.sender.send(token.approve(self.summons.address, rules.bond))
        receipt = await self.sender.send(self.summons.summon(query, shard, position))
        events = [decode_event(log) for log in receipt.logs]
        (call,) = (event.call for event in events if isinstance(event, MemberSummoned))
        return call

    async def until(self, moment: int) -> None:
        while (await self.client.connection.head()).timestamp < moment:
            await asyncio.sleep(0.2)


async def test_a_spare_finishes_what_a_dead_member_left(patient: Client, larger: Devnet) -> None:
    """Two of four die before they work: that is no quorum, and no answer without the spare."""
    observer, caller = Observer(larger), Caller.of(patient, larger)
    question = Question.from_row(larger.model(MLP), 40)
    model = await patient.model(MLP)
    with observer.frozen(*larger.miners):
        submitted = await patient.submit(model, question.features)
        committees = await drawn(patient, submitted.query_id)
        dead = committees.shards[0][1:3]
        for seat in dead:
            await observer.kill(larger.operator_of(seat.signer))
    query = committees.query
    calls = [await caller.summon(query, 0, position) for position in (1, 2)]
    assert [call.signer for call in calls] == [seat.signer for seat in dead]
    for call in calls:
        await caller.until(call.deadline + 1)
        await caller.sender.send(caller.summons.declare_absent(call))
    answer = await patient.result(submitted)
    assert is_right(answer, question)
    paid = {(member.shard, member.position) for member in answer.committee if member.paid}
    assert {place for shard, place in paid if shard == 0} == {0, 3, 4}
    for call in calls:
        misses = await caller.summons.misses(call.version_id, call.operator, "latest")
        assert misses == 1
    await observer.revive_all()


@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
async def test_members_summon_the_dead_by_themselves(
    patient: Client, larger: Devnet, sealed: bool
) -> None:
    """Nobody else does: the one that goes on has a budget, and gets its bond back. A sealed query
    is saved as long as its client waits, who gives the spare the key."""
    observer = Observer(larger)
    question = Question.from_row(larger.model(MLP), 42)
    model = await patient.model(MLP)
    with observer.frozen(*larger.miners):
        submitted = await patient.submit(
            model, question.features, privacy="sealed" if sealed else "open"
        )
        committees = await drawn(patient, submitted.query_id)
        for seat in committees.shards[0][1:3]:
            await observer.kill(larger.operator_of(seat.signer))
        caller = larger.operator_of(committees.shards[0][0].signer)
        await observer.kill(caller)
    allow_bonds(caller, 1.0)
    deployer = larger.foundation.people.deployer
    await hand_out(patient.connection, deployer, [(caller.signer, Amount(ONE_NES))])
    token = Contracts(patient.connection).token
    before = await token.balance_of(caller.signer, "latest")
    await observer.restart(caller)
    answer = await patient.result(submitted)
    assert is_right(answer, question)
    paid = {(member.shard, member.position) for member in answer.committee if member.paid}
    assert {place for shard, place in paid if shard == 0} >= {0, 3, 4}
    async with asyncio.timeout(240):
        while await token.balance_of(caller.signer, "latest") < before:
            await asyncio.sleep(0.5)
    await observer.kill(caller)
    allow_bonds(caller, 0.0)
    await observer.revive_all()


async def test_members_summon_a_next_shard_that_is_silent_as_a_whole(
    patient: Client, larger: Devnet
) -> None:
    """All of the second committee are dead, so nobody of it speaks: a member of the first, whose
    work would not be paid either, calls them all and gets its bonds back."""
    observer = Observer(larger)
    question = Question.from_row(larger.model(MLP), 43)
    model = await patient.model(MLP)
    with observer.frozen(*larger.miners):
        submitted = await patient.submit(model, question.features)
        committees = await drawn(patient, submitted.query_id)
        for seat in committees.shards[1]:
            await observer.kill(larger.operator_of(seat.signer))
        caller = larger.operator_of(committees.shards[0][0].signer)
        await observer.kill(caller)
    allow_bonds(caller, 1.0)
    deployer = larger.foundation.people.deployer
    await hand_out(patient.connection, deployer, [(caller.signer, Amount(ONE_NES))])
    token, summons = Contracts(patient.connection).token, Summons.of(patient.connection)
    before = await token.balance_of(caller.signer, "latest")
    await observer.restart(caller)
    version_id = committees.query.version_id

    async def all_missed() -> bool:
        found = [
            await summons.misses(version_id, seat.operator, "latest")
            for seat in committees.shards[1]
        ]
        return all(found)

    async with asyncio.timeout(240):
        while not await all_missed() or await token.balance_of(caller.signer, "latest") < before:
            await asyncio.sleep(0.5)
    await observer.kill(caller)
    allow_bonds(caller, 0.0)
    await observer.revive_all()


async def test_a_member_that_is_there_answers(patient: Client, larger: Devnet) -> None:
    """Half of a committee stands still, so that the other half is still at work when summoned."""
    observer, caller = Observer(larger), Caller.of(patient, larger)
    question = Question.from_row(larger.model(MLP), 41)
    model = await patient.model(MLP)
    with observer.frozen(*larger.miners):
        submitted = await patient.submit(model, question.features)
        committees = await drawn(patient, submitted.query_id)
        for seat in committees.shards[0][1:3]:
            await observer.kill(larger.operator_of(seat.signer))
    call = await caller.summon(committees.query, 0, 0)
    await caller.until(call.deadline + 1)
    assert not await caller.summons.is_open(call, "latest")
    assert await caller.summons.misses(call.version_id, call.operator, "latest") == 0
    await observer.revive_all()
    assert is_right(await patient.result(submitted), question)
