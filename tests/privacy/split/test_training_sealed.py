"""Split training in envelopes: who is no party to it reads nothing, says nothing, gets nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from eth_keys.datatypes import PrivateKey

from nesa.privacy.envelopes import Deployment, Receiver, ReplayWindow, open_envelope
from nesa.privacy.keys import generate_key, public_key
from nesa.privacy.split.training.part import Post, RemotePart
from nesa.privacy.split.training.sealed import ENVELOPE_SECONDS, TrainingService, Writer, sealing
from nesa.privacy.split.training.wire import (
    MAX_VALUES_BYTES,
    Backward,
    Close,
    Closed,
    Fetch,
    Forward,
    Open,
    Opened,
    Reply,
    Request,
    Values,
    encode_request,
    pack_rows,
)
from nesa.protocol.errors import InvalidMessage, NesaError, NotEntitled, Unavailable
from nesa.protocol.ids import Address
from nesa.protocol.messages import Message, TrainingReply, TrainingRequest
from tests.protocol.test_wire import INQUIRY

NOW = 1_000_000
MARKET = Address("0x" + "11" * 20)
HERE = Deployment(31337, MARKET)
NAME, WIDTHS = bytes(range(32)), (4, 3)
KEY = generate_key()


def writer(number: int, now: float = NOW, where: Deployment = HERE) -> Writer:
    return Writer(where, PrivateKey(number.to_bytes(32, "big")), lambda: now)


CLIENT, OPERATOR, STRANGER = writer(1), writer(2), writer(3)
PEER = Receiver(OPERATOR.address, KEY.public_key())


class Layers:
    """A peer whose layers make ones of everything, and what it was asked by whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[Address, Request]] = []

    def answer(self, client: Address, request: Request) -> Reply:
        self.asked.append((client, request))
        match request:
            case Open():
                return Opened(NAME, WIDTHS)
            case Forward(rows=rows):
                return Values(pack_rows(np.ones((rows, WIDTHS[1]), np.float32)))
            case Backward(values=values):
                rows = len(values) // 4 // WIDTHS[1]
                return Values(pack_rows(np.ones((rows, WIDTHS[0]), np.float32)))
            case Fetch() | Close():
                return Closed()


@pytest.fixture
def layers() -> Layers:
    return Layers()


@pytest.fixture
def service(layers: Layers) -> TrainingService:
    return TrainingService(layers.answer, OPERATOR, KEY, frozenset({CLIENT.address}))


def carried(answer: Callable[[bytes], bytes], seen: list[bytes] | None = None) -> Post:
    """Brings envelopes to a peer in this process; `seen` gets all that travels."""

    async def post(envelope: bytes) -> bytes:
        reply = answer(envelope)
        if seen is not None:
            seen.extend([envelope, reply])
        return reply

    return post


async def test_what_travels_is_read_by_nobody_on_the_way(
    service: TrainingService, layers: Layers
) -> None:
    seen: list[bytes] = []
    rows = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)
    part = await RemotePart.open(sealing(carried(service.answer, seen), CLIENT, PEER), 5)
    assert np.array_equal(await part.forward(0, rows), np.ones((8, 3)))
    await part.backward(0, rows[:, :3])
    plain = [pack_rows(rows), pack_rows(rows[:, :3]), np.ones(24, "<f4").tobytes(), NAME]
    assert [client for client, _ in layers.asked] == [CLIENT.address] * 3
    # The peer was sent these very bytes, so that they could have been found.
    assert layers.asked[1][1] == Forward(NAME, 0, 8, plain[0])
    assert len(seen) == 6
    assert not any(secret[:16] in data for secret in plain for data in seen)


async def test_a_batch_of_the_largest_size_fits_into_an_envelope(service: TrainingService) -> None:
    part = await RemotePart.open(sealing(carried(service.answer), CLIENT, PEER), 5)
    rows = np.zeros((4096, MAX_VALUES_BYTES // 4096 // 4), np.float32)
    assert (await part.forward(0, rows)).shape == (4096, 3)


async def test_a_stranger_is_not_trained_for(service: TrainingService, layers: Layers) -> None:
    with pytest.raises(NotEntitled, match="lets accounts in with --allow"):
        await RemotePart.open(sealing(carried(service.answer), STRANGER, PEER), 5)
    assert not layers.asked


def asked(by: Writer = CLIENT, to: Receiver = PEER) -> bytes:
    request = encode_request(Open(5))
    return by.sealed(TrainingRequest(generate_key().public_key().public_bytes_raw(), request), to)


def forged() -> bytes:
    """A stranger's request with the client's name on it."""
    mine, own = asked(), bytes.fromhex(CLIENT.address[2:])
    theirs = asked(STRANGER)
    assert own in mine
    return theirs.replace(bytes.fromhex(STRANGER.address[2:]), own)


@pytest.mark.parametrize(
    ("error", "problem", "made"),
    [
        (InvalidMessage, "not signed by its sender", forged),
        (InvalidMessage, "another receiver", lambda: asked(to=Receiver(MARKET, PEER.key))),
        (
            InvalidMessage,
            "not sealed to this receiver",
            lambda: asked(to=Receiver(PEER.address, generate_key().public_key())),
        ),
        (InvalidMessage, "another chain", lambda: asked(writer(1, where=Deployment(1, MARKET)))),
        (Unavailable, "deadline", lambda: asked(writer(1, NOW - ENVELOPE_SECONDS - 1))),
        (InvalidMessage, "only trainings", lambda: CLIENT.sealed(INQUIRY, PEER)),
        (InvalidMessage, "bytes follow", lambda: b"\0" * 100),
    ],
)
def test_what_is_no_request_of_the_client_is_refused(
    service: TrainingService,
    layers: Layers,
    error: type[NesaError],
    problem: str,
    made: Callable[[], bytes],
) -> None:
    with pytest.raises(error, match=problem):
        service.answer(made())
    assert not layers.asked


def test_a_request_that_is_played_again_is_refused(
    service: TrainingService, layers: Layers
) -> None:
    envelope = asked()
    service.answer(envelope)
    with pytest.raises(InvalidMessage, match="received before"):
        service.answer(envelope)
    assert len(layers.asked) == 1


def replying(by: Writer, message: Callable[[TrainingRequest], Message]) -> Post:
    async def post(envelope: bytes) -> bytes:
        opened = open_envelope(
            envelope,
            deployment=HERE,
            me=OPERATOR.address,
            key=KEY,
            window=ReplayWindow(),
            now=OPERATOR.now,
        )
        assert isinstance(opened.message, TrainingRequest)
        to = Receiver(CLIENT.address, public_key(opened.message.reply_key))
        return by.sealed(message(opened.message), to)

    return post


async def test_an_answer_of_somebody_else_is_refused() -> None:
    lies = {
        "in place of the peer": replying(STRANGER, lambda _: TrainingReply(b"")),
        "something else": replying(OPERATOR, lambda _: INQUIRY),
    }
    for problem, post in lies.items():
        with pytest.raises(InvalidMessage, match=problem):
            await RemotePart.open(sealing(post, CLIENT, PEER), 5)


async def test_the_answer_to_another_request_does_not_open(service: TrainingService) -> None:
    old = service.answer(asked())

    async def stale(_: bytes) -> bytes:
        return old

    with pytest.raises(InvalidMessage, match="not sealed to this receiver"):
        await RemotePart.open(sealing(stale, CLIENT, PEER), 5)
