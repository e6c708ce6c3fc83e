"""Provers who lie cost the others time; a proof is made once, and only while somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest_asyncio

from nesa.chain.events import QueryRefunded, QueryRequested
from nesa.models.runtime import ShardRunner
from nesa.protocol.errors import InvalidTensor
from nesa.protocol.evidence import ShardEvidence, decode_evidence, decode_pieces
from nesa.protocol.ids import Amount, QueryId, VersionId
from nesa.protocol.messages import Lock
from nesa_miner.engine import Engine
from nesa_miner.jobs import JobKey
from nesa_miner.server import joined
from tests.miner.committee_network import (
    CommitteeNetwork,
    MemoryLibrary,
    MemoryMiner,
    fulfilled,
    log_key,
    proved_request,
)

KEY = JobKey((1, 0))


@dataclass(frozen=True, slots=True)
class NamedProof:
    """Stands for a proof."""

    proof: bytes


@dataclass(slots=True)
class ProvingLibrary(MemoryLibrary):
    """Proves a shard by naming its input; waits at the gate before that, if there is one.

    `stumbles` makes the first proof of all impossible; `given_up` are those that were cancelled.
    """

    gate: asyncio.Event | None = None
    stumbles: bool = False
    proved: list[bytes] = field(default_factory=list)
    given_up: list[bytes] = field(default_factory=list)

    async def prover(self, _: VersionId, __: int) -> Any:
        return self

    async def prove(self, tensor_in: bytes, _: bytes, __: bytes) -> NamedProof:
        self.proved.append(tensor_in)
        if self.stumbles and len(self.proved) == 1:
            raise InvalidTensor("the circuit computes another output from this input")
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up.append(tensor_in)
            raise
        return NamedProof(b"proof of " + tensor_in)


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    for number, miner in enumerate(made.miners):
        made.kill(number)
        miner.library = ProvingLibrary(made.model)
        made.start(number)
    yield made
    await made.close()
    assert made.failures == []


def engine_of(miner: MemoryMiner) -> Engine:
    assert miner.engine is not None
    return miner.engine


def library_of(miner: MemoryMiner) -> ProvingLibrary:
    assert isinstance(miner.library, ProvingLibrary)
    return miner.library


def shown_by(miner: MemoryMiner, shard: int) -> list[ShardEvidence]:
    bodies = engine_of(miner).around.journal.evidence(KEY, shard)
    return [decode_evidence(body) for body in bodies]


def is_proved_by(miner: MemoryMiner, shard: int, inputs: int) -> bool:
    shown = shown_by(miner, shard)
    return len(shown) == inputs and all(one.proof is not None for one in shown)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def lie_and_truth(network: CommitteeNetwork) -> bytes:
    """The first prover lies, the second steps in at its turn; returns what is true between them."""
    request = proved_request(network.model, 5)
    network.miners[0].library.tampers = True
    network.tell(request)
    await until(lambda: is_proved_by(network.miners[4], 1, 1))
    network.tell(time_=request.query.opened_at + request.query.rules.prover_turn)
    await until(lambda: is_proved_by(network.miners[4], 1, 2))
    honest = ShardRunner(network.model.shard_file(0), network.model.shards[0])
    (tensor,) = honest.run((request.input,))
    return tensor


async def test_a_lying_prover_leaves_an_honest_path(network: CommitteeNetwork) -> None:
    tensor = await lie_and_truth(network)
    (first,) = shown_by(network.miners[1], 0)
    wrong, right = shown_by(network.miners[4], 1)
    assert right.tensors_in == first.tensors_out == (tensor,)
    assert right.in_digest == first.out_digest != wrong.in_digest
    assert right.proof == b"proof of " + tensor


async def test_the_same_input_is_proved_once(network: CommitteeNetwork) -> None:
    tensor = await lie_and_truth(network)
    await until(lambda: is_proved_by(network.miners[5], 1, 2))
    network.tell(time_=2_000)
    await asyncio.sleep(0.1)
    for miner in network.miners[4:6]:
        assert library_of(miner).proved.count(tensor) == 1
        assert len(library_of(miner).proved) == 2


async def test_one_body_shows_what_was_made_of_every_input(network: CommitteeNetwork) -> None:
    await lie_and_truth(network)
    bodies = engine_of(network.miners[4]).around.journal.evidence(KEY, 1)
    body = joined(bodies)
    assert body is not None
    assert list(decode_pieces(body)) == shown_by(network.miners[4], 1)
    assert joined(bodies[:1]) == bodies[0]
    assert joined([]) is None


async def test_no_round_is_locked_twice_whatever_was_handed_over(
    network: CommitteeNetwork,
) -> None:
    await lie_and_truth(network)
    shown = shown_by(network.miners[4], 1)
    assert [one.round for one in shown] == [0, 1]
    assert not [message for _, message in network.delivered if isinstance(message, Lock)]


async def test_every_input_comes_back_after_a_restart(network: CommitteeNetwork) -> None:
    await lie_and_truth(network)
    before = shown_by(network.miners[4], 1)
    network.kill(4)
    network.start(4)
    network.tell_one(network.miners[4], time_=2_000)
    await until(lambda: len(engine_of(network.miners[4]).duties[KEY].computations) == 2)
    await until(lambda: engine_of(network.miners[4]).duties[KEY].is_settled)
    await asyncio.sleep(0.1)
    assert shown_by(network.miners[4], 1) == before
    assert len(library_of(network.miners[4]).proved) == 2


async def test_an_input_that_cannot_be_proved_costs_only_itself(
    network: CommitteeNetwork,
) -> None:
    library_of(network.miners[4]).stumbles = True
    request = proved_request(network.model, 5)
    network.miners[0].library.tampers = True
    network.tell(request)
    await until(lambda: len(library_of(network.miners[4]).proved) == 1)
    network.tell(time_=request.query.opened_at + request.query.rules.prover_turn)
    await until(lambda: len(shown_by(network.miners[4], 1)) == 2)
    await until(lambda: shown_by(network.miners[4], 1)[1].proof is not None)
    assert shown_by(network.miners[4], 1)[0].proof is None


async def test_what_nobody_wants_any_more_is_not_proved(network: CommitteeNetwork) -> None:
    miner = network.miners[0]
    library, engine = library_of(miner), engine_of(miner)
    library.gate = asyncio.Event()
    first = proved_request(network.model, 5)
    network.tell_one(miner, first)
    await until(lambda: len(library.proved) == 1)
    second = another(proved_request(network.model, 6))
    network.tell_one(miner, second, head=9)
    await until(lambda: engine.duties[JobKey((2, 0))].is_settled)
    refund = QueryRefunded(log_key("refund"), QueryId(2), second.requester, Amount(800))
    network.tell_one(miner, refund, head=10)
    library.gate.set()
    await until(lambda: is_proved_by(miner, 0, 1))
    await asyncio.sleep(0.1)
    assert library.proved == [first.input]


async def test_a_proof_that_is_under_way_ends_with_its_query(network: CommitteeNetwork) -> None:
    miner = network.miners[0]
    library = library_of(miner)
    library.gate = asyncio.Event()
    first, second = proved_request(network.model, 5), another(proved_request(network.model, 6))
    network.tell_one(miner, first)
    await until(lambda: len(library.proved) == 1)
    network.tell_one(miner, second, head=9)
    network.tell_one(miner, fulfilled(), head=10)
    await until(lambda: library.proved == [first.input, second.input])
    assert library.given_up == [first.input]


def another(request: QueryRequested) -> QueryRequested:
    """The same request as the second query of all."""
    query = replace(request.query, query_id=QueryId(2))
    return replace(request, log=log_key("second"), query_id=QueryId(2), query=query)
