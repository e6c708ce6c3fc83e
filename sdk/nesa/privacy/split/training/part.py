"""The network's part as the client sees it, and the one in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from nesa.privacy.split.training.layers import packed_size, require_widths, unpacked
from nesa.privacy.split.training.peer import TrainingPeer
from nesa.privacy.split.training.wire import (
    MAX_VALUES_BYTES,
    Backward,
    Close,
    Fetch,
    Floats,
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
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address

Kind = TypeVar("Kind")

Post = Callable[[bytes], Awaitable[bytes]]
"""Takes a request to the peer and brings its reply."""

NOBODY: Final = Address("0x" + "00" * 20)
"""Who trains with a peer in this process."""


class NetworkPart(Protocol):
    """Layers of `widths` that somebody else holds and trains."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Of its dense layers, the input first."""

    async def forward(self, step: int, rows: Floats) -> Floats:
        """Rows [n, widths[0]] to [n, widths[-1]]."""

    async def backward(self, step: int, gradient: Floats) -> Floats:
        """The gradient by what came back to that by what was sent; the layers learn from it."""


@dataclass(frozen=True, slots=True)
class RemotePart:
    """A training at a peer. It checks that whatever comes back is finite and of its shape.

    The peer learns what it is sent, and may answer wrongly: nothing proves its answers.
    """

    post: Post
    session: bytes
    widths: tuple[int, ...]

    @classmethod
    async def open(cls, post: Post, seed: int) -> RemotePart:
        """Begin a training; the peer's layers are drawn from `seed`, which it learns, and what it
        held of an earlier training of this client is gone.

        Raises:
            InvalidInput: what came back is no reply, or the peer refused.
            Unavailable: the peer did not answer.
        """
        reply = await _ask(post, Open(seed), Opened)
        return cls(post, reply.session, require_widths(reply.widths))

    async def forward(self, step: int, rows: Floats) -> Floats:
        """See `NetworkPart`; errors as `open`."""
        request = Forward(self.session, step, len(rows), pack_rows(rows))
        reply = await _ask(self.post, request, Values)
        return unpack_rows(reply.values, len(rows), self.widths[-1])

    async def backward(self, step: int, gradient: Floats) -> Floats:
        """See `NetworkPart`; errors as `open`."""
        reply = await _ask(self.post, Backward(self.session, step, pack_rows(gradient)), Values)
        return unpack_rows(reply.values, len(gradient), self.widths[0])

    async def layers(self) -> Any:
        """The peer's layers as they are now, a module of torch; errors as `open`."""
        found, size = bytearray(), packed_size(self.widths)
        while len(found) < size:
            part = (await _ask(self.post, Fetch(self.session, len(found)), Layers)).part
            if len(part) != min(MAX_VALUES_BYTES, size - len(found)):
                raise InvalidMessage(f"the peer handed over {len(part):,} bytes of its layers")
            found += part
        return unpacked(bytes(found), self.widths)

    async def close(self) -> None:
        """Have the peer forget them; errors as `open`."""
        await self.post(encode_request(Close(self.session)))


def in_this_process(peer: TrainingPeer) -> Post:
    """A peer without a network, through the same bytes."""

    async def post(request: bytes) -> bytes:
        return encode_reply(peer.answer(NOBODY, decode_request(request)))

    return post


async def _ask(post: Post, request: Request, kind: type[Kind]) -> Kind:
    reply: Reply = decode_reply(await post(encode_request(request)))
    if not isinstance(reply, kind):
        raise InvalidMessage(f"the peer answered with {type(reply).__name__}, not {kind.__name__}")
    return reply
