"""Cuts a table into the client's first rows, the network's middle rows and the client's last rows.

The middle becomes a table of its own with one input and one output, as every version has. Where it
reads several values of the first part, their elements travel behind each other in one tensor, and
its first rows take them apart again. Values that the last part needs of the first one stay with the
client.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.graph import Opcode, Shard, Table
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

IDENTITY: tuple[tuple[int, ...], int] = ((128,), 1)
"""Multiplier and halves of a Rescale that changes no value within its declared range."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A table in three parts: rows in front of `first`, rows in front of `end`, and the rest.

    `middle` computes value `returned` of the whole table from the values `sent`, in that order.
    """

    whole: Table
    middle: Table
    first: int
    end: int
    sent: tuple[int, ...]
    returned: int

    @property
    def head(self) -> Shard:
        """The client's first rows; what they leave behind is what the other parts read."""
        kept = (value for value in _read_from(self.whole, self.end) if self._is_early(value))
        outputs = sorted({*self.sent, *kept})
        return Shard(0, self.first, self.whole.crossing(0), tuple(outputs))

    @property
    def tail(self) -> Shard:
        """The client's last rows."""
        inputs = tuple(sorted(_read_from(self.whole, self.end)))
        return Shard(self.end, len(self.whole.rows), inputs, self.whole.outputs)

    def _is_early(self, value: int) -> bool:
        return value < self.whole.output_of(self.first)


def split(table: Table, first: int, end: int) -> Parts:
    """The table with rows `first <= i < end` as the middle.

    Raises:
        InvalidModel: a part is empty, the middle leaves more than one value behind, or a value on
            its ends is too wide to travel.
    """
    if not 0 < first < end < len(table.rows):
        raise InvalidModel(
            f"rows {first} to {end} of {len(table.rows)} leave no rows for one of the three parts"
        )
    begin, behind = table.output_of(first), table.output_of(end)
    read = {value for row in table.rows[first:end] for value in row.inputs}
    sent = tuple(sorted(value for value in read if value < begin))
    left = sorted(value for value in _read_from(table, end) if begin <= value < behind)
    if not sent:
        raise InvalidModel(f"rows {first} to {end} read nothing of the rows in front of them")
    if len(left) != 1:
        raise InvalidModel(
            f"rows {first} to {end} leave {len(left)} values behind and a version has one output; "
            "split where one tensor crosses, such as between two layers"
        )
    middle = _middle(table, first, end, sent, left[0])
    check_table(middle)
    return Parts(replace(table, cuts=()), middle, first, end, sent, left[0])


def joined(edges: tuple[EdgeType, ...]) -> EdgeType:
    """Type of the tensor in which values of these types travel behind each other."""
    if len(edges) == 1:
        return edges[0]
    low, high = min(edge.low for edge in edges), max(edge.high for edge in edges)
    dtype = next(kind for kind in DType if kind.bounds[0] <= low and high <= kind.bounds[1])
    return EdgeType(dtype, (1, sum(edge.elements for edge in edges)), low, high)


def _read_from(table: Table, position: int) -> set[int]:
    read = {value for row in table.rows[position:] for value in row.inputs}
    return {value for value in (*read, *table.outputs) if value < table.output_of(position)}


def _middle(table: Table, first: int, end: int, sent: tuple[int, ...], left: int) -> Table:
    edges = table.types_of(sent)
    builder = TableBuilder([joined(edges)])
    known = dict(zip(sent, _apart(builder, edges), strict=True))
    for index in range(first, end):
        row = table.rows[index]
        operands = [known[value] for value in row.inputs]
        known[table.output_of(index)] = builder.add(
            row.opcode, operands, row.attributes, row.parameters, row.output_type
        )
    return builder.table([known[left]])


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
