"""What members signed twice is found, shown once and paid; seats without stake end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import EquivocationShown, EvidenceAnnounced, decode_event
from nesa.chain.leaving import NO_END
from nesa.chain.logs import LogWindow
from nesa.chain.reports import reported_evidence
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Address, BlockNumber, Digest
from nesa.protocol.queries import Assurance
from nesa.protocol.slashing import credited
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.equivocating import (
    EQUIVOCATION_GAS,
    Equivocators,
    Stored,
    turn_of,
)
from nesa_miner.seats import held_seats
from nesa_miner.watchtower.evicting import Evictions
from tests.miner.watchtower.answers import LIAR, Answered, answered, gathering, reported, room_of
from tests.oracle.network import Network, evidence_of, works


class Tasks:
    """Tasks that a test waits for, and a clock that it sets; a block follows each step."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.running: set[asyncio.Task[None]] = set()
        self.now = 0.0

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    async def run(self, *parts: Equivocators | Evictions, steps: int = 4) -> None:
        for _ in range(steps):
            self.now += 100
            for part in parts:
                part.advance()
            await asyncio.gather(*self.running)
            self.network.anvil.rpc("evm_mine")


def counter() -> Counter:
    return Counter("shown", "Shown", registry=CollectorRegistry())


def equivocators(room: Courtroom, tasks: Tasks, stored: Stored = ()) -> Equivocators:
    made = Equivocators(room, lambda: stored, tasks.spawn, lambda: tasks.now, counter())
    made.reload()
    return made


async def court_events(connection: Connection, kind: type[Any]) -> list[Any]:
    head = (await connection.head()).number
    wanted = {"address": connection.deployment.court}
    logs = await LogWindow(connection, 10_000).read_all(wanted, BlockNumber(0), head)
    return [event for event in map(decode_event, logs) if isinstance(event, kind)]


