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


@pytest.mark.parametrize(
    ("halves", "high"), [(1, 127), (2, 127), (2, 1000), (2, 32767), (1, 32767), (3, 5), (3, 127)]
)
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


def constants(kind: ParameterKind, *values: int) -> list[Parameter]:
    return [Parameter(kind, np.array(values))]


def of_range(table: Table, seed: int) -> list[tuple[bytes, ...]]:
    """Inputs drawn evenly, and drawn from a few numbers at ends and around zero."""
    generator = np.random.default_rng(seed)
    runs = []
    for draw in range(3):
        tensors = []
        for edge in table.inputs:
            few = np.clip([edge.low, edge.low + 1, -1, 0, 1, edge.high - 1], edge.low, edge.high)
            even = generator.integers(edge.low, edge.high + 1, edge.shape)
            tensors.append(even if draw == 0 else generator.choice([*few, edge.high], edge.shape))
        runs.append(
            tuple(edge.encode(one) for edge, one in zip(table.inputs, tensors, strict=True))
        )
    return runs


def expect_reference(table: Table, seed: int = 0) -> None:
    for tensors in of_range(table, seed):
        wanted = run(table, tensors)
        for level in (ALL_LEVELS[0], ALL_LEVELS[1], ALL_LEVELS[-1]):
            assert in_runtime(table, tensors, level) == wanted


FACTORS = [
    (128, 128, 1),
    (-128, 128, 1),
    (128, -128, 1),
    (-128, -128, 1),
    (128, 1301, 1),
    (1301, 128, 1),
    (256, 77, 1),
    (-128, 1301, 1),
    (64, 77, 1),
    (-73, 64, 1),
    (591, -64, 2),
    (8191, -8189, 1),
    (8064, -8191, 4),
]


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("shapes", [((2, 64, 96),) * 2, ((2, 64, 96), (2, 64, 1))], ids=str)
@pytest.mark.parametrize("reach", [127, 5000, 32767])
def test_sums_are_exact_whichever_side_is_whole_or_small(factors, shapes, reach):
    first, second, halves = factors
    for order in (1, -1):
        inputs = [EdgeType(DType.INT16, shape, -reach, reach - 1) for shape in shapes][::order]
        builder = TableBuilder(inputs)
        for kind, low, high in ((DType.INT16, -32767, 32767), (DType.UINT8, 0, 255)):
            declared = EdgeType(kind, shapes[0], low, high)
            parameters = constants(ParameterKind.MULTIPLIERS, first, second)
            last = builder.add(Opcode.ADD_RESCALE, [0, 1], (halves,), parameters, declared)
            expect_reference(builder.table([last]))


@pytest.mark.parametrize(("low", "high"), [(-127, 127), (0, 255), (-32767, 32767)])
def test_a_factor_of_one_leaves_the_clip_alone(low, high):
    edge = EdgeType(DType.INT16, (2, 64, 64), -20000, 20000)
    declared = EdgeType(DType.INT16, edge.shape, low, high)
    parameters = constants(ParameterKind.MULTIPLIERS, 128)
    table = single(Opcode.RESCALE, (1, -1), edge, parameters, declared)
    assert nodes(table) <= {"Clip", "Identity"}
    expect_reference(table)


