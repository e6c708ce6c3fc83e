"""Cuts a table into shards for miners that are alike, before anybody knows which there will be."""

from __future__ import annotations

from typing import Final

from nesa.models.cut import cut, cut_at
from nesa.models.graph import Table
from nesa.models.lowering import row_needs
from nesa.models.placement.capacities import Capacity, Link, Miner, Swarm
from nesa.models.placement.costs import Arithmetic
from nesa.models.placement.plan import Wish, plan
from nesa.models.placement.provability import shard_proof
from nesa.models.placement.stages import Objective
from nesa.models.placement.table_costs import table_costs
from nesa.protocol.errors import InvalidInput, InvalidModel

CORE: Final = Capacity(
    rates={Arithmetic.FLOAT32: 3e10, Arithmetic.FLOAT64: 1.5e10, Arithmetic.INT8: 6e10},
    bandwidth=1e10,
    overhead=2e-6,
    free_memory=1 << 40,
)
"""A core of a server as `nesa-miner capacity` finds it, rounded; only the ratios matter here."""

WAY: Final = Link(round_trip=0.0, bandwidth=1e8, hop=1e-3)
"""A gigabit between neighbours; the delay is the same wherever the cut is."""


def even_cut(table: Table, shards: int) -> Table:
    """The table in `shards` parts whose slowest is as fast as can be, ways between them included.

    Where parts of equal circuits can all be proved, those are taken instead.

    Raises:
        InvalidModel: there are not enough places to cut at.
    """
    circuits = cut(table, shards)
    if shards == 1 or _is_provable(circuits):
        return circuits
    swarm = Swarm(tuple(Miner(str(number), CORE) for number in range(shards)), lambda _a, _b: WAY)
    try:
        made = plan(table_costs(table), swarm, Wish(Objective.THROUGHPUT, shards))
    except InvalidInput as error:
        raise InvalidModel(f"the table cannot be cut into {shards} shards: {error}") from error
    return cut_at(table, made.cuts)


def _is_provable(table: Table) -> bool:
    needs = [row_needs(table, row) for row in table.rows]
    parts = [shard_proof(table, shard, needs[shard.first : shard.end]) for shard in table.shards]
    return all(part.proof for part in parts)