async def test_a_report_on_chain_holds_what_everybody_signed(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    members = [[seat.signer for seat in seats] for seats in answer.drawn.shards]
    found = await reported_evidence(connection, answer.history, members)
    for (shard, evidence), work in zip(found, answer.works, strict=True):
        shown = replace(evidence_of(work, work.report()), tensors_in=(), tensors_out=())
        assert (shard, evidence) == (work.context.shard, shown)


async def test_an_honest_answer_has_nobody_who_signed_twice(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    honest = [evidence_of(work, work.report()) for work in answer.works]
    everybody = {name: [honest[0]] for name in network.operators.shards[0]}
    async with gathering(network, connection, everybody) as gatherer:
        assert await gatherer.equivocations(answer.history) == ()


@pytest.mark.parametrize("shows", ["evidence", "faults"])
async def test_who_signed_twice_is_found_whoever_shows_it(
    network: Network, connection: Connection, shows: str
) -> None:
    """One statement is in the report on chain, the other at one member alone."""
    answer = await answered(network, connection)
    honest = network.name_of(answer.signer(position=0))
    shown: Any = {honest: [answer.other_evidence()]}
    if shows == "faults":
        shown = {honest: [answer.equivocation()]}
    async with gathering(network, connection, **{shows: shown}) as gatherer:
        ((signer, fault),) = await gatherer.equivocations(answer.history)
    assert signer == answer.signer()
    assert {fault.first.out_digest, fault.second.out_digest} == {
        answer.works[0].out_digest,
        answer.other_evidence().out_digest,
    }


async def test_who_signed_twice_in_an_earlier_attempt_is_convicted(
    network: Network, connection: Connection
) -> None:
    """The query was retried, and its answer is all right."""
    query = await network.ask(connection, Assurance.AGREED)
    drawn = await network.committees(connection, query)
    work, liar = works(network, drawn)[0], drawn.shards[0][LIAR]
    other = replace(work, round=1, out_digest=Digest(b"\7" * 32))
    signed = [evidence_of(one, one.report(signers=(0, LIAR, 2))) for one in (work, other)]
    network.pass_time(query.answer_deadline - query.opened_at + 1)
    answer = await reported(network, connection, await network.retry(connection, query))
    assert answer.history.earlier == (query,)
    async with gathering(network, connection, {network.name_of(liar.signer): signed}) as gatherer:
        found = dict(await gatherer.equivocations(answer.history))
    assert found.keys() == {drawn.shards[0][position].signer for position in (0, LIAR, 2)}
    room, tasks = await room_of(network, connection, "watcher"), Tasks(network)
    await tasks.run(equivocators(room, tasks, [(liar.signer, found[liar.signer])]))
    (shown,) = await court_events(connection, EquivocationShown)
    assert shown.operator == liar.operator
    assert shown.taken


def unsigned(evidence: ShardEvidence) -> ShardEvidence:
    (result,) = evidence.results
    return replace(evidence, results=(replace(result, r=b"\1" * 32),))


def uncommitted(evidence: ShardEvidence) -> ShardEvidence:
    (result,) = evidence.results
    return replace(evidence, results=(replace(result, salt=b"\1" * 32),))


@pytest.mark.parametrize("forge", [unsigned, uncommitted])
async def test_what_a_member_makes_up_convicts_nobody(
    network: Network, connection: Connection, forge: Callable[[ShardEvidence], ShardEvidence]
) -> None:
    answer = await answered(network, connection)
    liar = network.name_of(answer.signer())
    shown = {liar: [forge(answer.other_evidence())]}
    async with gathering(network, connection, shown) as gatherer:
        assert await gatherer.equivocations(answer.history) == ()


async def test_a_member_that_signed_twice_loses_its_stake_to_who_shows_it(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    room, tasks = await room_of(network, connection, "watcher"), Tasks(network)
    before = await answer.stake(answer.operator())
    shower = equivocators(room, tasks, [(answer.signer(), answer.equivocation())])
    await tasks.run(shower)
    (shown,) = await court_events(connection, EquivocationShown)
    assert (shown.operator, shown.challenger) == (answer.operator(), room.sender.address)
    assert await answer.stake(answer.operator()) == before - shown.taken
    token = Contracts(connection).token
    assert await token.balance_of(room.sender.address, "latest") == credited(shown.taken)
    assert shower.pending == {}
    assert await gas_of(network, room.sender.address) < EQUIVOCATION_GAS


async def gas_of(network: Network, account: Address) -> int:
    """Gas of everything that an account sent."""
    head, used = int(network.anvil.rpc("eth_blockNumber"), 16), 0
    for number in range(head + 1):
        for sent in network.anvil.rpc("eth_getBlockByNumber", hex(number), True)["transactions"]:
            if sent["from"].lower() == account.lower():
                receipt = network.anvil.rpc("eth_getTransactionReceipt", sent["hash"])
                used += int(receipt["gasUsed"], 16)
    return used


async def test_a_kill_after_the_announcement_announces_nothing_twice(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    room, stored = (
        await room_of(network, connection, "watcher"),
        [(answer.signer(), answer.equivocation())],
    )
    tasks = Tasks(network)
    await tasks.run(equivocators(room, tasks, stored), steps=1)
    assert await court_events(connection, EquivocationShown) == []
    after = Tasks(network)
    await after.run(equivocators(room, after, stored))
    assert len(await court_events(connection, EvidenceAnnounced)) == 1
    assert len(await court_events(connection, EquivocationShown)) == 1


async def test_who_comes_second_gives_up(network: Network, connection: Connection) -> None:
    answer = await answered(network, connection)
    stored = [(answer.signer(), answer.equivocation())]
    for name in ("first", "second"):
        tasks = Tasks(network)
        shower = equivocators(await room_of(network, connection, name), tasks, stored)
        await tasks.run(shower)
        assert shower.pending == {}
    assert len(await court_events(connection, EvidenceAnnounced)) == 1


async def test_a_conviction_that_a_reorganisation_undid_is_made_again(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    room, stored = (
        await room_of(network, connection, "watcher"),
        [(answer.signer(), answer.equivocation())],
    )
    tasks, snapshot = Tasks(network), network.anvil.rpc("evm_snapshot")
    shower = equivocators(room, tasks, stored)
    await tasks.run(shower)
    network.anvil.rpc("evm_revert", snapshot)
    shower.reload()
    await tasks.run(shower)
    assert len(await court_events(connection, EquivocationShown)) == 1


async def test_nobody_shows_itself_and_members_take_turns(
    network: Network, connection: Connection
) -> None:
    answer = await answered(network, connection)
    room, tasks = await room_of(network, connection, "watcher"), Tasks(network)
    shower = equivocators(room, tasks, [(room.sender.address, answer.equivocation())])
    assert shower.pending == {}
    turns = {turn_of(answer.signer(0, place), b"evidence") for place in range(4)}
    assert len(turns) > 1
    shower.waits = True
    shower.add(answer.signer(), answer.equivocation())
    shower.advance()
    is_first = turn_of(room.sender.address, _evidence(answer)) == 0
    assert bool(tasks.running) == is_first
    await asyncio.gather(*tasks.running)


def _evidence(answer: Answered) -> bytes:
    from nesa.chain.disputes import equivocation_evidence

    return equivocation_evidence(answer.equivocation())


async def test_seats_that_a_slash_left_without_stake_end(
    network: Network, connection: Connection
) -> None:
    """The operator has two seats and stake for one of them: one ends, and no other operator's."""
    answer = await answered(network, connection)
    room, tasks = await room_of(network, connection, "watcher"), Tasks(network)
    honest = answer.operator(position=0)
    slashed: list[Address] = [answer.operator(), honest]
    shower = equivocators(room, tasks, [(answer.signer(), answer.equivocation())])
    await tasks.run(shower)
    evictions = Evictions(room, lambda: slashed, tasks.spawn, lambda: tasks.now, counter())
    evictions.reload()
    await tasks.run(evictions)
    assert evictions.pending == set()
    assert await open_seats(connection, answer.operator()) == 1
    assert await open_seats(connection, honest) == 2


async def open_seats(connection: Connection, operator: Address) -> int:
    held = await held_seats(connection, operator)
    return sum(seat.record.to_epoch == NO_END for seat in held)
