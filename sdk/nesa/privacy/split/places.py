"""Where a table may be split, and what crosses there."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.models.graph import Table, is_narrow
from nesa.privacy.split.owners import Owners, owners
from nesa.privacy.split.parts import joined, require_owners
from nesa.protocol.edges import EdgeType


@dataclass(frozen=True, slots=True)
class Place:
    """In front of `row` the network's part may begin, `sent` one tensor for each value that leaves
    the client; or end, `returned` one for each that comes back. None where it may not."""

    row: int
    sent: tuple[EdgeType, ...] | None
    returned: tuple[EdgeType, ...] | None


def places(table: Table, first: int | None = None) -> tuple[Place, ...]:
    """Row `first`, and behind it the rows where a part that begins there may end, less comes back
    than one row earlier, and in as few tensors as anywhere.

    By default the part begins where for the first time no more leaves than one row later. At each
    place `sent` is what a part needs that begins there and goes on to the last row but one.

    Raises:
        InvalidModel: nothing can be cut off in front of row `first`.
    """
    first = _earliest(table) if first is None else first
    owned = require_owners(table, first, len(table.rows) - 1)
    found = {row: _returned(table, first, row) for row in range(first + 1, len(table.rows))}
    ends = {row: edges for row, edges in found.items() if edges is not None}
    sizes = {first: joined(table.types_of(owned.sent)).nbytes} if owned.sent else {}
    sizes |= {row: joined(edges).nbytes for row, edges in ends.items()}
    less = [row for row in ends if row - 1 not in sizes or sizes[row] < sizes[row - 1]]
    fewest = min((len(ends[row]) for row in less), default=0)
    listed = [row for row in less if len(ends[row]) == fewest]
    return tuple(Place(row, _sent(table, row), ends.get(row)) for row in (first, *listed))


def _earliest(table: Table) -> int:
    rows = range(1, len(table.rows) - 1)
    sizes = {row: joined(edges).nbytes for row in rows if (edges := _sent(table, row))}
    return next((row for row in sizes if sizes[row] <= sizes.get(row + 1, sizes[row])), 1)


def _sent(table: Table, row: int) -> tuple[EdgeType, ...] | None:
    last = len(table.rows) - 1
    if not 0 < row < last:
        return None
    owned = owners(table, row, last)
    edges = table.types_of(owned.sent)
    begins = row in owned.network_rows  # else the client computes the row, and it begins further on
    fits = begins and bool(edges) and not owned.exposed and _all_narrow(edges)
    return edges if fits else None


def _returned(table: Table, first: int, row: int) -> tuple[EdgeType, ...] | None:
    owned = owners(table, first, row)
    edges = table.types_of(owned.left)
    fits = bool(edges) and not owned.exposed and _all_narrow((*edges, *_kept(table, owned)))
    return edges if fits else None


def _kept(table: Table, owned: Owners) -> tuple[EdgeType, ...]:
    return table.types_of(tuple(owned.read_behind))


def _all_narrow(edges: tuple[EdgeType, ...]) -> bool:
    return all(map(is_narrow, edges))
