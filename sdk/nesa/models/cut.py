"""Where to cut a table into shards: between rows, at small tensors, into parts of equal work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate

from nesa.models.graph import Table, is_narrow
from nesa.models.opcodes import operator
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from nesa.protocol.messages import MAX_TENSOR_BYTES
from nesa.protocol.versions import MAX_EDGES, MAX_SHARDS


def legal_positions(table: Table) -> tuple[int, ...]:
    """Rows in front of which the table may be cut: at most four values cross, none of them wide,
    and miners can hand them over."""
    return tuple(place for place in range(1, len(table.rows)) if _is_legal(table, place))


def good_positions(table: Table) -> tuple[int, ...]:
    """Legal positions where one tensor crosses and it is narrower than an accumulator."""
    return tuple(place for place in legal_positions(table) if _crosses_once(table, place))


def cut_at(table: Table, positions: Sequence[int]) -> Table:
    """The table with a new shard in front of every row of `positions`.

    Raises:
        InvalidModel: not ascending, or a position that is not legal.
    """
    made = replace(table, cuts=tuple(positions))
    for shard in made.shards[1:]:
        _require_short(table.types_of(shard.inputs), shard.first)
    return made


def require_short_boundaries(table: Table) -> None:
    """Returns when miners can hand over whatever crosses between the shards of a table.

    Raises:
        InvalidModel: more crosses somewhere than one shard hands to the next.
    """
    cut_at(table, table.cuts)


def cut(table: Table, shards: int) -> Table:
    """The table in `shards` parts, the most costly part as cheap as can be.

    Cost is counted in circuit rows; of equal cuts the one with fewer bytes on its boundaries is
    taken, then the earliest.

    Raises:
        InvalidModel: there are not enough places to cut at.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise InvalidModel(f"a table is cut into 1 to {MAX_SHARDS} shards, not {shards}")
    places = good_positions(table)
    if len(places) < shards - 1:
        places = legal_positions(table)
    if len(places) < shards - 1:
        raise InvalidModel(f"the table has no {shards - 1} places where it can be cut")
    return cut_at(table, _best_cuts(table, places, shards))


def _require_short(edges: Sequence[EdgeType], position: int) -> None:
    size = sum(edge.nbytes for edge in edges)
    if size > MAX_TENSOR_BYTES:
        raise InvalidModel(
            f"{size:,} bytes cross in front of row {position} and a shard hands over at most "
            f"{MAX_TENSOR_BYTES:,}; cut the model elsewhere with `nesa model cut --shards` or "
            "`--at`, or into fewer shards"
        )


def row_costs(table: Table) -> tuple[int, ...]:
    """Cost of every row, in circuit rows."""
    return tuple(
        operator(row.opcode).circuit_rows(row, table.types_of(row.inputs)) for row in table.rows
    )


def boundary_bytes(table: Table, position: int) -> int:
    """Bytes that cross in front of row `position`."""
    return sum(edge.nbytes for edge in table.types_of(table.crossing(position)))


def _is_legal(table: Table, position: int) -> bool:
    edges = table.types_of(table.crossing(position))
    size = sum(edge.nbytes for edge in edges)
    narrow = all(is_narrow(edge) for edge in edges)
    return len(edges) <= MAX_EDGES and narrow and size <= MAX_TENSOR_BYTES


def _crosses_once(table: Table, position: int) -> bool:
    edges = table.types_of(table.crossing(position))
    return len(edges) == 1 and edges[0].dtype is not DType.INT32


def _best_cuts(table: Table, places: Sequence[int], shards: int) -> tuple[int, ...]:
    total = (0, *accumulate(row_costs(table)))

    @cache
    def best(end: int, parts: int) -> tuple[int, int, tuple[int, ...]]:
        if parts == 1:
            return total[end], 0, ()
        choices = []
        for place in places:
            if places.index(place) >= parts - 2 and place < end:
                worst, size, cuts = best(place, parts - 1)
                cost = max(worst, total[end] - total[place])
                choices.append((cost, size + boundary_bytes(table, place), (*cuts, place)))
        return min(choices)

    return best(len(table.rows), shards)[2]
