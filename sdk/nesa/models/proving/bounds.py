"""What values a compiled circuit can hold: every node of it worked out on intervals of integers.

On intervals of width zero this is the circuit's own arithmetic, a second opinion on the witness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.proving.compiled import CompiledGraph, Node
from nesa.protocol.errors import InvalidModel

Integers = NDArray[np.int64]
Fields = Mapping[str, Any]

DIGIT_BASE: Final = 128
_DIGIT_BITS: Final = 7
_TOO_LARGE: Final = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Lowest and highest value of every element of a tensor, inclusive."""

    low: Integers
    high: Integers

    @property
    def exact(self) -> bool:
        """Whether every element can have one value only."""
        return bool((self.low == self.high).all())

    @property
    def magnitude(self) -> int:
        """Largest absolute value."""
        return max(abs(int(self.low.min())), abs(int(self.high.max())))


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """The interval of every node, and the largest magnitude that is split into digits."""

    values: Mapping[int, Interval]
    decomposed: int

    @property
    def digits(self) -> int:
        """Smallest count of digits in base 128, at least 2, that holds `decomposed`."""
        count = 2
        while DIGIT_BASE**count <= self.decomposed:
            count += 1
        return count


def propagate(graph: CompiledGraph, given: Sequence[Interval]) -> Bounds:
    """Bounds of `graph` when its inputs, in order, lie within `given` (any shapes that fit).

    Raises:
        InvalidModel: operands that no rule is known for, or values beyond 2**62.
    """
    feeds = dict(zip(graph.inputs, given, strict=True))
    values: dict[int, Interval] = {}
    decomposed = 0
    for number in sorted(graph.nodes):
        node = graph.nodes[number]
        operands = [values[source] for source, _ in node.inputs]
        values[number] = _node_interval(node, operands, feeds.get(number))
        decomposed = max(decomposed, _decomposed(node, operands, values[number]))
    outputs = [values[number].magnitude for number, _ in graph.outputs]
    return Bounds(values, max([decomposed, *outputs]))


def outputs_at(graph: CompiledGraph, inputs: Sequence[int]) -> tuple[int, ...]:
    """What the circuit of one input and one output computes for `inputs`, both in C order."""
    point = np.array(inputs, np.int64)
    found = propagate(graph, [Interval(point, point)]).values[graph.outputs[0][0]]
    return tuple(int(value) for value in found.low.reshape(-1))


def _node_interval(node: Node, operands: Sequence[Interval], fed: Interval | None) -> Interval:
    operation = node.operation
    if fed is not None:
        return _each(fed, lambda tensor: tensor.reshape(node.shape))
    if operation.constant is not None:
        return Interval(operation.constant, operation.constant)
    if operation.name not in _RULES:
        raise InvalidModel(f"no bounds are known for the operation {operation.name}")
    found = _RULES[operation.name](operation.fields, operands)
    if found.low.shape != node.shape:
        raise InvalidModel(
            f"{operation.name} has shape {node.shape} in the circuit, not {found.low.shape}"
        )
    return found


def _decomposed(node: Node, operands: Sequence[Interval], output: Interval) -> int:
    """Largest magnitude that the node splits into digits, differences included."""
    name = node.operation.name
    if name in ("minimum", "maximum"):
        first, second = operands
        return _difference(Interval(first.low, first.high), second).magnitude
    if name in ("max_pool", "arg_max"):
        return int(operands[0].high.max() - operands[0].low.min())
    if name in ("rebase", "rectifier"):
        return operands[0].magnitude
    return output.magnitude if name == "input" else 0


def _each(interval: Interval, change: Callable[[Integers], Integers]) -> Interval:
    return Interval(change(interval.low), change(interval.high))


def _monotone(change: Callable[[Fields, Integers], Integers]) -> Rule:
    """The rule of an operation of one operand that keeps the order of values."""
    return lambda fields, operands: _each(operands[0], lambda tensor: change(fields, tensor))


def _bilinear(
    operands: Sequence[Interval], product: Callable[[Integers, Integers], Integers], terms: int
) -> Interval:
    """Bounds of a product of which one operand is exact."""
    first, second = operands
    if not (first.exact or second.exact):
        raise InvalidModel("a product of two activations is not provable")
    if first.magnitude * second.magnitude * terms >= _TOO_LARGE:
        raise InvalidModel("a product of the circuit can exceed 2**62")
    if second.exact:
        up, down = np.maximum(second.low, 0), np.minimum(second.low, 0)
        low = product(first.low, up) + product(first.high, down)
        return Interval(low, product(first.high, up) + product(first.low, down))
    up, down = np.maximum(first.low, 0), np.minimum(first.low, 0)
    low = product(up, second.low) + product(down, second.high)
    return Interval(low, product(up, second.high) + product(down, second.low))


def _einsum(fields: Fields, operands: Sequence[Interval]) -> Interval:
    equation = fields["equation"]
    return _bilinear(
        operands,
        lambda first, second: np.asarray(np.einsum(equation, first, second), np.int64),
        max(operands[0].low.size, operands[1].low.size),
    )


def _multiply(fields: Fields, operands: Sequence[Interval]) -> Interval:
    return _bilinear(operands, lambda first, second: first * second, 1)


