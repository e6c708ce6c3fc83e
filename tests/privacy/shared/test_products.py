"""One product at a time: any Linear or Conv on shares gives the public accumulators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models import reference
from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.privacy.shared.checking import Check
from nesa.privacy.shared.members import held_product
from nesa.privacy.shared.plan import plan
from nesa.privacy.shared.products import Product, product_of
from nesa.privacy.shared.seeds import ShareSeed
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from tests.models import tables


def shared_sums(product: Product, value) -> tuple[dict, list, list]:
    """What two groups with real runners make of a value, their digits and their sums."""
    first = ShareSeed().expand(product)
    digits = [product.digits_of(one) for one in (first, product.digits.rest(value, first))]
    runner, edge = held_product(product), product.output_edge
    sums = [edge.decode(runner.run((one.tobytes(),))[0]) for one in digits]
    return product.combined(*sums), digits, sums


@settings(max_examples=40, deadline=None)
@given(st.one_of(tables.linear(), tables.conv()), st.data())
def test_a_product_of_shares_is_that_of_the_value(table: Table, data):
    product = product_of(table, 0, [0])
    inputs = (data.draw(tables.corners(table.inputs[0])),)
    check_table(product.table)
    value = table.inputs[0].decode(inputs[0]).astype(np.int64)
    found, digits, sums = shared_sums(product, value)
    (expected,) = reference.run(table, inputs)
    assert table.rows[0].output_type.encode(found[1]) == expected
    for one, its in zip(digits, sums, strict=True):
        assert Check(product).accepts(one, its)


@settings(max_examples=25, deadline=None)
@given(st.one_of(tables.linear(), tables.conv()), st.integers(0, 2**31), st.integers(0, 24))
def test_one_wrong_sum_is_noticed(table: Table, place, power):
    product = product_of(table, 0, [0])
    value = np.full(table.inputs[0].shape, table.inputs[0].high, np.int64)
    _, digits, sums = shared_sums(product, value)
    wrong = sums[0].astype(np.int64)
    wrong.reshape(-1)[place % wrong.size] += 1 << power
    assert not Check(product).accepts(digits[0], wrong)


def test_layers_with_large_weights_take_narrower_digits():
    builder = TableBuilder([EdgeType(DType.INT8, (2, 700), -7, 7)])
    weights = np.full((3, 700), 127)
    constants = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, np.array([5, -6, 7])),
    ]
    table = builder.table([builder.add(Opcode.LINEAR, [0], (700, 3), constants)])
    product = product_of(table, 0, [0])
    assert product.digits.width == 7
    value = np.random.default_rng(0).integers(-7, 8, (2, 700))
    assert np.array_equal(
        shared_sums(product, value)[0][1], value @ weights.T + np.array([5, -6, 7])
    )


def test_a_tensor_too_long_for_a_message_is_refused():
    builder = TableBuilder([EdgeType(DType.INT8, (4097, 8), -1, 1)])
    constants = [
        Parameter(ParameterKind.WEIGHTS, np.ones((256, 8), np.int64)),
        Parameter(ParameterKind.BIASES, np.zeros(256, np.int64)),
    ]
    table = builder.table([builder.add(Opcode.LINEAR, [0], (8, 256), constants)])
    with pytest.raises(InvalidModel, match="compile the model for shorter inputs"):
        plan(table)


def test_a_model_without_linear_rows_is_refused():
    builder = TableBuilder([EdgeType(DType.INT8, (1, 8), -1, 1)])
    table = builder.table([builder.add(Opcode.ROW_SUM, [0], (8,))])
    with pytest.raises(InvalidModel, match="no Linear or Conv row"):
        plan(table)


def test_equal_views_of_one_value_are_shared_once():
    builder = TableBuilder([EdgeType(DType.INT8, (1, 2, 8), -1, 1)])
    constants = [
        Parameter(ParameterKind.WEIGHTS, np.eye(8, dtype=np.int64)),
        Parameter(ParameterKind.BIASES, np.zeros(8, np.int64)),
    ]
    views = [builder.add(Opcode.RESHAPE, [0], (2, 8)) for _ in range(2)]
    outputs = [builder.add(Opcode.LINEAR, [view], (8, 8), constants) for view in views]
    made = plan(builder.table(outputs))
    assert [len(found) for found in made.rounds] == [1]
    assert [sums.value for sums in made.products[0].sums] == outputs


def test_products_of_different_values_share_a_round():
    builder = TableBuilder([EdgeType(DType.INT8, (1, 8), -1, 1)] * 2)
    constants = [
        Parameter(ParameterKind.WEIGHTS, np.eye(8, dtype=np.int64)),
        Parameter(ParameterKind.BIASES, np.zeros(8, np.int64)),
    ]
    outputs = [builder.add(Opcode.LINEAR, [value], (8, 8), constants) for value in (0, 1)]
    made = plan(builder.table(outputs))
    assert [len(found) for found in made.rounds] == [2]


def test_a_value_beyond_float32_is_made_again_and_never_held(transformer):
    table = transformer.plan.table
    held = {value for part in transformer.plan.parts for value in part.outputs}
    for edge in table.types_of(sorted(held)):
        assert max(-edge.low, edge.high) < 2**24


def test_rows_that_no_output_needs_are_left_out(mlp):
    table = mlp.plan.table
    spare = replace(table, rows=(*table.rows, table.rows[0]))
    assert len(plan(spare).products) == len(mlp.plan.products)