@pytest.mark.parametrize("halves", [1, 2, 3])
@pytest.mark.parametrize("kind", [DType.INT8, DType.UINT8], ids=str)
@pytest.mark.parametrize("viewed", [False, True])
def test_bytes_are_cut_off_where_they_were_floored(halves, kind, viewed):
    """A Rescale read by a Table, by a dense layer and by the outside: three forms of one tensor."""
    edge = EdgeType(DType.INT16, (64, 192), -32767, 32767)
    declared = EdgeType(kind, edge.shape, *((-127, 127) if kind is DType.INT8 else (0, 255)))
    generator = np.random.default_rng(halves)
    factors = generator.integers(1, 129, 192)
    factors[::3] = 64
    builder = TableBuilder([edge])
    parameters = [Parameter(ParameterKind.MULTIPLIERS, factors)]
    bytes_ = builder.add(Opcode.RESCALE, [0], (halves, 1), parameters, declared)
    read = bytes_
    if viewed:
        tall = builder.add(Opcode.RESHAPE, [bytes_], (2, 32, 192))
        read = builder.add(Opcode.RESHAPE, [tall], (64, 192))
    offset = 128 if kind is DType.INT8 else 0
    entries = generator.integers(-30000, 30000, 256)
    entries[: offset - 127 if offset else 0] = 0
    wanted = EdgeType(DType.INT16, edge.shape, 0, 0)
    looked_up = builder.add(
        Opcode.TABLE, [read], (offset,), [Parameter(ParameterKind.ENTRIES, entries)], wanted
    )
    weights = generator.integers(-127, 128, (256, 192))
    layer = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, np.arange(256)),
    ]
    sums = builder.add(Opcode.LINEAR, [read], (192, 256), layer)
    declared = EdgeType(DType.INT8, (64, 256), -127, 127)
    parameters = constants(ParameterKind.MULTIPLIERS, 7)
    dense_ = builder.add(Opcode.RESCALE, [sums], (2, -1), parameters, declared)
    expect_reference(builder.table([bytes_, looked_up, dense_]), halves)


@pytest.mark.parametrize("halves", [3, 4])
def test_scaled_rows_take_the_factor_on_their_smaller_side(halves):
    """A table's float64 form, a row's sum, and rows scaled by numbers up to 2**15."""
    edge = EdgeType(DType.UINT8, (3, 16, 128), 0, 255)
    builder = TableBuilder([edge, EdgeType(DType.INT32, (48, 1, 1), 0, 2**15 - 1)])
    entries = np.random.default_rng(1).integers(0, 2**15, 256)
    wanted = EdgeType(DType.INT16, edge.shape, 0, 0)
    powers = builder.add(
        Opcode.TABLE, [0], (0,), [Parameter(ParameterKind.ENTRIES, entries)], wanted
    )
    total = builder.add(Opcode.ROW_SUM, [powers], (128,))
    standing = builder.add(Opcode.RESHAPE, [powers], (48, 128, 1))
    products = builder.add(Opcode.MATMUL, [standing, 1], (128, 1, 1))
    lying = builder.add(Opcode.RESHAPE, [products], edge.shape)
    declared = EdgeType(DType.INT16, edge.shape, 0, 32767)
    parameters = constants(ParameterKind.MULTIPLIERS, 127)
    shares = builder.add(Opcode.RESCALE, [lying], (halves, -1), parameters, declared)
    small = builder.add(Opcode.DIVIDE_SEARCH, [total], (29, 15))
    expect_reference(builder.table([shares, small]))


@pytest.mark.parametrize("reach", [100, 2896])
def test_squares_of_rows_are_exact(reach):
    edge = EdgeType(DType.INT16, (32, 256), -reach, reach)
    builder = TableBuilder([edge])
    lying = builder.add(Opcode.RESHAPE, [0], (32, 1, 256))
    standing = builder.add(Opcode.RESHAPE, [0], (32, 256, 1))
    squares = builder.add(Opcode.MATMUL, [lying, standing], (1, 256, 1))
    found = builder.add(Opcode.ROOT_SEARCH, [squares], (46, 16))
    expect_reference(builder.table([found]))


def test_a_file_holds_nothing_that_no_output_needs():
    table = dense("int8", "int8", 0)
    model = onnx.load_model_from_string(runtime_model(table, table.shards[0]))
    read = {name for node in model.graph.node for name in node.input}
    made = {name for node in model.graph.node for name in node.output}
    assert {constant.name for constant in model.graph.initializer} <= read
    assert made - read == {"y0"}
