"""What a field may look like on the wire, and how records are built from such fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eth_utils.address import to_checksum_address
from eth_utils.conversions import to_bytes

from nesa.protocol.cbor import Item
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """Both directions of one field; `unpack` raises InvalidMessage on what it does not expect."""

    pack: Callable[[T], Item]
    unpack: Callable[[Item], T]


def uint(bits: int) -> Shape[Any]:
    """An unsigned integer below 2**bits (at most 64)."""

    def check(item: Item) -> int:
        if type(item) is not int or not 0 <= item < 1 << bits:
            raise InvalidMessage(f"is not an integer in [0, 2**{bits})")
        return item

    return Shape(check, check)


def fixed(length: int) -> Shape[Any]:
    """Exactly `length` bytes."""

    def check(item: Item) -> bytes:
        if not isinstance(item, bytes) or len(item) != length:
            raise InvalidMessage(f"is not {length} bytes")
        return item

    return Shape(check, check)


def blob(most: int) -> Shape[Any]:
    """At most `most` bytes."""

    def check(item: Item) -> bytes:
        if not isinstance(item, bytes) or len(item) > most:
            raise InvalidMessage(f"is not a byte string of at most {most} bytes")
        return item

    return Shape(check, check)


def optional(shape: Shape[T]) -> Shape[T | None]:
    """`shape` or null."""

    def pack(value: T | None) -> Item:
        return None if value is None else shape.pack(value)

    def unpack(item: Item) -> T | None:
        return None if item is None else shape.unpack(item)

    return Shape(pack, unpack)


def many(shape: Shape[T], most: int, least: int = 0) -> Shape[tuple[T, ...]]:
    """Between `least` and `most` times `shape`."""

    def check(length: int) -> None:
        if not least <= length <= most:
            raise InvalidMessage(f"does not have between {least} and {most} elements")

    def pack(values: tuple[T, ...]) -> Item:
        check(len(values))
        return [shape.pack(value) for value in values]

    def unpack(item: Item) -> tuple[T, ...]:
        if not isinstance(item, list):
            raise InvalidMessage("is not an array")
        check(len(item))
        return tuple(shape.unpack(element) for element in item)

    return Shape(pack, unpack)


def record(cls: type[T], **shapes: Shape[Any]) -> Shape[T]:
    """An array of the named fields of dataclass `cls`, which takes them in this order."""

    def pack(value: T) -> Item:
        return [
            _named(cls, name, shape.pack, getattr(value, name)) for name, shape in shapes.items()
        ]

    def unpack(item: Item) -> T:
        if not isinstance(item, list) or len(item) != len(shapes):
            raise InvalidMessage(f"{cls.__name__} is not an array of {len(shapes)} fields")
        return cls(
            *(
                _named(cls, name, shape.unpack, element)
                for (name, shape), element in zip(shapes.items(), item, strict=True)
            )
        )

    return Shape(pack, unpack)


def _named(cls: type, name: str, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except InvalidMessage as error:
        raise InvalidMessage(f"{cls.__name__}.{name} {error}") from None


def _pack_address(value: Address) -> Item:
    return to_bytes(hexstr=value)


def _unpack_address(item: Item) -> Address:
    return Address(to_checksum_address(fixed(20).unpack(item)))


ADDRESS: Shape[Address] = Shape(_pack_address, _unpack_address)
WORD: Shape[Any] = fixed(32)
