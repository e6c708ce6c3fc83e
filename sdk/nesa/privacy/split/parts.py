"""Cuts a table into the client's first rows, the network's middle rows and the client's last rows.

The middle becomes a table of its own with one input and one output, as every version has. Where it
reads several values of the first part, their elements travel behind each other in one tensor, and
its first rows take them apart again; where it leaves several, its last rows put them behind each
other. Values that the last part needs of the first one stay with the client.

Some rows of the middle may read the model's input itself: a language model looks at its token ids
again to see where the padding begins. The client computes these too, and what they give travels
with the rest; see `nesa.privacy.split.owners`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.graph import Opcode, Part, Shard, Table, is_narrow
from nesa.privacy.split.owners import Owners, owners
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

IDENTITY: tuple[tuple[int, ...], int] = ((128,), 1)
"""Multiplier and halves of a Rescale that changes no value within its declared range."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A table in three parts: rows in front of `first`, rows in front of `end`, and the rest.

    `middle` computes the values `returned` of the whole table from the values `sent`, each in that
    order; the client computes `head`, to which rows behind `first` may belong, and `tail`.
    """

    whole: Table
    middle: Table
    first: int
    end: int
    sent: tuple[int, ...]
    returned: tuple[int, ...]
    head: Part
    tail: Part


def split(table: Table, first: int, end: int) -> Parts:
    """The table with rows `first <= i < end` as the middle.

    Raises:
        InvalidModel: a part is empty, the middle leaves no value behind, it reads the model's
            input, or a value on its ends is too wide to travel.
    """
    owned = require_owners(table, first, end)
    sent, left = owned.sent, owned.left
    if not sent:
        raise InvalidModel(f"rows {first} to {end} read nothing of the rows in front of them")
    if not left:
        raise InvalidModel(f"nothing behind row {end} reads what rows {first} to {end} compute")
    if owned.exposed:
        raise InvalidModel(
            f"row {owned.exposed[0]} of the network's part reads the model's input, or what was "
            "made of single elements of it and can be looked up for each; begin the network's "
            "part behind it, in a model that reads text behind the first attention"
        )
    head, tail = _client_parts(table, owned)
    middle = _middle(table, owned)
    check_table(middle)
    return Parts(replace(table, cuts=()), middle, first, end, sent, left, head, tail)


def require_owners(table: Table, first: int, end: int) -> Owners:
    """Who computes which value.

    Raises:
        InvalidModel: a part is empty.
    """
    if not 0 < first < end < len(table.rows):
        raise InvalidModel(
            f"rows {first} to {end} of {len(table.rows)} leave no rows for one of the three parts"
        )
    return owners(table, first, end)


def joined(edges: tuple[EdgeType, ...]) -> EdgeType:
    """Type of the tensor in which values of these types travel behind each other."""
    if len(edges) == 1:
        return edges[0]
    low, high = min(edge.low for edge in edges), max(edge.high for edge in edges)
    dtype = next(kind for kind in DType if kind.bounds[0] <= low and high <= kind.bounds[1])
    return EdgeType(dtype, (1, sum(edge.elements for edge in edges)), low, high)


def _client_parts(table: Table, owned: Owners) -> tuple[Part, Part]:
    """The client's first rows and its last ones.

    What the first rows leave behind is what the other two parts read.
    """
    last = Shard(owned.end, len(table.rows), tuple(sorted(owned.read_behind)), table.outputs).part
    outputs = sorted({*owned.sent, *(value for value in last.inputs if value not in owned.left)})
    wide = [value for value in (*outputs, *owned.left) if not is_narrow(table.type_of(value))]
    if wide:
        raise InvalidModel(f"value {wide[0]} on an end of the middle is beyond 2**24")
    return Part(owned.client_rows, table.crossing(0), tuple(outputs)), last


def _middle(table: Table, owned: Owners) -> Table:
    edges = table.types_of(owned.sent)
    builder = TableBuilder([joined(edges)])
    known = dict(zip(owned.sent, _apart(builder, edges), strict=True))
    if owned.sources:
        known = dict.fromkeys(owned.sources, _any_element(builder)) | known
    for index in owned.network_rows:
        row = table.rows[index]
        operands = [known[value] for value in row.inputs]
        known[table.output_of(index)] = builder.add(
            row.opcode, operands, row.attributes, row.parameters, row.output_type
        )
    return builder.table([_behind_each_other(builder, [known[value] for value in owned.left])])


def _any_element(builder: TableBuilder) -> int:
    """One element, [1, 1], for layers without weights to read: whatever it is, they make the
    same."""
    flat = builder.reshaped(0, (1, builder.type_of(0).elements))
    if builder.type_of(flat).elements == 1:
        return flat
    return builder.add(Opcode.SLICE, [flat], (1, 0, 1))


def _apart(builder: TableBuilder, edges: tuple[EdgeType, ...]) -> list[int]:
    if len(edges) == 1:
        return [0]
    found, start = [], 0
    for edge in edges:
        stop = start + edge.elements
        flat = builder.add(Opcode.SLICE, [0], (1, start, stop))
        narrow = EdgeType(edge.dtype, (1, edge.elements), edge.low, edge.high)
        found.append(builder.reshaped(builder.rescale(flat, *IDENTITY, narrow), edge.shape))
        start = stop
    return found


def _behind_each_other(builder: TableBuilder, values: list[int]) -> int:
    if len(values) == 1:
        return values[0]
    edges = tuple(map(builder.type_of, values))
    dtype, flat = joined(edges).dtype, list[int]()
    for value, edge in zip(values, edges, strict=True):
        row = builder.reshaped(value, (1, edge.elements))
        alike = EdgeType(dtype, (1, edge.elements), edge.low, edge.high)
        flat.append(row if edge.dtype is dtype else builder.rescale(row, *IDENTITY, alike))
    return builder.joined(flat, 1)
