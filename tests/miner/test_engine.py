"""Eight miners in two shards answer a query, also when some of them are dead, late or lying."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from nesa.models.reference import run
from nesa.privacy.envelopes import Opened
from nesa.privacy.sealing import open_answer
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidMessage, Unavailable
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.messages import Commit, ContentKey, Handoff
from nesa_miner.jobs import JobKey, Phase, WorkKey
from tests.miner.committee_network import (
    VERSION,
    CommitteeNetwork,
    content_key_for,
    fulfilled,
    open_request,
    sealed_request,
)

CONTENT_KEY = bytes(range(32))
KEY = JobKey((1, 0))


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path)
    yield made
    await made.close()


def right_answer(network: CommitteeNetwork, row: int) -> bytes:
    model = network.model
    data = model.input_edge.encode(model.test_rows().inputs[row].reshape(model.input_edge.shape))
    (answer,) = run(model.table, (data,))
    return answer


async def test_an_open_query_gets_the_models_answer(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 5))
    for evidence in await network.settle(1, 4):
        assert evidence.payload == right_answer(network, 5)


async def test_all_members_end_up_among_the_results(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 0))
    await network.settle(1, 4)
    best = max(network.evidence(0), key=lambda evidence: len(evidence.results))
    assert [result.position for result in best.results] == [0, 1, 2, 3]


async def test_nothing_starts_before_the_seed_block(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 0), head=7)
    with pytest.raises(TimeoutError):
        await network.settle(0, 1, seconds=0.3)
    network.tell(head=8)
    await network.settle(1, 4)


async def test_a_sealed_query_shows_nothing_in_its_evidence(network: CommitteeNetwork) -> None:
    request = sealed_request(network.model, 7, CONTENT_KEY)
    network.tell(request)
    for miner in network.miners:
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
    for evidence in await network.settle(1, 4):
        answer = open_answer(CONTENT_KEY, VERSION, request.query.input_digest, evidence.payload)
        assert answer == right_answer(network, 7)
    for evidence in network.evidence(0) + network.evidence(1):
        assert evidence.tensors_in == evidence.tensors_out == ()


async def test_a_sealed_query_waits_for_its_content_key(network: CommitteeNetwork) -> None:
    network.tell(sealed_request(network.model, 7, CONTENT_KEY))
    with pytest.raises(TimeoutError):
        await network.settle(0, 1, seconds=0.3)


async def test_a_stranger_sends_no_content_key_that_opens_nothing(
    network: CommitteeNetwork,
) -> None:
    network.tell(sealed_request(network.model, 7, CONTENT_KEY))
    with pytest.raises(TimeoutError):
        await network.settle(0, 1, seconds=0.1)
    miner = network.miners[0]
    opened = content_key_for(miner, bytes(32))
    stranger = Opened(network.miners[1].identity.address, opened.message)
    with pytest.raises(InvalidMessage, match="does not open"):
        network.post(miner.seat.signer, stranger)


async def test_a_second_content_key_changes_nothing(network: CommitteeNetwork) -> None:
    """The client wraps the key again, as it may, and then another one, from which nothing comes."""
    request = sealed_request(network.model, 7, CONTENT_KEY)
    network.tell(request)
    for miner in network.miners:
        for key in (CONTENT_KEY, CONTENT_KEY, bytes(32)):
            network.post(miner.seat.signer, content_key_for(miner, key))
    for evidence in await network.settle(1, 4):
        answer = open_answer(CONTENT_KEY, VERSION, request.query.input_digest, evidence.payload)
        assert answer == right_answer(network, 7)


async def test_a_key_that_is_refused_leaves_room_for_the_right_one(
    network: CommitteeNetwork,
) -> None:
    """Strangers send keys of other members, garbage, and keys that open nothing; whatever they
    send first, the client's own is taken."""
    request = sealed_request(network.model, 7, CONTENT_KEY)
    network.tell(request)
    stranger = Address("0x" + "77" * 20)
    for number, miner in enumerate(network.miners):
        other = content_key_for(network.miners[number - 1], CONTENT_KEY).message
        wrong = content_key_for(miner, bytes(32)).message
        assert isinstance(other, ContentKey)
        for message in (other, wrong, replace(other, wrapped=b""), replace(other, attempt=1)):
            with pytest.raises((InvalidMessage, Unavailable)):
                network.post(miner.seat.signer, Opened(stranger, message))
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
    for evidence in await network.settle(1, 4):
        answer = open_answer(CONTENT_KEY, VERSION, request.query.input_digest, evidence.payload)
        assert answer == right_answer(network, 7)


async def test_an_open_query_takes_no_content_key(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 5))
    miner = network.miners[0]
    with pytest.raises(InvalidMessage, match="an open query has no content key"):
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))


