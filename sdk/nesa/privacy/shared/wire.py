"""What the client and a member of a group send each other, as canonical CBOR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.protocol import cbor
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Digest
from nesa.protocol.messages import MAX_TENSOR_BYTES
from nesa.protocol.shapes import WORD, blob, optional, record, uint

MAX_SHARE_MESSAGE: Final = MAX_TENSOR_BYTES + 1024
"""Most bytes of a request or a reply: one tensor and what is said about it."""


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """One share for one product: either its seed or its digits as canonical bytes.

    `round` counts how often the product was asked for in its session.
    """

    number: int
    round: int
    seed: bytes | None
    digits: bytes | None


@dataclass(frozen=True, slots=True)
class ShareReply:
    """A member's sums, packed, and what makes its signed statement of the digests of both."""

    in_digest: Digest
    out_digest: Digest
    sums: bytes
    salt: bytes
    r: bytes
    vs: bytes


_REQUEST: Final = record(
    ShareRequest,
    number=uint(16),
    round=uint(16),
    seed=optional(WORD),
    digits=optional(blob(MAX_TENSOR_BYTES)),
)
_REPLY: Final = record(
    ShareReply,
    in_digest=WORD,
    out_digest=WORD,
    sums=blob(MAX_TENSOR_BYTES),
    salt=WORD,
    r=WORD,
    vs=WORD,
)


def encode_request(request: ShareRequest) -> bytes:
    """Canonical bytes of a request."""
    return cbor.encode(_REQUEST.pack(request))


def decode_request(data: bytes) -> ShareRequest:
    """The request that `data` encodes.

    Raises:
        InvalidMessage: too long, not canonical, or not either a seed or digits.
    """
    request: ShareRequest = _REQUEST.unpack(cbor.decode(data, MAX_SHARE_MESSAGE))
    if (request.seed is None) == (request.digits is None):
        raise InvalidMessage("a request holds either a seed or digits")
    return request


def encode_reply(reply: ShareReply) -> bytes:
    """Canonical bytes of a reply."""
    return cbor.encode(_REPLY.pack(reply))


def decode_reply(data: bytes) -> ShareReply:
    """The reply that `data` encodes; whether it is signed or true is not looked at.

    Raises:
        InvalidMessage: too long, not canonical, or a field that does not fit.
    """
    reply: ShareReply = _REPLY.unpack(cbor.decode(data, MAX_SHARE_MESSAGE))
    return reply


def pack_sums(edge: EdgeType, sums: bytes) -> bytes:
    """Canonical bytes of sums, in as many bytes an element as their range needs."""
    above = (np.frombuffer(sums, edge.dtype.numpy).astype(np.int64) - edge.low).astype("<u4")
    return above.view(np.uint8).reshape(-1, 4)[:, : _width(edge)].tobytes()


def unpack_sums(edge: EdgeType, packed: bytes) -> NDArray[np.int32]:
    """The sums, in the shape of `edge`, that `pack_sums` packed.

    Raises:
        InvalidMessage: too many or too few, or one outside of its range.
    """
    width = _width(edge)
    if len(packed) != edge.elements * width:
        raise InvalidMessage(f"{len(packed)} bytes of sums where {edge.elements * width} belong")
    # Words of four bytes that overlap: each reads its own and the first ones of the next.
    words: NDArray[np.uint32] = np.ndarray(
        edge.elements, "<u4", packed + bytes(4 - width), strides=(width,)
    )
    above = words & np.uint32((1 << 8 * width) - 1)
    if int(above.max()) > edge.high - edge.low:
        raise InvalidMessage(f"a sum of {int(above.max()) + edge.low} is above {edge.high}")
    sums = above.view(np.int32)
    sums += np.int32(edge.low)
    return sums.reshape(edge.shape)


def packed_bytes(edge: EdgeType) -> int:
    """How long packed sums are."""
    return edge.elements * _width(edge)


def _width(edge: EdgeType) -> int:
    return max(1, -(-(edge.high - edge.low).bit_length() // 8))
