"""Messages of split training: what is sent arrives, and nothing else is taken."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.split.training.part import Post, RemotePart
from nesa.privacy.split.training.wire import (
    MAX_ROWS,
    MAX_VALUES_BYTES,
    Backward,
    Close,
    Closed,
    Fetch,
    Forward,
    Layers,
    Open,
    Opened,
    Reply,
    Request,
    Values,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    pack_rows,
    unpack_rows,
)
from nesa.protocol import cbor
from nesa.protocol.errors import InvalidMessage

NAME = bytes(range(32))
REQUESTS = [
    Open(2**63 - 1),
    Forward(NAME, 3, 2, b"12345678"),
    Backward(NAME, 3, b"1234"),
    Fetch(NAME, 7),
    Close(NAME),
]
REPLIES = [Opened(NAME, (4, 8, 2)), Values(b"1234"), Layers(b"w"), Closed()]


@pytest.mark.parametrize("request_", REQUESTS)
def test_requests_arrive(request_: Request) -> None:
    assert decode_request(encode_request(request_)) == request_


@pytest.mark.parametrize("reply", REPLIES)
def test_replies_arrive(reply: Reply) -> None:
    assert decode_reply(encode_reply(reply)) == reply


BAD = {
    "empty": b"",
    "no array": cbor.encode(3),
    "another format": cbor.encode([1, 1, [0]]),
    "another kind": cbor.encode([2, 9, [0]]),
    "a seed that is too large": cbor.encode([2, 1, [1 << 63]]),
    "a name that is too short": cbor.encode([2, 5, [b"name"]]),
    "too few fields": cbor.encode([2, 3, [NAME, 1]]),
    "too many bytes": cbor.encode([2, 3, [NAME, 1, bytes(MAX_VALUES_BYTES + 1)]]),
    "bytes behind": encode_request(Fetch(NAME, 0)) + b"\0",
}


@pytest.mark.parametrize("problem", BAD)
def test_what_is_no_request_is_refused(problem: str) -> None:
    with pytest.raises(InvalidMessage):
        decode_request(BAD[problem])


def test_rows_arrive() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    assert np.array_equal(unpack_rows(pack_rows(rows), 5, 3), rows)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    rows = np.ones((2, 2), np.float32)
    rows[1, 0] = number
    with pytest.raises(InvalidMessage, match="NaN or infinite"):
        unpack_rows(pack_rows(rows), 2, 2)


@pytest.mark.parametrize(("rows", "width"), [(0, 2), (2, 3), (1, 2), (MAX_ROWS + 1, 2)])
def test_other_shapes_are_refused(rows: int, width: int) -> None:
    with pytest.raises(InvalidMessage):
        unpack_rows(bytes(16), rows, width)


@pytest.mark.parametrize("shape", [(MAX_ROWS + 1, 1), (MAX_ROWS, 65)])
def test_batches_that_no_message_holds_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidMessage, match="make batches smaller"):
        pack_rows(np.zeros(shape, np.float32))


async def test_a_peer_that_answers_with_something_else_is_refused() -> None:
    """Another kind of reply, numbers that are none, and more of them than were sent."""
    sent = np.ones((2, 4), np.float32)
    lies: dict[str, Reply] = {
        "answered with Closed": Closed(),
        "NaN or infinite": Values(np.full((2, 3), np.nan, "<f4").tobytes()),
        "bytes where": Values(np.ones((3, 3), "<f4").tobytes()),
    }
    for problem, reply in lies.items():
        part = RemotePart(answering(reply), NAME, (4, 3))
        with pytest.raises(InvalidMessage, match=problem):
            await part.forward(0, sent)
        with pytest.raises(InvalidMessage):
            await part.backward(0, sent[:, :3])


def answering(reply: Reply) -> Post:
    async def post(_: bytes) -> bytes:
        return encode_reply(reply)

    return post
