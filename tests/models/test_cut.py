"""Where tables are cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.cut import (
    boundary_bytes,
    cut,
    cut_at,
    good_positions,
    legal_positions,
    require_short_boundaries,
    row_costs,
)
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.reference import run, run_shard
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from nesa.protocol.messages import MAX_TENSOR_BYTES
from tests.models.tables import small_network

EDGE = EdgeType(DType.INT8, (1, 4), -127, 127)


def costs(table: Table) -> list[int]:
    """Cost of every shard."""
    every = row_costs(table)
    return [sum(every[shard.first : shard.end]) for shard in table.shards]


def wide_in_the_middle(elements: int) -> Table:
    """Three rows; `elements` bytes cross in front of rows 1 and 2."""
    edge = EdgeType(DType.INT8, (1, elements), -5, 5)
    builder = TableBuilder([edge])
    for number in range(1, 4):
        shape = (1, elements, 1) if number % 2 else (1, elements)
        builder.add(Opcode.RESHAPE, [number - 1], shape)
    return builder.table([3])


def test_more_than_a_shard_hands_over_is_no_place_to_cut():
    assert legal_positions(wide_in_the_middle(MAX_TENSOR_BYTES)) == (1, 2)
    table = wide_in_the_middle(MAX_TENSOR_BYTES + 1)
    assert legal_positions(table) == ()
    with pytest.raises(InvalidModel, match="no 1 places"):
        cut(table, 2)
    with pytest.raises(InvalidModel, match=r"4,194,305 bytes cross in front of row 1.*--at"):
        cut_at(table, [1])
    require_short_boundaries(table)
    with pytest.raises(InvalidModel, match="cross in front of row 2"):
        require_short_boundaries(replace(table, cuts=(2,)))


@pytest.mark.parametrize("shards", [1, 2, 3, 4])
def test_no_other_good_cut_has_a_cheaper_worst_shard(shards):
    table = small_network()
    best = max(costs(cut(table, shards)))
    for cuts in combinations(good_positions(table), shards - 1):
        ends = (0, *cuts, len(table.rows))
        every = row_costs(table)
        worst = max(sum(every[a:b]) for a, b in pairwise(ends))
        assert best <= worst


def test_accumulators_do_not_cross_where_it_can_be_avoided():
    table = cut(small_network(), 4)
    crossing = [edge for shard in table.shards[1:] for edge in table.types_of(shard.inputs)]
    assert all(edge.dtype is not DType.INT32 for edge in crossing)


def test_a_cut_between_sum_and_rescale_is_legal_but_not_good():
    table = small_network()
    assert 1 in legal_positions(table)
    assert 1 not in good_positions(table)
    assert boundary_bytes(table, 1) == 4 * 48


def test_more_shards_than_good_places_use_the_legal_ones():
    assert len(cut(small_network(), 8).shards) == 8


@pytest.mark.parametrize("shards", [0, 9])
def test_a_number_of_shards_that_is_not_offered_is_refused(shards):
    with pytest.raises(InvalidModel, match="1 to 8 shards"):
        cut(small_network(), shards)


def test_a_table_of_one_row_cannot_be_cut():
    builder = TableBuilder([EDGE])
    table = builder.table([builder.add(Opcode.RESHAPE, [0], (4, 1))])
    with pytest.raises(InvalidModel, match="no 1 places"):
        cut(table, 2)


def branches(width: int) -> Table:
    """`width` slices of the input that are joined again at the end."""
    builder = TableBuilder([EDGE])
    parts = [builder.add(Opcode.SLICE, [0], (1, place % 4, 4)) for place in range(width)]
    return builder.table([builder.add(Opcode.CONCAT, parts, (1,))])


def test_where_more_than_four_values_cross_no_cut_is_legal():
    assert legal_positions(branches(4)) == (1, 2, 3, 4)
    assert legal_positions(branches(5)) == (1, 2, 3)


def wide_product() -> Table:
    """A product beyond 2**24 and its way back below."""
    edge = EdgeType(DType.INT16, (2, 2), -5000, 5000)
    builder = TableBuilder([edge])
    product = builder.add(Opcode.MATMUL, [0, 0], (2, 2, 2))
    factors = [Parameter(ParameterKind.MULTIPLIERS, np.array([64]))]
    return builder.table([builder.add(Opcode.RESCALE, [product], (2, -1), factors, edge)])


def test_a_value_beyond_2_to_the_24_stays_inside_its_shard():
    table = wide_product()
    assert legal_positions(table) == ()
    with pytest.raises(InvalidModel, match=r"beyond 2\*\*24 crosses in front of row 1"):
        cut_at(table, [1])
    with pytest.raises(InvalidModel, match=r"beyond 2\*\*24 crosses in front of row 2"):
        replace(table, outputs=(1,))
    with pytest.raises(InvalidModel, match=r"beyond 2\*\*24 crosses in front of row 0"):
        replace(table, inputs=(EdgeType(DType.INT32, (2, 2), -(2**24), 0),))


def test_a_value_that_skips_a_shard_travels_through_it():
    builder = TableBuilder([EDGE])
    first = builder.add(Opcode.RESHAPE, [0], (1, 4, 1))
    second = builder.add(Opcode.RESHAPE, [first], (1, 4))
    table = builder.table([builder.add(Opcode.CONCAT, [0, second], (1,))])
    row = (EDGE.encode(np.array([[1, -2, 3, -4]])),)
    parts = cut(table, 3)
    tensors: tuple[bytes, ...] = row
    for shard in parts.shards:
        tensors = run_shard(parts, shard, tensors)
    assert parts.shards[1].inputs == (0, 1)
    assert tensors == run(table, row)
