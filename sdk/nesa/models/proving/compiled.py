"""Reads what ezkl compiled: the graph and the run arguments inside a compiled circuit.

ezkl does not refuse what it cannot do exactly, so the rules are checked on its own output and not
on the ONNX file that went in. The file is bincode (fixed-width little-endian) of the structures of
ezkl 23.0.5; whatever is not expected here is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from nesa.models.proving.field import from_field
from nesa.protocol.errors import InvalidModel

T = TypeVar("T")
Outlet = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation: its name in ezkl, its fields, and the constant that it holds (int64)."""

    name: str
    fields: Mapping[str, Any]
    constant: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node: operation, scale of its output, outlets (node, output) that it reads, shape."""

    operation: Operation
    scale: int
    inputs: tuple[Outlet, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CompiledGraph:
    """The nodes by number, the numbers of inputs, the outlets of outputs, and run arguments."""

    nodes: Mapping[int, Node]
    inputs: tuple[int, ...]
    outputs: tuple[Outlet, ...]
    run_args: Mapping[str, Any]


def read_compiled(data: bytes) -> CompiledGraph:
    """The graph inside the compiled circuit `data`.

    Raises:
        InvalidModel: an operation that is not on the list, or another format.
    """
    try:
        return _graph(_Reader(data))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise InvalidModel(f"the compiled circuit cannot be read: {error}") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self._data, self._place)
        self._place += struct.calcsize(code)
        return value

    def take(self, length: int) -> bytes:
        chunk = self._data[self._place : self._place + length]
        if len(chunk) != length:
            raise InvalidModel("the compiled circuit is cut short")
        self._place += length
        return chunk

    def size(self) -> int:
        return int(self.number("Q"))

    def wide(self) -> int:
        return int.from_bytes(self.take(16), "little", signed=True)

    def flag(self) -> bool:
        return bool(self.choice("absent or false", {0: False, 1: True}, "B"))

    def text(self) -> str:
        return self.take(self.size()).decode()

    def list(self, item: Callable[[], T]) -> tuple[T, ...]:
        return tuple(item() for _ in range(self.size()))

    def option(self, item: Callable[[], T]) -> T | None:
        return item() if self.flag() else None

    def choice(self, what: str, names: Mapping[int, T], code: str = "I") -> T:
        tag = self.number(code)
        if tag not in names:
            raise InvalidModel(f"{what} {tag} is not on the list of what circuits may hold")
        return names[tag]

    def pair(self) -> Outlet:
        return self.size(), self.size()


_Fields = Callable[[_Reader], Mapping[str, Any]]


def _nothing(_: _Reader) -> Mapping[str, Any]:
    return {}


def _sizes(name: str) -> _Fields:
    return lambda reader: {name: reader.list(reader.size)}


def _conv(reader: _Reader) -> Mapping[str, Any]:
    return {
        "padding": reader.list(reader.pair),
        "stride": reader.list(reader.size),
        "group": reader.size(),
        "data_format": reader.number("I"),
        "kernel_format": reader.number("I"),
    }


def _max_pool(reader: _Reader) -> Mapping[str, Any]:
    return {
        "padding": reader.list(reader.pair),
        "stride": reader.list(reader.size),
        "kernel": reader.list(reader.size),
        "data_format": reader.number("I"),
    }


def _rectifier(reader: _Reader) -> Mapping[str, Any]:
    return {"slope": reader.number("f"), "scale": reader.number("i")}


def _move_axis(reader: _Reader) -> Mapping[str, Any]:
    return {"source": reader.size(), "destination": reader.size()}


def _slice(reader: _Reader) -> Mapping[str, Any]:
    return {"axis": reader.size(), "start": reader.size(), "end": reader.size()}


def _gather(reader: _Reader) -> Mapping[str, Any]:
    axis = reader.size()
    if reader.flag():
        raise InvalidModel("a gather by constant places is not on the list")
    return {"axis": axis}


_LINEAR: Final[Mapping[int, tuple[str, _Fields]]] = {
    2: ("rectifier", _rectifier),
    8: ("einsum", lambda reader: {"equation": reader.text()}),
    9: ("conv", _conv),
    12: ("add", _nothing),
    13: ("subtract", _nothing),
    15: ("multiply", _nothing),
    16: ("identity", lambda reader: {"scale": reader.option(lambda: reader.number("i"))}),
    17: ("reshape", _sizes("shape")),
    18: ("move_axis", _move_axis),
    19: ("reshape", _sizes("shape")),
    21: ("sum", _sizes("axes")),
    25: ("concat", lambda reader: {"axis": reader.size()}),
    26: ("slice", _slice),
}
_HYBRID: Final[Mapping[int, tuple[str, _Fields]]] = {
    5: ("floor", lambda reader: {"scale": reader.number("f"), "legs": reader.size()}),
    8: ("divide", lambda reader: {"denominator": reader.number("f")}),
    10: ("arg_max", lambda reader: {"axis": reader.size()}),
    12: ("max_pool", _max_pool),
    15: ("maximum", _nothing),
    16: ("minimum", _nothing),
    24: ("gather", _gather),
}


def _family(what: str, names: Mapping[int, tuple[str, _Fields]]) -> Callable[[_Reader], Operation]:
    def read(reader: _Reader) -> Operation:
        name, fields = reader.choice(what, names)
        return Operation(name, fields(reader))

    return read


def _input(reader: _Reader) -> Operation:
    scale, kind, checked = reader.number("i"), reader.number("I"), reader.flag()
    return Operation("input", {"scale": scale, "type": kind, "checked": checked})


def _constant(reader: _Reader) -> Operation:
    values, shape, scale = _tensor(reader, lambda: from_field(_element(reader)))
    raw, _, _ = _tensor(reader, lambda: reader.number("f"))
    reader.flag()
    if raw and values != raw:
        raise InvalidModel("a constant of the circuit is not the integer that the model holds")
    held = np.array(values, dtype=np.int64).reshape(shape)
    return Operation("constant", {"scale": scale}, held)


def _rebase(reader: _Reader) -> Operation:
    inner, divide = _operation(reader), _family("rebasing operation", _HYBRID)(reader)
    fields = {
        "inner": inner.name,
        **{f"inner_{name}": value for name, value in inner.fields.items()},
        "outer": divide.name,
        **divide.fields,
        "target": reader.number("i"),
        "original": reader.number("i"),
        "multiplier": reader.number("d"),
    }
    return Operation("rebase", fields)


_KINDS: Final[Mapping[int, Callable[[_Reader], Operation]]] = {
    0: _family("linear operation", _LINEAR),
    2: _family("hybrid operation", _HYBRID),
    3: _input,
    4: _constant,
    7: _rebase,
}


def _operation(reader: _Reader) -> Operation:
    return reader.choice("kind of operation", _KINDS)(reader)


def _element(reader: _Reader) -> int:
    """One element of the field: 32 bytes, little-endian."""
    return int.from_bytes(reader.take(32), "little")


def _tensor(
    reader: _Reader, item: Callable[[], T]
) -> tuple[tuple[T, ...], tuple[int, ...], int | None]:
    values = reader.list(item)
    shape = reader.list(reader.size)
    scale: int | None = reader.option(lambda: reader.number("i"))
    reader.option(lambda: _visibility(reader))
    return values, shape, scale


def _visibility(reader: _Reader) -> str:
    names = {0: "private", 1: "public", 2: "hashed", 4: "fixed"}
    shown = reader.choice("visibility", names)
    if shown == "hashed" and (not reader.flag() or reader.size()):
        raise InvalidModel("a hash of the compiled circuit is not among its instances")
    return shown


def _node(reader: _Reader) -> tuple[int, Node]:
    key = reader.size()
    reader.choice("kind of node", {0: "node"})
    operation = _operation(reader)
    scale = reader.number("i")
    inputs, shape = reader.list(reader.pair), reader.list(reader.size)
    number, _uses = reader.size(), reader.size()
    if number != key:
        raise InvalidModel(f"node {number} stands at place {key} of the compiled circuit")
    return key, Node(operation, scale, inputs, shape)


def _graph(reader: _Reader) -> CompiledGraph:
    nodes = dict(reader.list(lambda: _node(reader)))
    inputs, outputs = reader.list(reader.size), reader.list(reader.pair)
    reader.list(lambda: reader.number("I"))  # types of the outputs in ONNX
    shown = [_visibility(reader) for _ in range(3)]  # inputs, parameters, outputs
    run_args = _run_args(reader)
    if shown != [run_args[f"{side}_visibility"] for side in ("input", "param", "output")]:
        raise InvalidModel("the compiled circuit states its visibility twice, differently")
    return CompiledGraph(nodes, inputs, outputs, run_args)


def _run_args(reader: _Reader) -> Mapping[str, Any]:
    """The arguments that decide what the circuit constrains, in the order of the file."""
    return {
        "input_scale": reader.number("i"),
        "param_scale": reader.number("i"),
        "rebase_scale": reader.option(lambda: reader.number("i")),
        "scale_rebase_multiplier": reader.number("I"),
        "lookup_range": [reader.wide(), reader.wide()],
        "logrows": reader.number("I"),
        "num_inner_cols": reader.size(),
        "variables": reader.list(lambda: (reader.text(), reader.size())),
        "input_visibility": _visibility(reader),
        "output_visibility": _visibility(reader),
        "param_visibility": _visibility(reader),
        "rebase_frac_zero_constants": reader.flag(),
        "check_mode": reader.choice("check mode", {0: "safe", 1: "unsafe"}),
        "decomp_base": reader.size(),
        "decomp_legs": reader.size(),
        "bounded_log_lookup": reader.flag(),
        "ignore_range_check_inputs_outputs": reader.flag(),
        "epsilon": reader.option(lambda: reader.number("d")),
        "disable_freivalds": reader.flag(),
    }
