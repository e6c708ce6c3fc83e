"""Every element of every operator, judged from its opened operands alone, is the reference's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Row, Shard, Table
from nesa.models.opcodes import operator
from nesa.models.opcodes.operands import (
    LEAF_OPERANDS,
    Fold,
    Padding,
    Places,
    leaves,
    opened,
    part,
)
from nesa.models.reference import decode, evaluate
from nesa.protocol.edges import DType, EdgeType
from tests.models.encoder import encoder
from tests.models.tables import TABLES, corners, small_network

quick = settings(max_examples=25, deadline=None)

FOLDS: dict[Fold, Callable[[list[int]], int]] = {Fold.SUM: sum, Fold.LARGEST: max}


def judged(row: Row, edges, tensors, element: int) -> int:
    """The element from what its columns open, leaf by leaf where the operator allows it."""
    rule = operator(row.opcode)
    constants = {parameter.kind: row.parameter(parameter.kind) for parameter in row.parameters}
    columns = rule.operands(row, edges, element)
    whole = rule.judge(row, opened(columns, tensors, constants))
    if rule.fold in FOLDS:
        shares = [rule.judge(row, opened(leaf, tensors, constants)) for leaf in leaves(columns)]
        assert FOLDS[rule.fold](shares) == whole
    return whole


def check_every_row(table: Table, inputs: tuple[bytes, ...], drawn: np.random.Generator) -> None:
    """Compares up to 40 elements of each row with the reference."""
    whole = Shard(0, len(table.rows), table.crossing(0), table.outputs)
    values = evaluate(table, whole, decode(table.inputs, inputs))
    for index, row in enumerate(table.rows):
        edges = table.types_of(row.inputs)
        tensors = tuple(values[value] for value in row.inputs)
        wanted = values[table.output_of(index)].reshape(-1)
        count = min(40, wanted.size)
        for element in drawn.choice(wanted.size, count, replace=False).tolist():
            assert judged(row, edges, tensors, element) == wanted[element], (row.opcode, element)


@pytest.mark.parametrize("name", TABLES)
@quick
@given(data=st.data())
def test_an_element_is_judged_from_its_operands_alone(name, data):
    table = data.draw(TABLES[name]())
    inputs = tuple(data.draw(corners(edge)) for edge in table.inputs)
    check_every_row(table, inputs, np.random.default_rng(data.draw(st.integers(0, 99))))


@pytest.mark.parametrize("table", [small_network(), encoder()], ids=["network", "encoder"])
def test_every_row_of_a_network_is_judged(table):
    generator = np.random.default_rng(5)
    for _ in range(3):
        inputs = tuple(
            edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
            for edge in table.inputs
        )
        check_every_row(table, inputs, generator)


def test_every_row_of_a_shipped_model_is_judged(model):
    generator = np.random.default_rng(6)
    inputs = tuple(
        edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
        for edge in model.table.inputs
    )
    check_every_row(model.table, inputs, generator)


def test_every_operator_is_judged_somewhere():
    drawn = {row.opcode for table in (small_network(), encoder()) for row in table.rows}
    single = {Opcode[name.upper()] for name in TABLES if name.upper() in Opcode.__members__}
    views = {Opcode.RESHAPE, Opcode.TRANSPOSE, Opcode.SLICE, Opcode.CONCAT, Opcode.MATMUL}
    assert drawn | single | views | {Opcode.SHARD} == set(Opcode)


def long_linear(size: int) -> Table:
    """One channel of `size` operands."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, size), -127, 127)])
    weights = Parameter(ParameterKind.WEIGHTS, np.arange(size).reshape(1, -1) % 11 - 5)
    biases = Parameter(ParameterKind.BIASES, np.array([-77]))
    return builder.table([builder.add(Opcode.LINEAR, [0], (size, 1), [weights, biases])])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000])
def test_a_long_sum_is_the_sum_of_its_leaves(size):
    table = long_linear(size)
    row, edge = table.rows[0], table.inputs[0]
    columns = operator(row.opcode).operands(row, (edge,), 0)
    cut = list(leaves(columns))
    assert len(cut) == -(-size // LEAF_OPERANDS)
    assert all(sum(run.count for run in leaf[0]) <= LEAF_OPERANDS for leaf in cut)
    tensor = np.arange(size).reshape(1, -1) % 251 - 120
    wanted = evaluate(table, table.shards[0], [tensor])[1].reshape(-1)[0]
    assert judged(row, (edge,), (tensor,), 0) == wanted


def test_a_wrong_operand_changes_what_is_judged():
    row = long_linear(300).rows[0]
    rule = operator(row.opcode)
    tensor = np.zeros((1, 300), np.int64)
    constants = {parameter.kind: row.parameter(parameter.kind) for parameter in row.parameters}
    columns = rule.operands(row, (EdgeType(DType.INT8, (1, 300), -127, 127),), 0)
    values, weights, bias = opened(columns, [tensor], constants)
    assert rule.judge(row, (values, weights, bias)) == -77
    assert rule.judge(row, ((*values[:-1], 1), weights, bias)) == -77 + weights[-1]


def padded_corner(opcode_attributes: tuple[int, ...]) -> tuple[object, ...]:
    """Runs of the first window of a 3 x 3 image."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, 1, 3, 3), -127, 127)])
    weights = Parameter(ParameterKind.WEIGHTS, np.ones((1, 9), np.int64))
    biases = Parameter(ParameterKind.BIASES, np.zeros(1, np.int64))
    table = builder.table([builder.add(Opcode.CONV, [0], opcode_attributes, [weights, biases])])
    return operator(Opcode.CONV).operands(table.rows[0], table.inputs, 0)[0]


def test_places_outside_an_image_are_named_as_padding():
    window = padded_corner((1, 3, 3, 1, 3, 3, 1, 1, 1, 1, 1, 1))
    assert window == (
        Padding(3),
        *(Padding(1), Places(0, 0, 1, 2)),
        *(Padding(1), Places(0, 3, 1, 2)),
    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_a_part_of_a_column_opens_the_same_operands(counts, first, stop):
    runs = tuple(
        Padding(count) if place % 3 == 2 else Places(0, 7 * place, 2, count)
        for place, count in enumerate(counts)
    )
    tensor = [np.arange(1, 100)]
    (whole,), (cut,) = opened([runs], tensor, {}), opened([part(runs, first, stop)], tensor, {})
    assert cut == whole[first:stop]
