"""What a client and its training peer send each other, as canonical CBOR.

A step is one batch: the client sends activations forward and gets those behind the peer's layers;
then it sends the gradient of its loss by these back and gets the gradient by what it had sent. Rows
travel as little-endian float32, one vector each. Each message travels in an envelope of its own,
see `nesa.privacy.split.training.sealed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nesa.protocol import cbor
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.messages import MAX_TRAINING_BYTES
from nesa.protocol.shapes import Shape, blob, fixed, many, record, uint

Floats = NDArray[np.float32]

FORMAT: Final = 2

MAX_WIDTH: Final = 1 << 12
"""Most numbers of a row, on either side of a layer."""
MAX_ROWS: Final = 1 << 12
"""Most rows of a batch."""
MAX_LAYERS: Final = 16
MAX_VALUES_BYTES: Final = 1 << 20
"""Most bytes of a batch, and of a part of the layers."""
MAX_PARAMETERS: Final = 4 << 20
"""Most weights and biases of all layers of a peer."""
SESSION_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a training with layers that are drawn from `seed`."""

    seed: int


@dataclass(frozen=True, slots=True)
class Forward:
    """Rows that enter the peer's layers; their gradient follows, or the step is made anew."""

    session: bytes
    step: int
    rows: int
    values: bytes


@dataclass(frozen=True, slots=True)
class Backward:
    """The gradient of the loss by what the peer answered to the `Forward` of this step."""

    session: bytes
    step: int
    values: bytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """Hand the layers over as they are now, from byte `offset` on."""

    session: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class Close:
    """Forget the training."""

    session: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A training has begun; `session` is the secret that names it. `widths` are those of the
    peer's dense layers, its input first."""

    session: bytes
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """Rows that come back."""

    values: bytes


@dataclass(frozen=True, slots=True)
class Layers:
    """A part of the peer's layers, MAX_VALUES_BYTES long but for the last: of each dense layer its
    weights [outputs, inputs] and biases [outputs], float32, behind each other."""

    part: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The training is forgotten."""


Request: TypeAlias = Open | Forward | Backward | Fetch | Close
Reply: TypeAlias = Opened | Values | Layers | Closed

_SESSION: Final = fixed(SESSION_BYTES)
_STEP: Final = uint(48)
_BATCH: Final = blob(MAX_VALUES_BYTES)
_REQUESTS: Final[dict[int, tuple[type, Shape[Any]]]] = {
    1: (Open, record(Open, seed=uint(63))),
    2: (
        Forward,
        record(Forward, session=_SESSION, step=_STEP, rows=uint(13), values=_BATCH),
    ),
    3: (Backward, record(Backward, session=_SESSION, step=_STEP, values=_BATCH)),
    4: (Fetch, record(Fetch, session=_SESSION, offset=uint(32))),
    5: (Close, record(Close, session=_SESSION)),
}
_REPLIES: Final[dict[int, tuple[type, Shape[Any]]]] = {
    1: (Opened, record(Opened, session=_SESSION, widths=many(uint(13), MAX_LAYERS + 1, 2))),
    2: (Values, record(Values, values=_BATCH)),
    3: (Layers, record(Layers, part=_BATCH)),
    4: (Closed, record(Closed)),
}


def encode_request(request: Request) -> bytes:
    """Canonical bytes of a request."""
    return _encode(request, _REQUESTS)


def decode_request(data: bytes) -> Request:
    """The request that `data` encodes.

    Raises:
        InvalidMessage: too long, not canonical, of another format, or a field that does not fit.
    """
    request: Request = _decode(data, _REQUESTS)
    return request


def encode_reply(reply: Reply) -> bytes:
    """Canonical bytes of a reply."""
    return _encode(reply, _REPLIES)


def decode_reply(data: bytes) -> Reply:
    """The reply that `data` encodes; errors as `decode_request`."""
    reply: Reply = _decode(data, _REPLIES)
    return reply


def pack_rows(rows: Floats) -> bytes:
    """Bytes of rows [n, width].

    Raises:
        InvalidMessage: more than a message holds.
    """
    data = np.ascontiguousarray(rows, "<f4").tobytes()
    if len(rows) > MAX_ROWS or len(data) > MAX_VALUES_BYTES:
        raise InvalidMessage(
            f"{len(rows):,} rows of {len(data):,} bytes; a batch has at most {MAX_ROWS:,} rows and "
            f"{MAX_VALUES_BYTES:,} bytes, so make batches smaller"
        )
    return data


def unpack_rows(data: bytes, rows: int, width: int) -> Floats:
    """Rows [n, width] that `pack_rows` packed.

    Raises:
        InvalidMessage: none, too many, another number of bytes, NaN or infinity.
    """
    if not 1 <= rows <= MAX_ROWS:
        raise InvalidMessage(f"{rows} rows where 1 to {MAX_ROWS} may be")
    return unpack_array(data, (rows, width))


def unpack_array(data: bytes, shape: tuple[int, ...]) -> Floats:
    """Numbers of a shape.

    Raises:
        InvalidMessage: another number of bytes, NaN or infinity.
    """
    wanted = 4 * int(np.prod(shape))
    if len(data) != wanted:
        raise InvalidMessage(f"{len(data):,} bytes where {shape} numbers take {wanted:,}")
    found: Floats = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(found).all():
        raise InvalidMessage("a number is NaN or infinite")
    return found


def _encode(message: Any, kinds: dict[int, tuple[type, Shape[Any]]]) -> bytes:
    number = next(number for number, (cls, _) in kinds.items() if cls is type(message))
    return cbor.encode([FORMAT, number, kinds[number][1].pack(message)])


def _decode(data: bytes, kinds: dict[int, tuple[type, Shape[Any]]]) -> Any:
    item = cbor.decode(data, MAX_TRAINING_BYTES)
    if not isinstance(item, list) or len(item) != 3:
        raise InvalidMessage("a message is an array of format, kind and fields")
    version, number, fields = item
    if version != FORMAT:
        raise InvalidMessage(f"format {version!r} of split training is not {FORMAT}")
    if not isinstance(number, int) or number not in kinds:
        raise InvalidMessage(f"there is no message of kind {number!r}")
    return kinds[number][1].unpack(fields)
