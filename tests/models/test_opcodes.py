"""Every operator: the reference, ONNX Runtime and the ezkl circuit give the same integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.kernels.byte_linear import NODES
from nesa.models.lowering import CIRCUIT_NODES, RUNTIME_NODES, circuit_needs
from nesa.models.opcodes import operator
from nesa.models.reference import decode, evaluate, run
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from tests.models.onnx_runtime import LEVELS, in_runtime
from tests.models.tables import TABLES, corners, small_network
from tests.models.witness import witness_outputs

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", TABLES)
@quick
@given(data=st.data())
def test_onnx_runtime_gives_the_integers_of_the_reference(name, data):
    table = data.draw(TABLES[name]())
    inputs = tuple(data.draw(corners(edge)) for edge in table.inputs)
    expected = run(table, inputs)
    assert [in_runtime(table, inputs, level) for level in LEVELS] == [expected] * 2


@pytest.mark.parametrize("name", TABLES)
@quick
@given(data=st.data())
def test_no_value_leaves_the_range_that_its_row_declares(name, data):
    table = data.draw(TABLES[name]())
    check_table(table)
    inputs = [data.draw(corners(edge)) for edge in table.inputs]
    values = evaluate(table, table.shards[0], decode(table.inputs, inputs))
    for number, value in values.items():
        table.type_of(number).encode(value)


@pytest.mark.parametrize("name", TABLES)
@settings(quick, max_examples=2, phases=[Phase.generate])
@given(data=st.data())
def test_the_circuit_gives_the_integers_of_the_reference(name, data):
    table = data.draw(TABLES[name]())
    if circuit_needs(table, table.shards[0]).obstacles:
        return
    runs = [tuple(data.draw(corners(edge)) for edge in table.inputs) for _ in range(4)]
    found = witness_outputs(table, table.shards[0], runs)
    assert found == [run(table, inputs) for inputs in runs]


@pytest.mark.deep
@pytest.mark.parametrize("name", TABLES)
@settings(quick, max_examples=60)
@given(data=st.data())
def test_many_circuits_give_the_integers_of_the_reference(name, data):
    table = data.draw(TABLES[name]())
    if circuit_needs(table, table.shards[0]).obstacles:
        return
    runs = [tuple(data.draw(corners(edge)) for edge in table.inputs) for _ in range(8)]
    found = witness_outputs(table, table.shards[0], runs)
    assert found == [run(table, inputs) for inputs in runs]


def test_a_whole_network_gives_the_same_integers_three_ways():
    table = small_network()
    edge, generator = table.inputs[0], np.random.default_rng(3)
    rows = [generator.integers(edge.low, edge.high + 1, edge.shape) for _ in range(6)]
    rows += [np.full(edge.shape, edge.low), np.full(edge.shape, edge.high)]
    inputs = [(edge.encode(row),) for row in rows]
    expected = [run(table, tensors) for tensors in inputs]
    assert [in_runtime(table, tensors, LEVELS[1]) for tensors in inputs] == expected
    assert witness_outputs(table, table.shards[0], inputs) == expected


@pytest.mark.parametrize("seed", range(4))
def test_sums_next_to_2_to_the_24_are_exact_at_every_level(seed):
    generator = np.random.default_rng(seed)
    weights = generator.choice([-127, 127], (16, 1040)) if seed else np.full((16, 1040), 127)
    biases = generator.integers(-3000, 3001, 16)
    constants = [Parameter(ParameterKind.WEIGHTS, weights), Parameter(ParameterKind.BIASES, biases)]
    edge = EdgeType(DType.INT8, (1, 4, 1040), -127, 127)
    builder = TableBuilder([edge])
    table = builder.table([builder.add(Opcode.LINEAR, [0], (1040, 16), constants)])
    signs = generator.choice([-127, 127], edge.shape)
    signs[0, 0] = np.sign(weights[0]) * 127  # the largest sum there is
    inputs = (edge.encode(signs),)
    assert [in_runtime(table, inputs, level) for level in LEVELS] == [run(table, inputs)] * 2


@pytest.mark.parametrize("seed", range(3))
def test_blocked_convolutions_are_exact_at_every_level(seed):
    """Sixteen channels make ONNX Runtime reorder the tensors."""
    generator = np.random.default_rng(seed)
    edge = EdgeType(DType.INT8, (1, 16, 9, 9), -127, 127)
    builder, value = TableBuilder([edge]), 0
    for _ in range(3):
        weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-127, 128, (16, 144)))
        biases = Parameter(ParameterKind.BIASES, generator.integers(-5000, 5001, 16))
        shape = builder.type_of(value).shape
        attributes = (*shape[1:], 1, 3, 3, 1, 1, 1, 1, 1, 1)
        value = builder.add(Opcode.CONV, [value], attributes, [weights, biases])
        factors = Parameter(ParameterKind.MULTIPLIERS, generator.integers(64, 128, 16))
        declared = EdgeType(DType.INT8, shape, -127, 127)
        value = builder.add(Opcode.RESCALE, [value], (2, 1), [factors], declared)
    table = builder.table([builder.add(Opcode.MAX_POOL, [value], (16, 9, 9, 2, 2, 2, 2))])
    inputs = (edge.encode(generator.integers(-127, 128, edge.shape)),)
    assert [in_runtime(table, inputs, level) for level in LEVELS] == [run(table, inputs)] * 2


def test_a_circuit_may_only_add_the_one_safe_division():
    assert RUNTIME_NODES - NODES - {"GatherElements", "Sqrt", "Sub"} == CIRCUIT_NODES


def test_every_number_but_that_of_a_shard_is_an_operator():
    assert [operator(code).code for code in Opcode if code is not Opcode.SHARD] == list(Opcode)[:-1]
    with pytest.raises(InvalidModel, match="SHARD is not an operator"):
        operator(Opcode.SHARD)
