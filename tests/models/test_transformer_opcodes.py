"""Products of activations, rows, searches and embeddings: known answers, bounds and corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.lowering import circuit_needs
from nesa.models.opcodes import operator
from nesa.models.opcodes.search import BITS_HIGH, POWER_HIGH
from nesa.models.reference import decode, run
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel, InvalidTensor
from tests.models.onnx_runtime import LEVELS, in_runtime
from tests.models.witness import witness_outputs

NARROW = 2**24 - 1


def int8(*shape: int) -> EdgeType:
    """Signed bytes."""
    return EdgeType(DType.INT8, shape, -127, 127)


def up_to(high: int, *shape: int, low: int = 0) -> EdgeType:
    """int32 numbers."""
    return EdgeType(DType.INT32, shape, low, high)


def one_row(opcode: Opcode, edges, attributes, *parameters) -> Table:
    """A table of one row that reads every input."""
    builder = TableBuilder(edges)
    made = [Parameter(kind, np.array(values)) for kind, values in parameters]
    return builder.table([builder.add(opcode, range(len(edges)), attributes, made)])


def answers(table: Table, *tensors) -> list[int]:
    """Elements of the output, the same from the reference, ONNX Runtime and the circuit."""
    pairs = zip(table.inputs, tensors, strict=True)
    inputs = tuple(edge.encode(np.array(values).reshape(edge.shape)) for edge, values in pairs)
    expected = run(table, inputs)
    assert [in_runtime(table, inputs, level) for level in LEVELS] == [expected] * 2
    if not circuit_needs(table, table.shards[0]).obstacles:
        assert witness_outputs(table, table.shards[0], [inputs]) == [expected]
    return decode(table.types_of(table.outputs), expected)[0].reshape(-1).tolist()


def test_a_product_of_two_activations():
    table = one_row(Opcode.MATMUL, [int8(2, 3), int8(3, 2)], (2, 3, 2))
    assert answers(table, [1, 2, 3, -127, 127, 0], [1, -1, 0, 127, -2, 5]) == [
        *(1 - 6, -1 + 254 + 15),
        *(-127, 127 + 127 * 127),
    ]


def test_a_product_in_batches_does_not_mix_them():
    table = one_row(Opcode.MATMUL, [int8(2, 1, 2), int8(2, 2, 1)], (1, 2, 1))
    assert answers(table, [1, 2, 3, 4], [5, 6, -7, -8]) == [17, -53]


def test_a_column_times_a_row_is_every_product():
    table = one_row(Opcode.MATMUL, [int8(1, 3, 1), int8(1, 1, 2)], (3, 1, 2))
    assert answers(table, [127, 0, -3], [-127, 2]) == [-16129, 254, 0, 0, 381, -6]


def test_the_sum_of_a_row():
    table = one_row(Opcode.ROW_SUM, [int8(2, 3)], (3,))
    assert answers(table, [127, 127, 127, -127, 0, 126]) == [381, -1]


@pytest.mark.parametrize(
    ("row", "largest"), [([-127, -127, -127], -127), ([5, 5, -1], 5), ([-3, -2, 127], 127)]
)
def test_the_largest_of_a_row(row, largest):
    assert answers(one_row(Opcode.ROW_MAX, [int8(1, 3)], (3,)), row) == [largest]


def test_reciprocals():
    table = one_row(Opcode.DIVIDE_SEARCH, [up_to(2000, 10, low=-2000)], (10, 8))
    divisors = [0, 1, 4, 5, 3, 1023, 1024, 1025, -1, -2000]
    assert answers(table, divisors) == [255, 255, 255, 204, 255, 1, 1, 0, 255, 255]


def test_reciprocal_roots():
    table = one_row(Opcode.ROOT_SEARCH, [up_to(2000, 9, low=-2000)], (10, 4))
    assert answers(table, [0, 1, 4, 5, 6, 256, 257, 1025, -2000]) == [
        15,
        15,
        15,
        14,
        13,
        2,
        1,
        0,
        15,
    ]


def test_rows_of_an_embedding():
    weights = (ParameterKind.WEIGHTS, [[1, -2], [127, -127], [0, 3]])
    table = one_row(Opcode.EMBEDDING, [EdgeType(DType.UINT8, (4,), 0, 2)], (3, 2), weights)
    assert answers(table, [2, 0, 1, 2]) == [0, 3, 1, -2, 127, -127, 0, 3]


def test_a_depthwise_convolution_keeps_its_channels_apart():
    weights = (ParameterKind.WEIGHTS, [[1, 2], [-1, 127]])
    attributes = (2, 1, 2, 2, 1, 2, 1, 1, 0, 1, 0, 0)
    table = one_row(
        Opcode.CONV, [int8(1, 2, 1, 2)], attributes, weights, (ParameterKind.BIASES, [10, -10])
    )
    assert answers(table, [3, -4, 5, -127]) == [
        *(10 + 6, 10 + 3 - 8),
        *(-10 + 635, -10 - 5 - 127 * 127),
    ]


@pytest.mark.parametrize(("groups", "channels"), [(32, 32), (4, 32), (16, 48)])
def test_grouped_convolutions_are_exact_at_every_level(groups, channels):
    """Blocks of sixteen channels have kernels of their own in ONNX Runtime."""
    generator = np.random.default_rng(groups)
    each = channels // groups
    edge = int8(1, channels, 9, 9)
    weights = generator.choice([-127, 127], (channels, each * 9))
    biases = generator.integers(-9000, 9001, channels)
    table = one_row(
        Opcode.CONV,
        [edge],
        (channels, 9, 9, groups, 3, 3, 2, 1, 1, 1, 1, 1),
        (ParameterKind.WEIGHTS, weights),
        (ParameterKind.BIASES, biases),
    )
    for _ in range(3):
        answers(table, generator.choice([-127, 127], edge.shape))


def test_products_up_to_2_to_the_31_are_exact_at_every_level():
    """2**31 - 1 is odd, so float32 would round it; the rescale behind it shows every unit."""
    edges = [up_to(46340, 1, 1, low=-46340), up_to(46340, 1, 3, low=-46340)]
    builder = TableBuilder(edges)
    product = builder.add(Opcode.MATMUL, [0, 1], (1, 1, 3))
    factors = [Parameter(ParameterKind.MULTIPLIERS, np.array([64, -64]))]
    base = builder.add(Opcode.SLICE, [product], (1, 0, 1))
    near = up_to(NARROW, 1, 3, low=-NARROW)
    table = builder.table([builder.add(Opcode.ADD_RESCALE, [product, base], (1,), factors, near)])
    assert answers(table, [46340], [46339, 46340, 46337]) == [0, 23170, -46340]


@given(data=st.data())
def test_a_search_finds_the_one_number_between_its_bounds(data):
    power, bits = data.draw(st.integers(0, POWER_HIGH)), data.draw(st.integers(1, BITS_HIGH))
    high = data.draw(st.sampled_from([1, 300, 2**20, 2**31 - 1]))
    values = data.draw(st.lists(st.integers(-high, high), min_size=4, max_size=4))
    for opcode, degree in ((Opcode.DIVIDE_SEARCH, 1), (Opcode.ROOT_SEARCH, 2)):
        builder = TableBuilder([up_to(min(high, NARROW), 4)])
        value = builder.add(opcode, [0], (power, bits))
        row = builder.table([value]).rows[0]
        results = operator(opcode).reference(row, (np.array(values),)).tolist()
        for x, found in zip(values, results, strict=True):
            assert 0 <= found < 2**bits
            assert found**degree * x <= 2**power
            assert (found + 1) ** degree * x > 2**power or found == 2**bits - 1


def searched(opcode: Opcode, power: int, bits: int) -> Table:
    """A search over products of two inputs, so that it meets magnitudes up to 2**31."""
    builder = TableBuilder([up_to(46340, 6, 1), up_to(46340, 6, 1, low=-46340)])
    columns = [builder.add(Opcode.RESHAPE, [value], (6, 1, 1)) for value in (0, 1)]
    product = builder.add(Opcode.MATMUL, columns, (1, 1, 1))
    return builder.table([builder.add(opcode, [product], (power, bits))])


@pytest.mark.parametrize("opcode", [Opcode.DIVIDE_SEARCH, Opcode.ROOT_SEARCH])
@pytest.mark.parametrize(("power", "bits"), [(52, 24), (52, 10), (31, 24), (24, 16), (0, 1)])
def test_searches_are_exact_although_trials_pass_2_to_the_53(opcode, power, bits):
    table = searched(opcode, power, bits)
    generator = np.random.default_rng(power)
    rows = [np.full(6, 46340), np.zeros(6), np.array([1, 2, 3, 4096, 46339, 32768])]
    rows += [generator.integers(0, 46341, 6) for _ in range(2)]
    for first in rows:
        for second in (*rows, -rows[0], -rows[2]):
            answers(table, first.astype(np.int64), second.astype(np.int64))


EDGE = int8(1, 4)
REFUSED = {
    "operands differ": (Opcode.MATMUL, [int8(2, 3), int8(2, 3)], (2, 3, 2), "end in \\[K, N\\]"),
    "other attributes": (Opcode.MATMUL, [int8(2, 3), int8(3, 2)], (2, 2, 2), "end in \\[M, K\\]"),
    "batches differ": (Opcode.MATMUL, [int8(2, 1, 3), int8(1, 3, 1)], (1, 3, 1), "same axes"),
    "vector": (Opcode.MATMUL, [int8(3), int8(3, 1)], (1, 3, 1), "rank must be 2"),
    "wide product": (
        *(Opcode.MATMUL, [up_to(32768, 1, 2), up_to(32768, 2, 1)], (1, 2, 1)),
        "2147483648 is not below 2\\*\\*31",
    ),
    "one operand": (Opcode.MATMUL, [int8(1, 1)], (1, 1, 1), "1 inputs where 2"),
    "sum of another axis": (Opcode.ROW_SUM, [EDGE], (3,), "last axis is 4"),
    "wide sum": (Opcode.ROW_SUM, [up_to(2**22, 1, 512)], (512,), "is not below 2\\*\\*31"),
    "largest of another axis": (Opcode.ROW_MAX, [EDGE], (1,), "last axis is 4"),
    "limit": (Opcode.DIVIDE_SEARCH, [up_to(9, 1)], (53, 8), "k must be in \\[0, 52\\]"),
    "negative limit": (Opcode.ROOT_SEARCH, [up_to(9, 1)], (-1, 8), "k must be in"),
    "bits": (Opcode.ROOT_SEARCH, [up_to(9, 1)], (10, 25), "bits must be in \\[1, 24\\]"),
    "no bits": (Opcode.DIVIDE_SEARCH, [up_to(9, 1)], (10, 0), "bits must be in"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_outside_its_rules_is_refused(name):
    opcode, edges, attributes, rule = REFUSED[name]
    with pytest.raises(InvalidModel, match=rule):
        one_row(opcode, edges, attributes)


@pytest.mark.parametrize(("low", "high"), [(-1, 2), (0, 3), (0, 1), (1, 2)])
def test_indices_that_could_miss_a_row_are_refused(low, high):
    weights = (ParameterKind.WEIGHTS, [[1], [2], [3]])
    edge = EdgeType(DType.INT16, (2,), low, high)
    with pytest.raises(InvalidModel, match="indices must be in \\[0, 2\\]"):
        one_row(Opcode.EMBEDDING, [edge], (3, 1), weights)


def test_an_index_out_of_range_is_refused_before_it_can_wrap():
    weights = (ParameterKind.WEIGHTS, [[1], [2], [3]])
    table = one_row(Opcode.EMBEDDING, [EdgeType(DType.INT16, (1,), 0, 2)], (3, 1), weights)
    for index in (-1, 3):
        with pytest.raises(InvalidTensor, match="leave the range"):
            run(table, (np.array([index], "<i2").tobytes(),))


@pytest.mark.parametrize("opcode", [Opcode.DIVIDE_SEARCH, Opcode.ROOT_SEARCH])
def test_the_range_of_a_search_is_reached_at_both_ends(opcode):
    table = one_row(opcode, [up_to(3000, 2, low=5)], (20, 20))
    edge = table.type_of(table.outputs[0])
    assert answers(table, [3000, 5]) == [edge.low, edge.high]


def test_a_search_beyond_six_digits_is_judged_and_not_proved():
    table = one_row(Opcode.ROOT_SEARCH, [up_to(NARROW, 2)], (52, 19))
    assert "need" in circuit_needs(table, table.shards[0]).obstacles[0]


@pytest.mark.parametrize(
    ("shapes", "rule"),
    [(((1, 4), (1, 3)), "do not fit"), (((1, 4), (4,)), "one rank")],
)
def test_shapes_that_do_not_fit_are_not_added(shapes, rule):
    factors = (ParameterKind.MULTIPLIERS, [64, -64])
    with pytest.raises(InvalidModel, match=rule):
        one_row(Opcode.ADD_RESCALE, [int8(*shape) for shape in shapes], (1,), factors)


def test_a_column_is_subtracted_from_every_place():
    factors = (ParameterKind.MULTIPLIERS, [128, -128])
    table = one_row(Opcode.ADD_RESCALE, [int8(2, 3), int8(2, 1)], (1,), factors)
    assert answers(table, [5, 6, 7, -127, 0, 127], [6, 127]) == [-1, 0, 1, -127, -127, 0]
