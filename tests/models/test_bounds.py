"""Tables whose sums or products could be inexact, or whose rows break a rule, are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.graph import Opcode, Parameter, ParameterKind, Row, Shard, Table
from nesa.models.lowering import circuit_model, circuit_needs, digits_for
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from tests.models.tables import small_network

SIGNED = EdgeType(DType.INT8, (1, 4), -127, 127)


def add(edge: EdgeType, opcode: Opcode, attributes, *parameters, declared=None) -> EdgeType:
    """Type of the output of one row."""
    builder = TableBuilder([edge])
    made = [Parameter(kind, np.array(values)) for kind, values in parameters]
    return builder.type_of(builder.add(opcode, [0], attributes, made, declared))


def dense(operands: int, weight: int, bias: int, reach: int = 127) -> EdgeType:
    """Type of the sums of a Linear row with equal weights."""
    edge = EdgeType(DType.INT8, (1, operands), -reach, reach)
    weights = np.full((1, operands), weight)
    return add(
        edge,
        Opcode.LINEAR,
        (operands, 1),
        (ParameterKind.WEIGHTS, weights),
        (ParameterKind.BIASES, [bias]),
    )


def test_the_largest_sum_below_the_bound_is_allowed():
    # 1040 * 127 * 127 = 16774160; with this bias the worst case is 2**24 - 1.
    edge = dense(1040, 127, 2**24 - 1 - 16774160)
    assert (edge.high, edge.low) == (2**24 - 1, -16774160 + 2**24 - 1 - 16774160)


@pytest.mark.parametrize(("operands", "bias"), [(1040, 2**24 - 16774160), (1041, 0), (1, 2**24)])
def test_a_sum_that_may_reach_2_to_the_24_is_refused(operands, bias):
    with pytest.raises(InvalidModel, match="is not below 2\\*\\*24"):
        dense(operands, 127, bias)


def test_the_bound_counts_padding_and_one_sided_ranges():
    edge = EdgeType(DType.UINT8, (1, 1, 2, 2), 200, 255)
    window = (1, 2, 2, 1, 2, 2, 1, 1, 1, 0, 0, 0)
    weights = (ParameterKind.WEIGHTS, [[1, 1, 1, 1]])
    sums = add(edge, Opcode.CONV, window, weights, (ParameterKind.BIASES, [0]))
    assert (sums.low, sums.high) == (0, 4 * 255)


def test_a_weight_of_minus_128_is_refused():
    with pytest.raises(InvalidModel, match="weights must be in"):
        dense(4, -128, 0)


def rescaled(reach: int, factors, attributes) -> EdgeType:
    """Type of the output of a Rescale row."""
    edge = EdgeType(DType.INT32, (1, 2), -reach, reach)
    declared = EdgeType(DType.INT8, (1, 2), -127, 127)
    multipliers = (ParameterKind.MULTIPLIERS, factors)
    return add(edge, Opcode.RESCALE, attributes, multipliers, declared=declared)


@pytest.mark.parametrize(
    ("factors", "attributes", "rule"),
    [
        ([0], (2, -1), "multipliers"),
        ([8192], (2, -1), "multipliers"),
        ([64], (0, -1), "h must be"),
        ([64], (5, -1), "h must be"),
        ([64], (2, 2), "axis 2 does not exist"),
        ([64], (2, 1), "2 multipliers are needed"),
        ([64, 64], (2, -1), "1 multipliers are needed"),
    ],
)
def test_a_rescale_outside_its_rules_is_refused(factors, attributes, rule):
    with pytest.raises(InvalidModel, match=rule):
        rescaled(1000, factors, attributes)


def test_no_accumulator_can_bring_a_rescale_near_2_to_the_53():
    assert (2**31) * 8191 + (1 << 27) < 2**53
    rescaled(2**31 - 1, [8191], (4, -1))


def test_a_table_reads_bytes_only():
    wide = EdgeType(DType.INT16, (1, 4), -300, 300)
    entries = (ParameterKind.ENTRIES, np.zeros(256, np.int64))
    with pytest.raises(InvalidModel, match="int8 or uint8"):
        add(wide, Opcode.TABLE, (0,), entries, declared=SIGNED)


def test_entries_that_cannot_be_reached_must_be_zero():
    entries = (ParameterKind.ENTRIES, np.ones(256, np.int64))
    with pytest.raises(InvalidModel, match="cannot be reached"):
        add(SIGNED, Opcode.TABLE, (128,), entries, declared=SIGNED)


def test_constants_must_fit_their_kind():
    with pytest.raises(InvalidModel, match="do not fit int8"):
        Parameter(ParameterKind.WEIGHTS, np.array([[128]]))
    with pytest.raises(InvalidModel, match="array of integers"):
        Parameter(ParameterKind.WEIGHTS, np.array([[0.5]]))


def test_a_row_that_declares_another_range_than_it_has_is_named():
    table = small_network()
    wrong = replace(table.rows[0].output_type, high=5)
    rows = (replace(table.rows[0], output_type=wrong), *table.rows[1:])
    with pytest.raises(InvalidModel, match="row 0: declares"):
        check_table(replace(table, rows=rows))


def test_a_row_that_breaks_a_rule_is_named():
    table = small_network()
    rows = (*table.rows[:3], replace(table.rows[3], attributes=(1, 13)), *table.rows[4:])
    with pytest.raises(InvalidModel, match="row 3: RESHAPE: shape"):
        check_table(replace(table, rows=rows))


def test_values_must_be_written_before_they_are_read():
    row = Row(Opcode.RESHAPE, (4, 1), (1,), EdgeType(DType.INT8, (4, 1), -127, 127))
    with pytest.raises(InvalidModel, match="not there yet"):
        Table((SIGNED,), (row,), (1,))


def wide_layer(operands: int) -> Table:
    """A dense layer and a rescale by many halves."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, operands), -127, 127)])
    weights = Parameter(ParameterKind.WEIGHTS, np.full((2, operands), 127))
    biases = Parameter(ParameterKind.BIASES, np.zeros(2, np.int64))
    sums = builder.add(Opcode.LINEAR, [0], (operands, 2), [weights, biases])
    factors = Parameter(ParameterKind.MULTIPLIERS, np.array([127]))
    declared = EdgeType(DType.INT8, (1, 2), -127, 127)
    return builder.table([builder.add(Opcode.RESCALE, [sums], (3, -1), [factors], declared)])


