"""Elements that no integer is right for, because they read a value out of its range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nesa.models.graph import Integers, Opcode, ParameterKind, Row, Shard, Table
from nesa.models.opcodes import operator
from nesa.models.opcodes.operands import Column, Places
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidTensor

Strays = NDArray[np.bool_]
"""Which elements of a flat tensor are out of its range."""


@dataclass(frozen=True, slots=True)
class Undefined:
    """An element of the output of row `row`: operand `operand` of it is out of its range.

    A judge that is shown this operand finds no integer, so every claim about it is wrong.
    """

    row: int
    element: int
    operand: int


def bounded(edge: EdgeType, data: bytes) -> tuple[Integers, Strays]:
    """Canonical bytes as an int64 tensor whose values are moved into the range, and which were.

    Raises:
        InvalidTensor: wrong length.
    """
    if len(data) != edge.nbytes:
        raise InvalidTensor(f"{len(data)} bytes where {edge.nbytes} are needed")
    values = np.frombuffer(data, edge.dtype.numpy).astype(np.int64)
    strays = (values < edge.low) | (values > edge.high)
    return np.clip(values, edge.low, edge.high).reshape(edge.shape), strays


def first_undefined(table: Table, shard: Shard, strays: Mapping[int, Strays]) -> Undefined | None:
    """The first element of a shard that reads one of the `strays` among its inputs, by value.

    All rows before its own are defined. None when nothing reads any of them.
    """
    for index in range(shard.first, shard.end):
        row = table.rows[index]
        read = [strays.get(value) for value in row.inputs]
        if any(found is not None and found.any() for found in read):
            first = _first_in_row(row, table.types_of(row.inputs), read)
            if first is not None:
                return Undefined(index, *first)
    return None


def _first_in_row(
    row: Row, types: tuple[EdgeType, ...], strays: Sequence[Strays | None]
) -> tuple[int, int] | None:
    """Element and operand."""
    if row.opcode is Opcode.ARG_MAX and row.attributes[0] == 1:
        return None  # the only place is the best one, whatever stands there
    rule = operator(row.opcode)
    for element in range(row.output_type.elements):
        for column in rule.operands(row, types, element):
            operand = _first_in_column(column, strays)
            if operand is not None:
                return element, operand
    return None


def _first_in_column(column: Column, strays: Sequence[Strays | None]) -> int | None:
    start = 0
    for run in column:
        if isinstance(run, Places) and not isinstance(run.source, ParameterKind):
            found = strays[run.source]
            if found is not None:
                within = found[run.first : run.first + run.step * run.count : run.step]
                if within.any():
                    return start + int(within.argmax())
        start += run.count
    return None
