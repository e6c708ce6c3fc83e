"""The part of CBOR (RFC 8949) that Nesa speaks: unsigned integers, byte strings, arrays and null.

Encoding is the library's canonical mode. Decoding is done here, because a general decoder would
also build dates, fractions, patterns and shared references for whoever sends them.
"""

from __future__ import annotations

from typing import Final, TypeAlias, Union

import cbor2

from nesa.protocol.errors import InvalidMessage

Item: TypeAlias = Union[int, bytes, list["Item"], None]  # noqa: UP007 (a string has no |)
"""One value on the wire."""

MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 64
"""Most elements of one array."""

_UINT: Final = 0
_BYTES: Final = 2
_ARRAY: Final = 4
_NULL: Final = 0xF6
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


def encode(item: Item) -> bytes:
    """Canonical bytes of `item`."""
    return cbor2.dumps(item, canonical=True)


def decode(data: bytes, limit: int | None = None) -> Item:
    """The one value that `data` is the canonical encoding of.

    `limit` is the most bytes that strangers may send; what this machine wrote itself needs none.

    Raises:
        InvalidMessage: too long, or anything else, trailing bytes and longer forms of a number
            included.
    """
    if limit is not None and len(data) > limit:
        raise InvalidMessage(f"{len(data)} bytes are over the limit of {limit}")
    item, end = _read(data, 0, MAX_DEPTH)
    if end != len(data):
        raise InvalidMessage(f"{len(data) - end} bytes follow the message")
    if encode(item) != data:
        raise InvalidMessage("the encoding is not canonical")
    return item


def _read(data: bytes, start: int, depth: int) -> tuple[Item, int]:
    if data[start : start + 1] == bytes([_NULL]):
        return None, start + 1
    kind, number, start = _head(data, start)
    if kind == _UINT:
        return number, start
    if kind == _BYTES:
        return _take(data, start, number), start + number
    if kind == _ARRAY:
        return _read_array(data, start, number, depth)
    raise InvalidMessage(f"CBOR major type {kind} is not used here")


def _head(data: bytes, start: int) -> tuple[int, int, int]:
    first = _take(data, start, 1)[0]
    kind, short = first >> 5, first & 0x1F
    if short < 24:
        return kind, short, start + 1
    width = _WIDTHS.get(short)
    if width is None:
        raise InvalidMessage("lengths must be definite")
    number = int.from_bytes(_take(data, start + 1, width), "big")
    return kind, number, start + 1 + width


def _take(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise InvalidMessage("the message ends early")
    return data[start : start + length]


def _read_array(data: bytes, start: int, length: int, depth: int) -> tuple[Item, int]:
    if length > MAX_ITEMS:
        raise InvalidMessage(f"an array of {length} elements is over the limit of {MAX_ITEMS}")
    if depth == 0:
        raise InvalidMessage(f"arrays are nested over {MAX_DEPTH} deep")
    items: list[Item] = []
    for _ in range(length):
        item, start = _read(data, start, depth - 1)
        items.append(item)
    return items, start
