"""The tensors of one shard boundary as one row of bytes that is cut into parts; no network here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nesa.protocol import cbor
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.messages import MAX_CARRIED_BYTES
from nesa.protocol.wire import TENSORS


def part_at(tensors: Sequence[bytes], offset: int) -> bytes:
    """The part that begins at `offset`; other parts are not copied.

    Raises:
        InvalidMessage: no part begins there.
    """
    if offset % MAX_CARRIED_BYTES or not 0 <= offset < sum(map(len, tensors)):
        raise InvalidMessage(f"no part of the tensors begins at {offset}")
    found, begin, end = bytearray(), 0, offset + MAX_CARRIED_BYTES
    for tensor in tensors:
        found += tensor[max(offset - begin, 0) : max(end - begin, 0)]
        begin += len(tensor)
    return bytes(found)


@dataclass(slots=True)
class Assembly:
    """The parts of a boundary as they come, in any order and from anybody."""

    edges: tuple[EdgeType, ...]
    _parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return sum(edge.nbytes for edge in self.edges)

    @property
    def missing(self) -> list[int]:
        """Where the parts begin that are not here."""
        offsets = range(0, self.size, MAX_CARRIED_BYTES)
        return [offset for offset in offsets if offset not in self._parts]

    def put(self, offset: int, data: bytes) -> None:
        """Add a part.

        Raises:
            InvalidMessage: it does not have the length of the part at `offset`.
        """
        if len(data) != min(MAX_CARRIED_BYTES, self.size - offset):
            raise InvalidMessage(f"the part at {offset} has {len(data)} bytes")
        self._parts[offset] = data

    def tensors(self) -> tuple[bytes, ...]:
        """The tensors, when nothing is missing."""
        whole = b"".join(self._parts[offset] for offset in sorted(self._parts))
        tensors, begin = [], 0
        for edge in self.edges:
            tensors.append(whole[begin : begin + edge.nbytes])
            begin += edge.nbytes
        return tuple(tensors)


def encode_boundary(tensors: tuple[bytes, ...]) -> bytes:
    """Bytes for the journal."""
    return cbor.encode(TENSORS.pack(tensors))


def decode_boundary(body: bytes) -> tuple[bytes, ...]:
    """The tensors that `encode_boundary` took."""
    tensors: tuple[bytes, ...] = TENSORS.unpack(cbor.decode(body))
    return tensors
