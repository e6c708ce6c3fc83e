"""Operators that give the same numbers another shape, and those that cut and join."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from onnx import NodeProto

from nesa.models.simplifying.network import attribute
from nesa.privacy.equivariant.axes import Axes, size_of
from nesa.privacy.equivariant.conditions import PERMUTATION
from nesa.privacy.equivariant.operators.reading import Reading, listed, untouched


def reshape(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes, shape = reading.operand(node.input[0]), _new_shape(reading, node)
    return (reading.ties.regrouped(axes, shape),)


def _new_shape(reading: Reading, node: NodeProto) -> list[int]:
    """The shape that a view gives."""
    sizes = [max(size_of(axis), 1) for axis in reading.operand(node.input[0])]
    match node.op_type:
        case "Flatten":
            place = attribute(node, "axis", 1)
            assert isinstance(place, int)
            return [math.prod(sizes[:place]), math.prod(sizes[place:])]
        case "Squeeze":
            gone = {place % len(sizes) for place in listed(reading, node, "axes", 1)}
            return [s for i, s in enumerate(sizes) if i not in gone and (gone or s > 1)]
        case "Unsqueeze":
            places = listed(reading, node, "axes", 1)
            rank = len(sizes) + len(places)
            added, rest = {place % rank for place in places}, iter(sizes)
            return [1 if place in added else next(rest) for place in range(rank)]
        case _:
            given = listed(reading, node, "shape", 1)
            shape = [sizes[i] if size == 0 else size for i, size in enumerate(given)]
            known = math.prod(size for size in shape if size > 0)
            return [math.prod(sizes) // known if size < 0 else size for size in shape]


def transpose(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = reading.operand(node.input[0])
    order = listed(reading, node, "perm", 9) or list(reversed(range(len(axes))))
    return (tuple(axes[place] for place in order),)


def expand(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """All places of a new axis are alike, whatever their order."""
    axes, shape = reading.operand(node.input[0]), listed(reading, node, "shape", 1)
    rank = max(len(axes), len(shape))
    held = ((),) * (rank - len(axes)) + axes
    wanted = [1] * (rank - len(shape)) + shape
    pairs = zip(held, wanted, strict=True)
    return (tuple(axis or reading.ties.new(size, PERMUTATION) for axis, size in pairs),)


def concat(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    tensors = [reading.operand(name) for name in node.input]
    place = attribute(node, "axis", 0)
    assert isinstance(place, int)
    first = tensors[0]
    place %= len(first)
    for other in tensors[1:]:
        for axis, pair in enumerate(zip(first, other, strict=True)):
            if axis != place:
                reading.ties.tie(*pair)
    joined = reading.ties.joined([axes[place] for axes in tensors])
    return ((*first[:place], joined, *first[place + 1 :]),)


def sliced(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = list(reading.operand(node.input[0]))
    starts, stops = listed(reading, node, "starts", 1), listed(reading, node, "ends", 2)
    places = listed(reading, node, "axes", 3) or list(range(len(starts)))
    steps = listed(reading, node, "steps", 4) or [1] * len(starts)
    if set(steps) != {1}:
        return untouched(reading, node)
    for start, stop, place in zip(starts, stops, places, strict=True):
        size = max(size_of(axes[place]), 1)
        begin, end = (min(max(at + size if at < 0 else at, 0), size) for at in (start, stop))
        axes[place] = reading.ties.sliced(axes[place], begin, end)
    return (tuple(axes),)


def split(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    axes = reading.operand(node.input[0])
    place = attribute(node, "axis", 0)
    assert isinstance(place, int)
    place %= len(axes)
    size, count = size_of(axes[place]), len(node.output)
    even = -(-size // count)
    sizes = listed(reading, node, "split", 1) or [even] * (count - 1) + [size - even * (count - 1)]
    ends = accumulate(sizes, initial=0)
    parts = [reading.ties.sliced(axes[place], *pair) for pair in pairwise(ends)]
    return [(*axes[:place], part, *axes[place + 1 :]) for part in parts]