async def test_whoever_sealed_the_input_of_a_contract_sends_its_content_key(
    network: CommitteeNetwork,
) -> None:
    """A contract that asks signs nothing; a key that opens what it sent is of who sealed it."""
    request = sealed_request(network.model, 7, CONTENT_KEY)
    network.tell(request)
    for miner in network.miners:
        sent = content_key_for(miner, CONTENT_KEY)
        applicant = Opened(Address("0x" + "77" * 20), sent.message)
        network.post(miner.seat.signer, applicant)
    for evidence in await network.settle(1, 4):
        answer = open_answer(CONTENT_KEY, VERSION, request.query.input_digest, evidence.payload)
        assert answer == right_answer(network, 7)


async def test_a_liar_is_outvoted_and_named(network: CommitteeNetwork) -> None:
    network.miners[1].library.tampers = True
    network.tell(open_request(network.model, 3))
    for evidence in await network.settle(1, 4):
        assert evidence.payload == right_answer(network, 3)
    for evidence in network.evidence(0):
        assert 1 not in [result.position for result in evidence.results]


async def test_a_dead_member_of_each_shard_costs_time_only(network: CommitteeNetwork) -> None:
    network.kill(0)
    network.kill(6)
    network.tell(open_request(network.model, 2))
    for evidence in await network.settle(1, 3):
        assert evidence.payload == right_answer(network, 2)


async def test_two_dead_members_of_a_shard_settle_nothing(network: CommitteeNetwork) -> None:
    network.kill(0)
    network.kill(1)
    network.tell(open_request(network.model, 2))
    with pytest.raises(TimeoutError):
        await network.settle(0, 1, seconds=1.0)


async def test_a_killed_member_comes_back_and_settles(network: CommitteeNetwork) -> None:
    network.kill(2)
    network.kill(3)
    request = open_request(network.model, 4)
    network.tell(request)
    killed, work = network.miners[0], WorkKey(KEY, network.seed, request.query.input_digest)
    journal = killed.engine.around.journal  # type: ignore[union-attr]
    await network.until(lambda: bool(journal.records(work)))
    before = journal.records(work)
    assert network.evidence(0) == []
    network.kill(0)
    for number in (0, 2, 3):
        network.start(number)
    network.tell_one(network.miners[2], request)
    network.tell_one(network.miners[3], request)
    network.tell_one(killed)
    for evidence in await network.settle(1, 3):
        assert evidence.payload == right_answer(network, 4)
    after = killed.engine.around.journal.records(work)  # type: ignore[union-attr]
    assert after[: len(before)] == before


async def test_an_answered_query_ends_every_duty(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 0))
    await network.settle(1, 4)
    network.tell(fulfilled((0b1101, 0b1111)), head=9)
    for number, miner in enumerate(network.miners):
        assert miner.engine is not None
        assert miner.engine.duties == {}
        job = miner.engine.around.journal.job(KEY)
        assert job is not None
        assert job.phase is Phase.ENDED
        assert miner.engine.around.metrics.unpaid._value.get() == (number == 1)


async def test_a_passed_deadline_ends_the_duty(network: CommitteeNetwork) -> None:
    request = open_request(network.model, 0)
    query = replace(request.query, answer_deadline=Timestamp(999))
    network.tell(replace(request, query=query))
    assert all(miner.engine is not None and not miner.engine.duties for miner in network.miners)


async def test_an_input_out_of_range_is_refused(network: CommitteeNetwork) -> None:
    request = open_request(network.model, 0)
    edge = network.model.input_edge
    assert edge.low > -128
    data = bytes([128]) * edge.nbytes
    query = replace(request.query, input_digest=boundary_digest([edge], [data]))
    network.tell(replace(request, query=query, input=data))
    engines = [miner.engine for miner in network.miners[:4] if miner.engine is not None]
    await network.until(lambda: not any(engine.duties for engine in engines))
    assert network.evidence(0) == []
    assert [engine.around.metrics.refused._value.get() for engine in engines] == [1] * 4


async def test_a_false_hand_over_is_refused_and_the_true_one_taken(
    network: CommitteeNetwork,
) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    sender, handoff = next(
        (sender, message) for sender, message in network.delivered if isinstance(message, Handoff)
    )
    late = network.miners[4]
    network.kill(4)
    late.journal_path.unlink()
    network.start(4)
    network.tell_one(late, open_request(network.model, 1))
    with pytest.raises(TimeoutError):
        await network.settle(1, 9, seconds=0.1)
    false = replace(handoff, tensors=(bytes(len(handoff.tensors[0])),))
    with pytest.raises(InvalidMessage, match="attested"):
        network.post(late.seat.signer, Opened(sender, false))
    with pytest.raises(InvalidMessage, match="before this one"):
        network.post(late.seat.signer, Opened(late.seat.signer, handoff))
    network.post(late.seat.signer, Opened(sender, handoff))
    assert late.engine is not None
    (computation,) = late.engine.duties[KEY].computations
    assert computation.tensors_in == handoff.tensors


async def test_outsiders_take_no_part_in_the_agreement(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(0, 4)
    commit = next(message for _, message in network.delivered if isinstance(message, Commit))
    member_of_other_shard = network.miners[5].identity.address
    with pytest.raises(InvalidMessage, match="only members"):
        network.post(network.miners[0].seat.signer, Opened(member_of_other_shard, commit))
