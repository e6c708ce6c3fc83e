"""Who computes which value of a split table.

Of the rows in the middle the network computes those that follow from the values of the first part.
What follows from the model's input alone, past the first part, the client computes as well, so that
its input stays with it. What follows from nothing at all, the constants, whoever needs it makes.

A value that tells of single elements of the input can be looked up element by element by whoever
has the model: it counts as the input, see `nesa.privacy.split.origins`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from nesa.models.graph import Table
from nesa.privacy.split.origins import makes_constant, told_alone


class Owner(Enum):
    """Where a value comes from."""

    INPUT = "single elements of the model's input, whatever was made of each"
    CONSTANT = "nothing but the model's constants"
    HEAD = "the first part"
    BESIDE = "the input alone, by rows of the middle"
    NETWORK = "values of the first part, by rows of the middle"
    TAIL = "the last part"


OF_CLIENT: Final = (Owner.HEAD, Owner.BESIDE, Owner.TAIL)
"""Who else computes what is made of single elements; at the network it would be exposed."""


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
    kinds, alone = [Owner.INPUT for _ in table.inputs], told_alone(table)
    for index, row in enumerate(table.rows):
        kind = _kind(table, index, {kinds[value] for value in row.inputs}, (first, end))
        is_input = alone[table.output_of(index)] and kind in OF_CLIENT
        kinds.append(Owner.INPUT if is_input else kind)
    return kinds


def _kind(table: Table, index: int, read: set[Owner], ends: tuple[int, int]) -> Owner:
    first, end = ends
    # A constant made of what the network holds is left to it: the client could not make it alone.
    if read == {Owner.CONSTANT} or (Owner.NETWORK not in read and makes_constant(table, index)):
        return Owner.CONSTANT
    if index < first:
        return Owner.HEAD
    if index >= end:
        return Owner.TAIL
    alone = read <= {Owner.INPUT, Owner.CONSTANT, Owner.BESIDE}
    return Owner.BESIDE if alone else Owner.NETWORK


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
    rows = [index for index in made if makes_constant(table, index)]
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
