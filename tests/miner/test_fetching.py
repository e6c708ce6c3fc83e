"""Long tensors reach the next shard in parts, whoever dies, stalls or lies on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from nesa.models.reference import run
from nesa.privacy.envelopes import Opened
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import Address, Digest
from nesa.protocol.messages import (
    MAX_CARRIED_BYTES,
    Handoff,
    Message,
    PartRequest,
    Reveal,
    TensorPart,
)
from nesa.protocol.wire import encode_message
from nesa_miner import fetching
from nesa_miner.engine import Engine
from nesa_miner.fetching import PARTS_TO_PEER
from nesa_miner.jobs import JobKey
from tests.miner.committee_network import (
    CommitteeNetwork,
    content_key_for,
    open_request,
    sealed_request,
)
from tests.miner.wide_model import wide_model

KEY = JobKey((1, 0))
SIZE = 2 << 20
CONTENT_KEY = bytes(range(32))

Tamper = Callable[[Address, Message], Message | None]


def engine_of(network: CommitteeNetwork, number: int) -> Engine:
    engine = network.miners[number].engine
    assert engine is not None
    return engine


@pytest_asyncio.fixture
async def network(tmp_path: Path) -> AsyncIterator[CommitteeNetwork]:
    made = CommitteeNetwork(tmp_path, wide_model(SIZE))
    yield made
    await made.close()
    assert made.failures == []


def right_answer(network: CommitteeNetwork, row: int) -> bytes:
    edge = network.model.input_edge
    data = edge.encode(network.model.test_rows().inputs[row].reshape(edge.shape))
    (answer,) = run(network.model.table, (data,))
    return answer


async def answered(network: CommitteeNetwork, row: int, wanted: int = 4) -> None:
    for evidence in await network.settle(1, wanted, seconds=40):
        digest = boundary_digest([network.model.output_edge], [right_answer(network, row)])
        assert evidence.payload == evidence.out_digest == digest


def parts(network: CommitteeNetwork) -> list[TensorPart]:
    return [message for _, message in network.delivered if isinstance(message, TensorPart)]


def tamper_with(network: CommitteeNetwork, number: int, tamper: Tamper) -> None:
    """What a miner of the first shard sends is changed on its way, or lost."""
    miner = network.miners[number]
    deliver = network.deliverer(miner)

    async def changed(seat: object, message: Message) -> bool:
        sent = tamper(seat.signer, message)  # type: ignore[attr-defined]
        return True if sent is None else bool(await deliver(seat, sent))

    network.kill(number)
    network.start(number, deliver=changed)


async def test_long_tensors_arrive_in_parts_and_once_for_each(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await answered(network, 1)
    assert len(parts(network)) == 4 * SIZE // MAX_CARRIED_BYTES
    longest = max(len(encode_message(said)) for _, said in network.delivered)
    assert longest < MAX_CARRIED_BYTES + 1024
    long = [
        message
        for _, message in network.delivered
        if isinstance(message, Handoff | Reveal) and message.context.shard == 0
    ]
    assert {len(message.tensors) for message in long} == {0}


async def test_a_sealed_query_too(network: CommitteeNetwork) -> None:
    network.tell(sealed_request(network.model, 2, CONTENT_KEY))
    for miner in network.miners:
        network.post(miner.seat.signer, content_key_for(miner, CONTENT_KEY))
    assert len(await network.settle(1, 4, seconds=40)) == 4


async def test_who_stops_in_the_middle_is_left_for_another(
    network: CommitteeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PART_SECONDS", 3.0)
    sent: list[int] = []

    def stop(_: Address, message: Message) -> Message | None:
        if isinstance(message, TensorPart):
            sent.append(message.offset)
            return None if len(sent) > 5 else message
        return message

    tamper_with(network, 0, stop)
    network.tell(open_request(network.model, 1))
    await answered(network, 1)
    assert len(sent) > 5
    assert len(parts(network)) == 4 * SIZE // MAX_CARRIED_BYTES  # nothing came twice


@pytest.mark.parametrize("lie", [b"\0" * MAX_CARRIED_BYTES, b"", b"\1"], ids=["zero", "empty", "1"])
async def test_wrong_parts_cost_another_fetch(network: CommitteeNetwork, lie: bytes) -> None:
    def change(_: Address, message: Message) -> Message:
        if isinstance(message, TensorPart) and message.offset == 0:
            return replace(message, data=lie)
        return message

    tamper_with(network, 0, change)
    network.tell(open_request(network.model, 1))
    await answered(network, 1)


async def test_what_was_fetched_outlives_a_kill_and_its_senders(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    request = open_request(network.model, 1)
    await network.settle(1, 4, seconds=40)
    kept = {number: engine_of(network, number).duties[KEY] for number in range(4, 8)}
    assert all(duty.computations[0].tensors_in for duty in kept.values())
    for number in range(8):
        network.kill(number)
    network.delivered.clear()
    for number in range(4, 8):
        network.start(number)
        network.tell_one(network.miners[number], request)
    await answered(network, 1)
    assert not any(isinstance(said, PartRequest) for _, said in network.delivered)


async def test_only_the_next_shard_fetches(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4, seconds=40)
    handoff = next(said for _, said in network.delivered if isinstance(said, Handoff))
    first, request = engine_of(network, 0), PartRequest(handoff.context, handoff.out_digest, 0)
    member, beside = network.miners[4].seat.signer, network.miners[1].seat.signer
    with pytest.raises(InvalidMessage, match="only members of the next shard"):
        first.receive(Opened(beside, request))
    for offset in (1, SIZE, 2**32 - MAX_CARRIED_BYTES):
        with pytest.raises(InvalidMessage, match="no part"):
            first.receive(Opened(member, replace(request, offset=offset)))
    with pytest.raises(Unavailable):
        first.receive(Opened(member, replace(request, out_digest=Digest(bytes(32)))))
    for _ in range(PARTS_TO_PEER):
        first.receive(Opened(member, request))
    with pytest.raises(ExhaustedResource):
        first.receive(Opened(member, request))
    await network.until(lambda: not first._receiver.fetches._serving)
    first.receive(Opened(member, request))


async def test_parts_that_nobody_asked_for_change_nothing(network: CommitteeNetwork) -> None:
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4, seconds=40)
    part = parts(network)[0]
    receiver = engine_of(network, 4)
    before = receiver.duties[KEY].computations
    receiver.receive(Opened(network.miners[0].seat.signer, replace(part, data=b"lie")))
    assert receiver.duties[KEY].computations == before


async def test_a_short_boundary_cannot_be_left_out(tmp_path: Path) -> None:
    network = CommitteeNetwork(tmp_path, wide_model(MAX_CARRIED_BYTES))
    network.tell(open_request(network.model, 1))
    await network.settle(1, 4)
    handoff = next(said for _, said in network.delivered if isinstance(said, Handoff))
    receiver = engine_of(network, 4)
    receiver.duties[KEY] = replace(receiver.duties[KEY], computations=(), handed=())
    with pytest.raises(ValueError, match="lengths"):
        receiver.receive(Opened(network.miners[0].seat.signer, replace(handoff, tensors=())))
    await network.close()
