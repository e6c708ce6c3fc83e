"""Faster forms of rows give the integers of the rows, at ties, ends of ranges and near misses."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.lowering import runtime_model
from nesa.models.reference import run
from nesa.protocol.edges import DType, EdgeType
from tests.models.byte_tables import INPUTS, OUTPUTS, dense
from tests.models.onnx_runtime import ALL_LEVELS, in_runtime


def nodes(table: Table) -> set[str]:
    """Node types of the table's file."""
    model = onnx.load_model_from_string(runtime_model(table, table.shards[0]))
    return {node.op_type for node in model.graph.node}


def rows_of(table: Table, seed: int) -> list[bytes]:
    """Inputs drawn evenly, of nothing but ends, small ones that meet ties, and constant ones."""
    generator = np.random.default_rng(seed)
    edge = table.inputs[0]
    drawn = [
        generator.integers(edge.low, edge.high + 1, edge.shape),
        generator.choice([edge.low, edge.high], edge.shape),
        generator.integers(max(edge.low, -2), 3, edge.shape),
        np.full(edge.shape, edge.low),
        np.full(edge.shape, edge.high),
        np.zeros(edge.shape, np.int64),
    ]
    return [edge.encode(values) for values in drawn]


def expect_equal(table: Table, inputs: list[bytes]) -> None:
    """The reference's bytes on every level, with one thread and two."""
    for data in inputs:
        wanted = run(table, (data,))
        for level in ALL_LEVELS:
            for threads in (1, 2):
                assert in_runtime(table, (data,), level, threads) == wanted


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("target", OUTPUTS)
@pytest.mark.parametrize("source", INPUTS)
def test_a_dense_layer_of_bytes_gives_the_integers_of_its_rows(source, target, seed):
    table = dense(source, target, seed)
    assert "MatMulIntegerToFloat" in nodes(table)
    expect_equal(table, rows_of(table, seed))


def test_ties_are_met_and_round_up():
    table = dense("int8", "int8", 0)
    sums = table.rows[0]
    tensors = [table.inputs[0].decode(data) for data in rows_of(table, 1)]
    values = np.concatenate(tensors).astype(np.int64)
    weights = sums.parameter(ParameterKind.WEIGHTS)
    totals = values @ weights.T + sums.parameter(ParameterKind.BIASES)
    products = totals * table.rows[1].parameter(ParameterKind.MULTIPLIERS)
    assert (products % 2**14 == 2**13).any()


@pytest.mark.parametrize(
    "table",
    [
        dense("int8", "int8", 0, halves=3),
        dense("int8", "int16", 0, halves=2),
        dense("int8", "int8", 0, bias=2**22),
    ],
    ids=["three halves", "wide and fine", "large biases"],
)
def test_what_float32_cannot_hold_keeps_the_plain_form(table):
    assert "MatMulIntegerToFloat" not in nodes(table)
    expect_equal(table, rows_of(table, 0)[:2])


def test_sums_that_something_else_reads_keep_the_plain_form():
    table = dense("int8", "int8", 0)
    both = Table(table.inputs, table.rows, (1, 2))
    assert "MatMulIntegerToFloat" not in nodes(both)


def single(opcode: Opcode, attributes, edge: EdgeType, parameters=(), declared=None) -> Table:
    builder = TableBuilder([edge])
    return builder.table([builder.add(opcode, [0], attributes, parameters, declared)])


@pytest.mark.parametrize(("halves", "high"), [(1, 127), (2, 127), (2, 1000), (1, 32767), (3, 5)])
@pytest.mark.parametrize("factor", [1, 63, 64, 127, 8191])
def test_a_large_rescale_is_exact_at_every_tie(halves, high, factor):
    edge = EdgeType(DType.INT32, (8192,), -(2**24) + 1, 2**24 - 1)
    declared = EdgeType(DType.INT16, (8192,), -high, high)
    constants = [Parameter(ParameterKind.MULTIPLIERS, np.array([factor]))]
    table = single(Opcode.RESCALE, (halves, -1), edge, constants, declared)
    scale = 128.0**halves / factor
    near = (np.arange(-1365, 1365) + 0.5) * scale
    close = np.concatenate([np.floor(near), np.floor(near) + 1, np.ceil(near) + 1])
    values = np.resize(np.clip(close, edge.low, edge.high).astype(np.int64), edge.shape)
    assert run(table, (edge.encode(values),)) == in_runtime(table, (edge.encode(values),))


@pytest.mark.parametrize("opcode", [Opcode.DIVIDE_SEARCH, Opcode.ROOT_SEARCH])
@pytest.mark.parametrize(
    ("power", "bits"), [(52, 24), (52, 15), (48, 24), (29, 15), (0, 1), (7, 24)]
)
def test_a_search_is_exact_on_both_sides_of_every_step(opcode, power, bits):
    generator = np.random.default_rng(power + bits)
    results = generator.integers(1, 2**bits, 4000)
    powers = results if opcode is Opcode.DIVIDE_SEARCH else results**2
    steps = (1 << power) // powers
    values = np.concatenate([steps - 1, steps, steps + 1, [-5, 0, 1, 2, 2**24 - 1]])
    edge = EdgeType(DType.INT32, values.shape, -5, 2**24 - 1)
    table = single(opcode, (power, bits), edge)
    data = edge.encode(np.clip(values, -5, 2**24 - 1))
    for level in ALL_LEVELS:
        assert in_runtime(table, (data,), level) == run(table, (data,))


@pytest.mark.parametrize("source", INPUTS)
def test_a_large_table_gives_every_entry(source):
    dtype, low, high = INPUTS[source]
    edge = EdgeType(dtype, (2, 16, 256), low, high)
    entries = np.random.default_rng(1).integers(-30000, 30000, 256)
    constants = [Parameter(ParameterKind.ENTRIES, entries)]
    declared = EdgeType(DType.INT16, edge.shape, 0, 0)
    table = single(Opcode.TABLE, (-low,), edge, constants, declared)
    assert "GatherElements" in nodes(table)
    data = edge.encode(np.resize(np.arange(low, high + 1), edge.shape))
    assert in_runtime(table, (data,)) == run(table, (data,))
