"""Where a column's operands lie in the tree that is opened for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from nesa.models.graph import Opcode, ParameterKind, Row
from nesa.models.opcodes import operator
from nesa.models.opcodes.conv import ConvAttributes
from nesa.models.opcodes.operands import (
    LEAF_OPERANDS,
    Column,
    Fold,
    Padding,
    Places,
    Run,
    Selected,
    Source,
    part,
)
from nesa.protocol.digests import LEAF_BYTES
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidOpening


@dataclass(frozen=True, slots=True)
class Address:
    """Operands of one column in one tree: that of a tensor, of constants, of a channel of weights.

    `channel` is 0 but for weights. `places` count in the tree's integers; -1 is padding.
    """

    source: Source
    channel: int
    places: tuple[int, ...]

    def leaves(self, itemsize: int) -> tuple[int, ...]:
        """The leaves that hold the operands, ascending."""
        each = LEAF_BYTES // itemsize
        return tuple(sorted({place // each for place in self.places if place >= 0}))


def columns_of(
    row: Row, types: tuple[EdgeType, ...], element: int, first: int, stop: int
) -> tuple[tuple[Source, Column], ...]:
    """Each column's source, and what operands `first <= k < stop` leave of the column.

    Raises:
        InvalidOpening: no such operands, or more than 256.
    """
    rule = operator(row.opcode)
    columns = rule.operands(row, types, element)
    count = sum(run.count for run in columns[0]) if rule.fold is not Fold.WHOLE else 1
    if not 0 <= first < stop <= count or stop - first > LEAF_OPERANDS:
        raise InvalidOpening(f"there are no operands [{first}, {stop}) of {count}")
    if rule.fold is Fold.WHOLE:
        return tuple((_source(column), column) for column in columns)
    return tuple((_source(column), part(column, first, stop)) for column in columns)


def address(row: Row, source: Source, column: Column, chosen: Sequence[int]) -> Address:
    """Where the operands of a column lie; `chosen` are the values of the first column."""
    flat = tuple(place for run in column for place in _places(run, chosen))
    if source is not ParameterKind.WEIGHTS or not flat:
        return Address(source, 0, flat)
    _, size = constants_shape(row, ParameterKind.WEIGHTS)
    return Address(source, flat[0] // size, tuple(place % size for place in flat))


def constants_shape(row: Row, kind: ParameterKind) -> tuple[int, int]:
    """Channels and integers of a channel of a row's constants; one channel unless weights."""
    match kind:
        case ParameterKind.WEIGHTS:
            return _weights_shape(row)
        case ParameterKind.BIASES:
            return 1, _weights_shape(row)[0]
        case ParameterKind.ENTRIES:
            return 1, 256
        case ParameterKind.MULTIPLIERS:
            return 1, _multipliers(row)
    assert_never(kind)


def _weights_shape(row: Row) -> tuple[int, int]:
    if row.opcode is Opcode.CONV:
        return row.output_type.shape[1], ConvAttributes(*row.attributes).operands
    first, second = row.attributes
    return (first, second) if row.opcode is Opcode.EMBEDDING else (second, first)


def _multipliers(row: Row) -> int:
    if row.opcode is Opcode.ADD_RESCALE:
        return 2
    axis = row.attributes[1]
    return 1 if axis < 0 else row.output_type.shape[axis]


def _source(column: Column) -> Source:
    for run in column:
        match run:
            case Places(source):
                return source
            case Selected(kind):
                return kind
            case Padding():
                continue
    raise InvalidOpening("a column of nothing but padding")


def _places(run: Run, chosen: Sequence[int]) -> tuple[int, ...]:
    match run:
        case Padding(count):
            return (-1,) * count
        case Selected(_, scale, offset):
            return (scale * chosen[0] + offset,)
        case Places(_, first, step, count):
            return tuple(first + place * step for place in range(count))
    assert_never(run)
