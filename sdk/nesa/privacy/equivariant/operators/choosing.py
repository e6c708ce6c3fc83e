"""Operators that choose places by what is in them: the largest gates of a router, and what is made
of their numbers.

The number of a place is a name of it. Where the places move, TopK gives the new names, and whatever
is looked up by them, or compared with them, is renamed along.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from nesa.models.simplifying.network import attribute
from nesa.privacy.equivariant.axes import Axes
from nesa.privacy.equivariant.conditions import PERMUTATION
from nesa.privacy.equivariant.operators.reading import Reading, untouched


def top_k(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """The largest of a row in order of size, and their names: the row may be in any order.

    Where two are equal to the bit the lower name wins, which a permutation changes.
    """
    axes = reading.operand(node.input[0])
    count = reading.constant(node.input[1]) if len(node.input) > 1 else None
    place = _place(node, len(axes))
    row = reading.ties.flat(axes[place])
    if count is None or len(row) != 1 or not attribute(node, "sorted", 1):
        return untouched(reading, node)
    around = (*axes[:place], *axes[place + 1 :])
    reading.ties.mixed(around, row)
    for axis in axes:
        reading.ties.narrow(axis, PERMUTATION)
    if len(node.output) > 1 and node.output[1]:
        reading.roots[node.output[1]] = node.output[1]
        reading.names[node.output[1]] = row
    found = (*axes[:place], reading.ties.fixed(int(count.item())), *axes[place + 1 :])
    return (found, found)


def one_hot(reading: Reading, node: NodeProto) -> Sequence[Axes]:
    """A row for every name, of which one place is on: the places are the names."""
    names = reading.named_by(node)
    if names is None:
        return untouched(reading, node)
    axes = reading.operand(node.input[0])
    place = _place(node, len(axes) + 1)
    for axis in axes:
        reading.ties.narrow(axis, PERMUTATION)
    return ((*axes[:place], names, *axes[place:]),)


def _place(node: NodeProto, size: int) -> int:
    place = attribute(node, "axis", -1)
    assert isinstance(place, int)
    return place % size
