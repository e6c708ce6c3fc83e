"""Many queries wait for memory in the same order everywhere, and all of them are answered."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from nesa.chain.committees import DrawnCommittees
from nesa.chain.events import QueryRequested
from nesa.models.reference import run
from nesa.protocol.commitments import ShardContext
from nesa.protocol.evidence import decode_evidence
from nesa.protocol.ids import Address, Digest, QueryId
from nesa.protocol.queries import Privacy
from nesa_miner.admission import COPIES, admitted, bytes_needed
from nesa_miner.duties import Compute, Duty, Place
from nesa_miner.jobs import JobKey
from tests.miner.committee_network import CommitteeNetwork, log_key, open_request
from tests.miner.wide_model import wide_model

MODEL = wide_model(512 << 10)
EACH = COPIES * sum(
    edge.nbytes for edge in (*MODEL.shards[0].input_edges, *MODEL.shards[0].output_edges)
)
SEED = Digest(bytes(32))


def request_number(number: int) -> QueryRequested:
    request = open_request(MODEL, number % 8)
    query = replace(request.query, query_id=QueryId(number))
    return replace(request, log=log_key(f"request {number}"), query_id=query.query_id, query=query)


def drawn_duty(number: int, *, busy: bool = False) -> Duty:
    query = request_number(number).query
    context = ShardContext(31337, Address("0x" + "11" * 20), query.query_id, 0, SEED, 0)
    place = Place(DrawnCommittees(query, SEED, ((), ()), ()), context, 0, MODEL.shards[0])
    duty = Duty(JobKey((number, 0)), query, b"").drawn_at(place)
    return replace(duty, busy=frozenset({Compute(query.input_digest)})) if busy else duty


def numbers(duties: list[Duty], room: int) -> list[int]:
    return sorted(key[0] for key in admitted(duties, room))


def test_the_oldest_go_first() -> None:
    duties = [drawn_duty(number) for number in (5, 3, 9, 4)]
    assert bytes_needed(duties[0]) == EACH
    assert numbers(duties, 2 * EACH) == [3, 4]
    assert numbers(duties, 3 * EACH - 1) == [3, 4]
    assert numbers(duties, 9 * EACH) == [3, 4, 5, 9]


def test_one_goes_whatever_it_needs() -> None:
    assert numbers([drawn_duty(7), drawn_duty(8)], 1) == [7]


def test_who_has_begun_stays_and_counts() -> None:
    duties = [drawn_duty(1), drawn_duty(2), drawn_duty(8, busy=True), drawn_duty(9, busy=True)]
    assert numbers(duties, 4 * EACH) == [1, 2, 8, 9]
    assert numbers(duties, 3 * EACH) == [1, 8, 9]


def test_the_oldest_goes_beside_those_that_have_begun() -> None:
    """Two members that began two queries in a different order would wait for each other."""
    duties = [drawn_duty(1), drawn_duty(2), drawn_duty(8, busy=True)]
    assert numbers(duties, EACH) == [1, 8]


def test_what_cannot_begin_takes_no_room() -> None:
    query = request_number(1).query
    sealed = drawn_duty(3)
    sealed = replace(sealed, query=replace(sealed.query, privacy=Privacy.SEALED))
    waiting = [Duty(JobKey((1, 0)), query, b""), replace(drawn_duty(2), computations=()), sealed]
    assert numbers([*waiting, drawn_duty(4), drawn_duty(5)], EACH) == [4]


async def test_twelve_queries_in_the_memory_of_two(tmp_path: Path) -> None:
    """Each is over once all hold its answer, as when the chain has it."""
    network = CommitteeNetwork(tmp_path, MODEL)
    for number in range(8):
        network.kill(number)
        network.start(number, memory_limit=2 * EACH)
    open_numbers = list(range(1, 13))
    most = 0
    network.tell(*map(request_number, open_numbers))
    async with asyncio.timeout(90):
        while open_numbers:
            for number in list(open_numbers):
                if answers(network, number) == 4 * [right_answer(number)]:
                    open_numbers.remove(number)
                    for miner in network.miners:
                        assert miner.engine is not None
                        miner.engine.roster.drop(JobKey((number, 0)), "answered")
            for miner in network.miners:
                assert miner.engine is not None
                miner.engine.advance()
                most = max(most, begun(miner.engine.duties.values()))
            await asyncio.sleep(0.01)
    assert most <= 3  # the room of two, and the oldest
    await network.close()
    assert network.failures == []


def begun(duties: object) -> int:
    return sum(
        any(one.agreement is not None for one in duty.computations)
        for duty in duties  # type: ignore[attr-defined]
    )


def answers(network: CommitteeNetwork, number: int) -> list[bytes]:
    found = []
    for miner in network.miners[4:]:
        assert miner.engine is not None
        bodies = miner.engine.around.journal.evidence(JobKey((number, 0)), 1)
        found += [decode_evidence(body).payload for body in bodies]
    return found


def right_answer(number: int) -> bytes:
    (answer,) = run(MODEL.table, (request_number(number).input,))
    return answer