@pytest.mark.parametrize(("operands", "digits"), [(100, 4), (256, 5)])
def test_digits_follow_from_the_worst_case(operands, digits):
    table = wide_layer(operands)
    assert circuit_needs(table, table.shards[0]).digits == digits


@pytest.mark.parametrize(("largest", "digits"), [(0, 2), (128**4 - 1, 4), (128**4, 5)])
def test_digits_hold_the_largest_magnitude(largest, digits):
    assert digits_for(largest) == digits


def test_a_shard_with_too_many_instances_is_not_lowered_for_a_circuit():
    table = wide_layer(256)
    with pytest.raises(InvalidModel, match="258 inputs and outputs, 128 are allowed"):
        circuit_model(table, table.shards[0])


def test_a_value_that_passes_through_a_shard_unused_is_an_obstacle():
    builder = TableBuilder([SIGNED])
    first = builder.add(Opcode.RESHAPE, [0], (4, 1))
    second = builder.add(Opcode.RESHAPE, [first], (2, 2))
    table = builder.table([builder.add(Opcode.CONCAT, [first, first], (0,)), second, 0])
    shard = Shard(1, 2, table.crossing(1), table.crossing(2))
    assert "a value passes through the shard unused" in circuit_needs(table, shard).obstacles


def chained(values: int, read: list[int]) -> Table:
    """A chain of rows, and one that joins some of their values."""
    edge = EdgeType(DType.INT8, (1, 4), -127, 127)
    rows = [Row(Opcode.RESHAPE, (1, 4), (value,), edge) for value in range(values)]
    joined = EdgeType(DType.INT8, (1, 4 * len(read)), -127, 127)
    return Table((edge,), (*rows, Row(Opcode.CONCAT, (1,), tuple(read), joined)), (values + 1,))


def test_a_row_that_no_dispute_could_open_is_refused():
    check_table(chained(600, list(range(0, 600, 40))))
    with pytest.raises(InvalidModel, match="row 8192 reads 16 values too far apart"):
        check_table(chained(8192, list(range(0, 8192, 512))))
