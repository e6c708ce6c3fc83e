"""Stacked queries give the bytes of single ones, and what cannot be stacked is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from nesa.models.folder import load
from nesa.models.graph import Opcode, Row, Table
from nesa.models.index import decode_index, read_outline
from nesa.models.lowering import runtime_model
from nesa.models.runtime import ShardRunner
from nesa.models.stacking import (
    MAX_LIVE_BYTES,
    MOST,
    best_size,
    most_stacked,
    obstacle,
    obstacles,
    with_open_axis,
)
from nesa.protocol.digests import bytes_root
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel, InvalidTensor
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts
from tests.models.operator_vectors import vectors
from tests.models.tables import small_network

VECTORS = vectors()
MODELS = Path(__file__).parents[2] / "models"

REFUSED = {
    "mat_mul": "row 0: MATMUL works along the first axis",
    "mat_mul next to 2**31": "row 0: MATMUL works along the first axis",
    "add_rescale of a row": "row 0: ADD_RESCALE repeats a tensor along the first axis",
    "transpose": "row 0: TRANSPOSE works along the first axis",
}


def runner(table: Table, number: int = 0, *, stacks: bool = True) -> ShardRunner:
    shard = table.shards[number]
    file = runtime_model(table, shard)
    edges = table.types_of(shard.inputs), table.types_of(shard.outputs)
    facts = ShardFacts(*edges, bytes_root(file), ZERO_DIGEST, ZERO_DIGEST)
    return ShardRunner(file, facts, stacks=stacks)


def stackable(name: str) -> bool:
    table = VECTORS[name].table
    return not obstacles(table, table.shards[0])


@pytest.mark.parametrize("name", [name for name in VECTORS if stackable(name)])
def test_every_operator_that_stacks_gives_the_published_answers(name: str) -> None:
    vector = VECTORS[name]
    stack = runner(vector.table)
    answers = (*vector.answers, *reversed(vector.answers))
    for count in {1, 2, len(answers)}:
        found = stack.run_stacked([answer.inputs for answer in answers[:count]])
        assert found == [answer.outputs for answer in answers[:count]]


def test_operators_along_the_first_axis_are_named() -> None:
    refused = {name: VECTORS[name].table for name in VECTORS if not stackable(name)}
    found = {name: obstacles(table, table.shards[0])[0] for name, table in refused.items()}
    assert found == REFUSED
    stacked = {
        row.opcode for name in filter(stackable, VECTORS) for row in VECTORS[name].table.rows
    }
    assert stacked | {Opcode.SHARD} == set(Opcode)


@pytest.mark.parametrize(
    ("opcode", "attributes"),
    [(Opcode.CONCAT, (0,)), (Opcode.SLICE, (0, 0, 1)), (Opcode.RESCALE, (1, 0))],
)
def test_an_axis_is_looked_at_where_an_operator_has_one(opcode, attributes) -> None:
    edge = EdgeType(DType.INT8, (2, 2), -5, 5)
    assert obstacle(Row(opcode, attributes, (0,), edge), (edge,)).startswith(opcode.name)
    attributes = (1, *attributes[1:]) if opcode is not Opcode.RESCALE else (1, 1)
    assert not obstacle(Row(opcode, attributes, (0,), edge), (edge,))


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_the_shipped_models_stack_bit_equal(name: str) -> None:
    model = load(MODELS / name)
    for number, facts in enumerate(model.shards):
        assert most_stacked(model.table, model.table.shards[number]) == MOST
        single = ShardRunner(model.shard_file(number), facts)
        stack = ShardRunner(model.shard_file(number), facts, stacks=True)
        stack.self_test(model.known_answers(number))
        random = np.random.default_rng(number)
        queries = [
            tuple(
                edge.encode(random.integers(edge.low, edge.high + 1, edge.shape))
                for edge in facts.input_edges
            )
            for _ in range(MOST)
        ]
        assert stack.run_stacked(queries) == [single.run(query) for query in queries]
        assert stack.run(queries[0]) == single.run(queries[0])


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_an_index_without_constants_is_enough_to_decide(name: str) -> None:
    outline = read_outline(decode_index((MODELS / name / "model.json").read_bytes()))
    table = load(MODELS / name).table
    assert outline.shards == table.shards
    for shard in table.shards:
        assert most_stacked(outline, shard) == most_stacked(table, shard)


def test_long_rows_are_stacked_less_or_not() -> None:
    elements = MAX_LIVE_BYTES // 8 // 6

    def reshaped(count: int) -> Table:
        edge = EdgeType(DType.INT8, (1, count), -5, 5)
        return Table((edge,), (Row(Opcode.RESHAPE, edge.shape, (0,), edge),), (1,))

    table = reshaped(elements)
    assert most_stacked(table, table.shards[0]) == 3
    table = reshaped(elements * 6)
    assert most_stacked(table, table.shards[0]) == 1


def test_a_runner_that_does_not_stack_says_so() -> None:
    alone = runner(small_network(), stacks=False)
    data = tuple(bytes(edge.nbytes) for edge in alone.facts.input_edges)
    assert alone.run_stacked([data]) == [alone.run(data)]
    with pytest.raises(InvalidTensor, match="one query at a time"):
        alone.run_stacked([data, data])


def test_one_bad_query_of_a_stack_is_refused_before_the_run() -> None:
    stack = runner(small_network())
    data = tuple(bytes(edge.nbytes) for edge in stack.facts.input_edges)
    with pytest.raises(InvalidTensor):
        stack.run_stacked([data, (b"",) * len(data)])


def test_the_smallest_of_equally_fast_stacks_is_run() -> None:
    assert best_size({1: 1.0}) == 1
    assert best_size({1: 1.0, 2: 2.0, 4: 4.4}) == 1
    assert best_size({1: 1.0, 2: 1.2, 4: 2.35, 8: 4.7}) == 2
    assert best_size({1: 1.0, 2: 1.2, 4: 1.4, 8: 1.6}) == 8


def test_files_that_cannot_be_opened_are_refused() -> None:
    with pytest.raises(InvalidModel):
        with_open_axis(b"no model")
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    shape = helper.make_tensor_value_info("s", TensorProto.INT64, [2])
    node = helper.make_node("Reshape", ["x", "s"], ["y"])
    graph = helper.make_graph([node], "g", [infos[0], shape], infos[1:])
    with pytest.raises(InvalidModel, match="computed"):
        with_open_axis(helper.make_model(graph).SerializeToString())
    point = helper.make_tensor_value_info("x", TensorProto.FLOAT, [])
    one = numpy_helper.from_array(np.array(1, np.float32), "k")
    graph = helper.make_graph([helper.make_node("Add", ["x", "k"], ["y"])], "g", [point], infos[1:])
    graph.initializer.append(one)
    with pytest.raises(InvalidModel, match="no axis"):
        with_open_axis(helper.make_model(graph).SerializeToString())
