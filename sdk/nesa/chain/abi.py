"""Interfaces of the contracts as exported from their sources, and calls built from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from eth_abi.abi import encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import registry
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from nesa.protocol.errors import Incompatible, InvalidInput
from nesa.protocol.ids import Address

AbiEntry = Mapping[str, Any]

_FOLDER: Final = "abi"


def _decode(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Values of the ABI types `kinds`.

    Anybody can put bytes that are no text where a contract takes a string, and nobody who reads
    the chain may stumble over them: they come out escaped.
    """
    return tuple(_DECODER.decode(kinds, data))


def _forgiving() -> ABIDecoder:
    untyped: Any = StringDecoder
    kinds: Any = registry
    kinds = kinds.copy()
    kinds.unregister_decoder("string")
    kinds.register_decoder("string", untyped("backslashreplace"), "string")
    return ABIDecoder(kinds)


_DECODER: Final = _forgiving()


@dataclass(frozen=True, slots=True)
class ContractCall:
    """A call that is ready to be simulated or sent; `label` names it in logs and errors."""

    to: Address
    data: bytes
    label: str
    value: int = 0


@dataclass(frozen=True, slots=True)
class Function:
    """One function of an interface."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def selector(self) -> bytes:
        """First four bytes of the calldata."""
        return keccak(text=f"{self.name}({','.join(self.inputs)})")[:4]

    def encode(self, arguments: Sequence[Any]) -> bytes:
        """Calldata.

        Raises:
            InvalidInput: an argument does not fit its type.
        """
        try:
            return self.selector + encode(self.inputs, arguments)
        except (EncodingError, OverflowError, TypeError, ValueError) as error:
            raise InvalidInput(f"{self.name}: {error}") from error

    def arguments(self, calldata: bytes) -> tuple[Any, ...] | None:
        """What calldata says, addresses checksummed; None when it is no call of this function."""
        if calldata[:4] != self.selector:
            return None
        try:
            values = _decode(self.inputs, calldata[4:])
        except (DecodingError, OverflowError):
            return None
        pairs = zip(self.inputs, values, strict=True)
        return tuple(_checksummed(kind, value) for kind, value in pairs)

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Return values, addresses checksummed.

        Raises:
            Incompatible: not what the interface promises.
        """
        try:
            values = _decode(self.outputs, data)
        except (DecodingError, OverflowError) as error:
            raise Incompatible(
                f"{self.name} answered {len(data)} bytes that do not fit its interface; "
                "is this another version of the contracts?"
            ) from error
        pairs = zip(self.outputs, values, strict=True)
        return tuple(_checksummed(kind, value) for kind, value in pairs)


@dataclass(frozen=True, slots=True)
class EventShape:
    """One event of an interface; `fields` are (name, type, indexed) in order of declaration."""

    name: str
    fields: tuple[tuple[str, str, bool], ...]

    @property
    def topic(self) -> bytes:
        """First topic of its logs."""
        return keccak(text=f"{self.name}({','.join(kind for _, kind, _ in self.fields)})")

    def decode(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Values by field name, addresses checksummed; `topics` without the first.

        Raises:
            Incompatible: not what the interface promises.
        """
        indexed = [(name, kind) for name, kind, is_indexed in self.fields if is_indexed]
        rest = [(name, kind) for name, kind, is_indexed in self.fields if not is_indexed]
        try:
            found = [
                (name, kind, _decode([kind], topic)[0])
                for (name, kind), topic in zip(indexed, topics, strict=True)
            ]
            values = _decode([kind for _, kind in rest], data)
        except (DecodingError, OverflowError, ValueError) as error:
            raise Incompatible(f"a {self.name} log does not fit its interface") from error
        found += [(*field, value) for field, value in zip(rest, values, strict=True)]
        return {name: _checksummed(kind, value) for name, kind, value in found}

    def encode(self, values: Mapping[str, Any]) -> tuple[tuple[bytes, ...], bytes]:
        """Topics, the first included, and data of the log that `decode` gives `values` of."""
        indexed = [(name, kind) for name, kind, is_indexed in self.fields if is_indexed]
        rest = [(name, kind) for name, kind, is_indexed in self.fields if not is_indexed]
        topics = tuple(encode([kind], [values[name]]) for name, kind in indexed)
        data = encode([kind for _, kind in rest], [values[name] for name, _ in rest])
        return (self.topic, *topics), data


class Interface:
    """Functions and events of one contract."""

    def __init__(self, name: str, entries: Iterable[AbiEntry]) -> None:
        self.name = name
        self.entries = tuple(entries)
        self.events = tuple(
            _event_shape(entry) for entry in self.entries if entry["type"] == "event"
        )
        self._functions = [
            _function(entry) for entry in self.entries if entry["type"] == "function"
        ]

    def function(self, name: str, arity: int) -> Function:
        """The function `name` with `arity` arguments (Vyper's defaults make several).

        Raises:
            Incompatible: there is none.
        """
        for function in self._functions:
            if function.name == name and len(function.inputs) == arity:
                return function
        raise Incompatible(f"{self.name} has no function {name} with {arity} arguments")


@cache
def interface(name: str) -> Interface:
    """The interface exported as `abi/<name>.json`.

    Raises:
        Incompatible: this build has no such interface.
    """
    source = resources.files("nesa.chain").joinpath(_FOLDER, f"{name}.json")
    if not source.is_file():
        raise Incompatible(f"this build of nesa has no interface called {name}")
    return Interface(name, json.loads(source.read_text(encoding="utf-8")))


def _function(entry: AbiEntry) -> Function:
    inputs = tuple(_type_of(argument) for argument in entry["inputs"])
    outputs = tuple(_type_of(result) for result in entry.get("outputs", ()))
    return Function(str(entry["name"]), inputs, outputs)


def _event_shape(entry: AbiEntry) -> EventShape:
    fields = tuple(
        (str(field["name"]), _type_of(field), bool(field["indexed"])) for field in entry["inputs"]
    )
    return EventShape(str(entry["name"]), fields)


def _type_of(argument: AbiEntry) -> str:
    kind = str(argument["type"])
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(_type_of(member) for member in argument["components"])
    return f"({members}){kind.removeprefix('tuple')}"


def _checksummed(kind: str, value: Any) -> Any:
    """`value` with every address in it in checksummed form."""
    if kind == "address":
        return Address(to_checksum_address(value))
    if "address" not in kind or not isinstance(value, tuple | list):
        return value
    if kind.endswith("]"):
        element = kind[: kind.rindex("[")]
        return tuple(_checksummed(element, item) for item in value)
    pairs = zip(_members(kind), value, strict=True)
    return tuple(_checksummed(member, item) for member, item in pairs)


def _members(kind: str) -> list[str]:
    """Types in a tuple type: "(a,(b,c)[])" gives ["a", "(b,c)[]"]."""
    members, depth, start = [], 0, 1
    for position, letter in enumerate(kind):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if (letter == "," and depth == 1) or (letter == ")" and depth == 0):
            members.append(kind[start:position])
            start = position + 1
    return members
