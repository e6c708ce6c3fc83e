"""From which elements of a model's input every element of a value follows: none, one or several.

Whoever has the public model computes a value for everything that one element of its input can be,
and looks up there what it is given: the embedding of a token id, that embedding through dense
layers, a grey value through a rescale. Where several elements meet, such as behind the first
attention or the first dense layer of features, that is no list any more.

One thing may be told of each element of the input: which of two classes it is in, as a mask of the
padding tells, looked up in a table of two kinds of entries. Others of the same classes tell no
more.

Weights of zero count as weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from nesa.models.graph import Integers, Opcode, ParameterKind, Row, Table
from nesa.models.opcodes import operator
from nesa.models.opcodes.conv import ConvAttributes, patches_of
from nesa.models.opcodes.window import PoolAttributes, windows

NONE: Final = (2**40, -1)
"""First and last origin of what follows from no element."""
VIEWS: Final = (Opcode.RESHAPE, Opcode.TRANSPOSE, Opcode.SLICE)
TABLES_KEPT: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """The numbers of the first and the last element of the input that each element of a value
    follows from, both in the value's shape."""

    first: Integers
    last: Integers

    @property
    def any_alone(self) -> bool:
        """Whether some element follows from one element of the input and no other."""
        return bool((self.first == self.last).any())


@lru_cache(TABLES_KEPT)
def told_alone(table: Table) -> tuple[bool, ...]:
    """Of each value whether an element of it follows from a single element of the input."""
    found, start = list[Origins](), 0
    for edge in table.inputs:
        numbers = np.arange(start, start + edge.elements).reshape(edge.shape)
        found.append(Origins(numbers, numbers))
        start += edge.elements
    masks = _masks(table)
    for index, row in enumerate(table.rows):
        if index in masks or makes_constant(table, index):
            found.append(_nowhere(row.output_type.shape))
        else:
            found.append(_behind(row, [found[value] for value in row.inputs]))
    return tuple(each.any_alone for each in found)


def makes_constant(table: Table, index: int) -> bool:
    """Whether a row is a dense layer of one number without weights, of which its biases remain."""
    row = table.rows[index]
    if row.opcode is not Opcode.LINEAR or table.type_of(row.inputs[0]).shape != (1, 1):
        return False
    return not row.held(ParameterKind.WEIGHTS).any()


def _masks(table: Table) -> frozenset[int]:
    """Rows that look up elements of the input in two classes, the same two in all of them.

    What follows from all of these together is one bit of each element. Classes that are different
    from the first add up to more: `x == k` for every `k` is `x`.
    """
    read, found = set(range(len(table.inputs))), dict[int, bytes]()
    for index, row in enumerate(table.rows):
        if row.opcode in VIEWS and row.inputs[0] in read:
            read.add(table.output_of(index))
        if row.opcode is Opcode.EMBEDDING and row.inputs[0] in read:
            classes = _classes(row)
            if classes is not None:
                found[index] = classes
    allowed = next((classes for classes in found.values() if 0 in classes), b"")
    return frozenset(
        index for index, classes in found.items() if classes == allowed or 0 not in classes
    )


def _classes(row: Row) -> bytes | None:
    """A byte for each entry of a table, 1 where it is as the first one and 0 elsewhere; None where
    the others differ among each other, and of two entries, whose classes are all there is."""
    entries = row.held(ParameterKind.WEIGHTS)
    if len(entries) == 2:
        return None
    as_first: NDArray[np.bool_] = (entries == entries[0]).all(axis=1)
    others = entries[~as_first]
    return as_first.tobytes() if (others == others[:1]).all() else None


def _nowhere(shape: tuple[int, ...]) -> Origins:
    first, last = (np.full(shape, end) for end in NONE)
    return Origins(first, last)


def _behind(row: Row, read: Sequence[Origins]) -> Origins:
    """Origins of what a row makes of values with these origins."""
    first = _gathered(row, [each.first for each in read], np.minimum, NONE[0])
    last = _gathered(row, [each.last for each in read], np.maximum, NONE[1])
    return Origins(first, last)


def _gathered(row: Row, read: Sequence[Integers], meet: np.ufunc, none: int) -> Integers:
    """One end of the origins, where `meet` is the end of two and `none` that of nothing."""
    shape = row.output_type.shape
    match row.opcode:
        case Opcode.RESHAPE | Opcode.TRANSPOSE | Opcode.SLICE | Opcode.CONCAT:
            return operator(row.opcode).reference(row, tuple(read))
        case Opcode.EMBEDDING:
            return np.broadcast_to(read[0][..., None], shape)
        case Opcode.LINEAR | Opcode.ROW_SUM | Opcode.ROW_MAX | Opcode.ARG_MAX:
            return np.broadcast_to(meet.reduce(read[0], axis=-1, keepdims=True), shape)
        case Opcode.MATMUL:
            rows, columns = meet.reduce(read[0], axis=-1), meet.reduce(read[1], axis=-2)
            return np.broadcast_to(meet(rows[..., :, None], columns[..., None, :]), shape)
        case Opcode.CONV:
            return _convolved(row, read[0], meet, none)
        case Opcode.MAX_POOL | Opcode.SUM_POOL:
            pool = PoolAttributes(*row.attributes)
            return np.asarray(meet.reduce(windows(read[0], pool), axis=-1)).reshape(shape)
        case (
            Opcode.RESCALE
            | Opcode.ADD_RESCALE
            | Opcode.TABLE
            | Opcode.DIVIDE_SEARCH
            | Opcode.ROOT_SEARCH
        ):
            return np.broadcast_to(reduce(meet, read), shape)
        case Opcode.SHARD:
            raise AssertionError("a shard is no operator")
    assert_never(row.opcode)


def _convolved(row: Row, read: Integers, meet: np.ufunc, none: int) -> Integers:
    window = ConvAttributes(*row.attributes)
    # Places outside count as 0 there, and as nothing here.
    patches = patches_of(read[0] - none, window) + none
    groups = np.asarray(meet.reduce(patches, axis=1))
    channels = row.output_type.shape[1] // window.groups
    return np.repeat(groups, channels, axis=0).reshape(row.output_type.shape)
