"""Seats move while queries are under way: each is answered by the seats that it drew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest_asyncio

from nesa.chain.committees import DrawnCommittees
from nesa.chain.events import QueryFulfilled, QueryRequested
from nesa.models.reference import run
from nesa.models.runtime import ShardRunner
from nesa.protocol.evidence import decode_evidence
from nesa.protocol.ids import QueryId, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.versions import ShardFacts
from nesa_miner.jobs import JobKey
from nesa_miner.surroundings import Runner
from tests.miner.committee_network import (
    CommitteeNetwork,
    MemoryLibrary,
    fulfilled,
    log_key,
    open_request,
)

BEFORE = ((0, 1, 2, 3), (4, 5, 6, 7))
AFTER = ((0, 1, 2, 7), (4, 5, 6, 3))
"""Miners 3 and 7 have changed shards."""

OLD, NEW = range(1, 6), range(6, 11)


@dataclass
class MovingNetwork(CommitteeNetwork):
    """Queries of OLD draw the seats of before, those of NEW the seats of after."""

    async def read_committees(self, query: Query) -> DrawnCommittees:
        lineup = BEFORE if query.query_id in OLD else AFTER
        await asyncio.sleep(0)
        shards = tuple(tuple(self.miners[number].seat for number in shard) for shard in lineup)
        return DrawnCommittees(query, self.seed, shards, ())

    def evidence_of(self, number: int, query: int) -> list[bytes]:
        engine = self.miners[number].engine
        assert engine is not None
        found = engine.around.journal.evidence(JobKey((query, 0)), 1)
        return [decode_evidence(body).payload for body in found]


@dataclass(slots=True)
class HeldLibrary(MemoryLibrary):
    """Runs nothing before the gate is open."""

    gate: Event = field(default_factory=Event)

    async def runner(self, version: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        facts, runner = await MemoryLibrary.runner(self, version, shard)
        assert isinstance(runner, ShardRunner)
        return facts, Gated(runner, self.gate)


@dataclass(frozen=True, slots=True)
class Gated:
    """A shard behind a gate."""

    honest: ShardRunner
    gate: Event

    def run(self, tensors: Any) -> tuple[bytes, ...]:
        assert self.gate.wait(60)
        return self.honest.run(tensors)


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[MovingNetwork]:
    made = MovingNetwork(tmp_path)
    yield made
    await made.close()
    assert made.failures == []


def request(network: MovingNetwork, number: int) -> QueryRequested:
    asked = open_request(network.model, number)
    query = replace(asked.query, query_id=QueryId(number))
    return replace(asked, log=log_key(f"request {number}"), query_id=QueryId(number), query=query)


def answer(network: MovingNetwork, number: int) -> bytes:
    edge = network.model.input_edge
    row = network.model.test_rows().inputs[number].reshape(edge.shape)
    return run(network.model.table, (edge.encode(row),))[0]


def ended(number: int) -> QueryFulfilled:
    key = log_key(f"fulfilled {number}")
    return replace(fulfilled(), log=key, query_id=QueryId(number))


async def answered(network: MovingNetwork, members: Sequence[int], queries: Sequence[int]) -> None:
    """Returns when every one of `members` has the right evidence of every query."""
    async with asyncio.timeout(60):
        while not all(network.evidence_of(m, q) for m in members for q in queries):
            for miner in network.miners:
                assert miner.engine is not None
                miner.engine.advance()
            await asyncio.sleep(0.01)
    for query in queries:
        found = {one for member in members for one in network.evidence_of(member, query)}
        assert found == {answer(network, query)}


async def test_no_query_is_lost_while_two_miners_change_shards(network: MovingNetwork) -> None:
    gate = Event()
    for number, miner in enumerate(network.miners):
        miner.library = HeldLibrary(network.model, gate=gate)
        network.kill(number)
        network.start(number)
    network.tell(*(request(network, number) for number in OLD))
    while any(miner.engine is None or len(miner.engine.duties) < 5 for miner in network.miners):
        await asyncio.sleep(0.01)
    network.tell(*(request(network, number) for number in NEW), head=9)
    gate.set()  # ten queries are under way on both sides of the move
    await asyncio.gather(
        answered(network, BEFORE[1], OLD),
        answered(network, AFTER[1], NEW),
    )
    network.tell(*(ended(number) for number in (*OLD, *NEW)), head=10)
    for miner in network.miners:
        assert miner.engine is not None
        assert not miner.engine.duties


async def test_a_miner_that_is_killed_while_it_moves_finishes_both(network: MovingNetwork) -> None:
    network.tell(request(network, 1), request(network, 6))
    await asyncio.sleep(0.05)
    network.kill(3)
    await asyncio.sleep(0.05)
    network.start(3)
    network.tell()
    await asyncio.gather(
        answered(network, BEFORE[1], (1,)),
        answered(network, AFTER[1], (6,)),
    )