def _conv(fields: Fields, operands: Sequence[Interval]) -> Interval:
    """Two-dimensional convolution, [1, C, H, W] by [N, C/groups, h, w], with or without bias."""
    if fields["data_format"] != 0 or fields["kernel_format"] != 1 or len(fields["stride"]) != 2:
        raise InvalidModel("a convolution of the circuit is not NCHW by OIHW in two dimensions")
    sums = _bilinear(
        operands[:2],
        lambda image, kernel: _convolved(image, kernel, fields),
        math.prod(operands[1].low.shape[1:]),
    )
    if len(operands) == 2:
        return sums
    bias = _each(operands[2], lambda tensor: tensor.reshape(1, -1, 1, 1))
    return _sum(sums, bias)


def _convolved(image: Integers, kernel: Integers, fields: Fields) -> Integers:
    groups = fields["group"]
    pads = [(0, 0), *fields["padding"]]
    views = _windows(np.pad(image[0], pads), kernel.shape[2:], fields["stride"])
    grouped = views.reshape(groups, -1, *views.shape[1:])
    kernels = kernel.reshape(groups, -1, *kernel.shape[1:])
    sums = np.einsum("gcijuv,gncuv->gnij", grouped, kernels)
    return np.asarray(sums.reshape(1, -1, *sums.shape[2:]), np.int64)


def _windows(tensor: Integers, kernel: Sequence[int], stride: Sequence[int]) -> Integers:
    """Every place of a window over the last two axes: [.., rows, columns, *kernel]."""
    window = (*(1,) * (tensor.ndim - 2), *kernel)
    views = np.lib.stride_tricks.sliding_window_view(tensor, window)
    places = views.reshape(*views.shape[: tensor.ndim], *kernel)
    return np.asarray(places[..., :: stride[0], :: stride[1], :, :], np.int64)


def _sum(first: Interval, second: Interval) -> Interval:
    return Interval(first.low + second.low, first.high + second.high)


def _difference(first: Interval, second: Interval) -> Interval:
    return Interval(first.low - second.high, first.high - second.low)


def _pairwise(
    choose: Callable[[Integers, Integers], Integers],
) -> Rule:
    return lambda fields, operands: Interval(
        choose(operands[0].low, operands[1].low), choose(operands[0].high, operands[1].high)
    )


def _pooled(fields: Fields, tensor: Integers) -> Integers:
    """Largest value of each window of [1, C, H, W]; ezkl would pad with 0."""
    if fields["data_format"] != 0 or any(map(any, fields["padding"])):
        raise InvalidModel("a max pool of the circuit is padded or not NCHW")
    views = _windows(tensor, fields["kernel"], fields["stride"])
    return np.asarray(views.max(axis=(-2, -1)), np.int64)


def _arg_max(fields: Fields, operands: Sequence[Interval]) -> Interval:
    axis, operand = fields["axis"], operands[0]
    if operand.exact:
        place = np.argmax(operand.low, axis=axis, keepdims=True).astype(np.int64)
        return Interval(place, place)
    shape = [1 if number == axis else size for number, size in enumerate(operand.low.shape)]
    last = np.full(shape, operand.low.shape[axis] - 1, np.int64)
    return Interval(np.zeros_like(last), last)


def _gather(fields: Fields, operands: Sequence[Interval]) -> Interval:
    """Look-up in a table of constants, every place of which must exist."""
    table, places = operands
    if not table.exact or table.low.ndim != 1 or fields["axis"] != 0:
        raise InvalidModel("a look-up of the circuit is not into one row of constants")
    if int(places.low.min()) < 0 or int(places.high.max()) >= table.low.size:
        raise InvalidModel("a look-up of the circuit can leave its table")
    pairs = zip(places.low.reshape(-1), places.high.reshape(-1), strict=True)
    reached = [table.low[low : high + 1] for low, high in pairs]
    shape = places.low.shape
    return Interval(
        np.array([part.min() for part in reached], np.int64).reshape(shape),
        np.array([part.max() for part in reached], np.int64).reshape(shape),
    )


def _concat(fields: Fields, operands: Sequence[Interval]) -> Interval:
    axis = fields["axis"]
    return Interval(
        np.concatenate([operand.low for operand in operands], axis),
        np.concatenate([operand.high for operand in operands], axis),
    )


def _sliced(fields: Fields, tensor: Integers) -> Integers:
    return np.take(tensor, np.arange(fields["start"], fields["end"]), axis=fields["axis"])


Rule = Callable[[Fields, Sequence[Interval]], Interval]

_RULES: Final[Mapping[str, Rule]] = {
    "add": lambda fields, operands: _sum(*operands),
    "arg_max": _arg_max,
    "concat": _concat,
    "conv": _conv,
    "einsum": _einsum,
    "gather": _gather,
    "identity": lambda fields, operands: operands[0],
    "max_pool": _monotone(_pooled),
    "maximum": _pairwise(np.maximum),
    "minimum": _pairwise(np.minimum),
    "move_axis": _monotone(lambda fields, tensor: np.moveaxis(tensor, *_axes(fields))),
    "multiply": _multiply,
    "rebase": _monotone(lambda fields, tensor: tensor >> _DIGIT_BITS),
    "rectifier": _monotone(lambda fields, tensor: np.maximum(tensor, 0)),
    "reshape": _monotone(lambda fields, tensor: tensor.reshape(fields["shape"])),
    "slice": _monotone(_sliced),
    "subtract": lambda fields, operands: _difference(*operands),
}


def _axes(fields: Fields) -> tuple[int, int]:
    return fields["source"], fields["destination"]
