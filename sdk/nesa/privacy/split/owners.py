"""Who computes which value of a split table.

Of the rows in the middle the network computes those that follow from the values of the first part.
What follows from the model's input alone, past the first part, the client computes as well, so that
its input stays with it. What follows from nothing at all, the constants, whoever needs it makes.

What a table of embeddings gives for token ids is the ids to whoever has the table, also with their
positions added: it counts as the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from nesa.models.graph import Opcode, ParameterKind, Row, Table

VIEWS: Final = frozenset({Opcode.RESHAPE, Opcode.TRANSPOSE, Opcode.SLICE, Opcode.CONCAT})
"""Rows that move numbers and change none: a view of the input is the input."""

SUMS: Final = frozenset({Opcode.RESCALE, Opcode.ADD_RESCALE})
"""Rows that leave what is looked up for an id to be looked up, with constants added or not."""

ENTRIES: Final = 256
"""So many entries of a table of embeddings say whether it tells ids apart."""


class Owner(Enum):
    """Where a value comes from."""

    INPUT = "the model's input, a view of it, or what is looked up for its ids"
    CONSTANT = "nothing but the model's constants"
    HEAD = "the first part"
    BESIDE = "the input alone, by rows of the middle"
    NETWORK = "values of the first part, by rows of the middle"
    TAIL = "the last part"


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """What crosses the ends of the middle, `first <= i < end`, and who computes which row.

    Values: `sent` to the network, `left` behind by it, `read_behind` by the last part. `sources`
    are what its constants read, [1, 1], and of which nothing counts. Rows, ascending:
    `client_rows` for the first part, `network_rows`, and `exposed`, those of the network that read
    the model's input.
    """

    first: int
    end: int
    sent: tuple[int, ...]
    left: tuple[int, ...]
    read_behind: frozenset[int]
    sources: tuple[int, ...]
    client_rows: tuple[int, ...]
    network_rows: tuple[int, ...]
    exposed: tuple[int, ...]


def owners(table: Table, first: int, end: int) -> Owners:
    """The owners of all values when rows `first <= i < end` are the middle."""
    kinds = _kinds(table, first, end)
    network = [index for index in range(first, end) if _is(table, kinds, index, Owner.NETWORK)]
    read = {value for index in network for value in table.rows[index].inputs}
    made = _constants_for(table, kinds, read)
    sent = {value for value in read if kinds[value] in (Owner.HEAD, Owner.BESIDE)}
    behind = _read_from(table, end)
    client = _client_rows(table, kinds, first, end)
    return Owners(
        first=first,
        end=end,
        sent=tuple(sorted(sent)),
        left=tuple(sorted(value for value in behind if kinds[value] is Owner.NETWORK)),
        read_behind=behind,
        sources=_sources(table, made),
        client_rows=client,
        network_rows=tuple(sorted({*network, *made})),
        exposed=tuple(index for index in network if _reads_input(table, kinds, index)),
    )


def _kinds(table: Table, first: int, end: int) -> list[Owner]:
    """The owner of every value."""
    kinds, looked_up = [Owner.INPUT for _ in table.inputs], set[int]()
    for index, row in enumerate(table.rows):
        kind = _kind(table, index, {kinds[value] for value in row.inputs}, (first, end))
        if _is_looked_up(row, kinds, looked_up) and kind is not Owner.CONSTANT:
            looked_up.add(table.output_of(index))
            kind = Owner.INPUT
        kinds.append(kind)
    return kinds


def _is_looked_up(row: Row, kinds: list[Owner], looked_up: set[int]) -> bool:
    """Whether a row looks up each id for itself, or goes on with such values and constants."""
    if row.opcode is Opcode.EMBEDDING:
        return kinds[row.inputs[0]] is Owner.INPUT and _tells_apart(row)
    others = {kinds[value] for value in row.inputs if value not in looked_up}
    return row.opcode in SUMS | VIEWS and others <= {Owner.CONSTANT} and _reads(row, looked_up)


def _reads(row: Row, values: set[int]) -> bool:
    return not values.isdisjoint(row.inputs)


def _tells_apart(row: Row) -> bool:
    """Whether most ids have an entry of their own; a mask of the padding has two."""
    entries = row.held(ParameterKind.WEIGHTS)[:ENTRIES]
    return 2 * len(np.unique(entries, axis=0)) > len(entries)


def _kind(table: Table, index: int, read: set[Owner], ends: tuple[int, int]) -> Owner:
    first, end = ends
    # A constant made of what the network holds is left to it: the client could not make it alone.
    if read == {Owner.CONSTANT} or (Owner.NETWORK not in read and _makes_constant(table, index)):
        return Owner.CONSTANT
    if Owner.INPUT in read <= {Owner.INPUT, Owner.CONSTANT} and table.rows[index].opcode in VIEWS:
        return Owner.INPUT
    if index < first:
        return Owner.HEAD
    if index >= end:
        return Owner.TAIL
    alone = read <= {Owner.INPUT, Owner.CONSTANT, Owner.BESIDE}
    return Owner.BESIDE if alone else Owner.NETWORK


def _makes_constant(table: Table, index: int) -> bool:
    """Whether a row is a dense layer of one number without weights, of which its biases remain."""
    row = table.rows[index]
    if row.opcode is not Opcode.LINEAR or table.type_of(row.inputs[0]).shape != (1, 1):
        return False
    return not row.held(ParameterKind.WEIGHTS).any()


def _constants_for(table: Table, kinds: list[Owner], read: set[int]) -> set[int]:
    """Rows that make the constants among the values `read`."""
    rows = set[int]()
    wanted = [value for value in read if kinds[value] is Owner.CONSTANT]
    while wanted:
        index = wanted.pop() - len(table.inputs)
        rows.add(index)
        operands = table.rows[index].inputs
        wanted += [value for value in operands if kinds[value] is Owner.CONSTANT]
    return rows


def _sources(table: Table, made: set[int]) -> tuple[int, ...]:
    rows = [index for index in made if _makes_constant(table, index)]
    return tuple(sorted({table.rows[index].inputs[0] for index in rows}))


def _client_rows(table: Table, kinds: list[Owner], first: int, end: int) -> tuple[int, ...]:
    kept = (Owner.INPUT, Owner.CONSTANT, Owner.BESIDE)
    later = [index for index in range(first, end) if kinds[table.output_of(index)] in kept]
    return (*range(first), *later)


def _is(table: Table, kinds: list[Owner], index: int, owner: Owner) -> bool:
    return kinds[table.output_of(index)] is owner


def _reads_input(table: Table, kinds: list[Owner], index: int) -> bool:
    return any(kinds[value] is Owner.INPUT for value in table.rows[index].inputs)


def _read_from(table: Table, position: int) -> frozenset[int]:
    read = {value for row in table.rows[position:] for value in row.inputs}
    before = table.output_of(position)
    return frozenset(value for value in (*read, *table.outputs) if value < before)
