"""Cut models answer with the bytes of whole ones."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from nesa.models.onnx_graphs.extracting import write_cut
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.onnx_graphs.planning import plan
from nesa.models.onnx_graphs.routing import Router, run_whole
from nesa.models.onnx_graphs.wire import INLINE_BYTES
from nesa.protocol.errors import InvalidModel
from tests.models.onnx_graphs.graphs import (
    OPSET,
    SIZE,
    feeds,
    info,
    layers,
    model_of,
    models,
    saved,
    simple,
    weight,
    with_external_data,
)


def as_bytes(values: dict[str, Any]) -> dict[str, bytes]:
    return {name: np.asarray(value).tobytes() for name, value in values.items()}


def expect_same_bytes(path: Path, cuts: tuple[int, ...], inputs: dict[str, Any]) -> None:
    folder = path.parent / "-".join(map(str, ("cut", *cuts)))
    write_cut(read_graph(path), cuts, folder)
    assert as_bytes(Router(folder).run(inputs)) == as_bytes(run_whole(path, inputs))


def expect_same_everywhere(path: Path, inputs: dict[str, Any]) -> int:
    """Cuts at every legal position; how many there are."""
    places = read_graph(path).legal_positions
    for place in places:
        expect_same_bytes(path, (place,), inputs)
    return len(places)


@settings(deadline=None, max_examples=40)
@given(models())
def test_a_random_graph_cut_at_any_position_gives_the_same_bytes(model: ModelProto):
    with TemporaryDirectory() as folder:
        expect_same_everywhere(saved(model, Path(folder)), feeds())


@settings(deadline=None, max_examples=40)
@given(models(), st.data())
def test_a_random_graph_cut_at_several_positions_gives_the_same_bytes(model: ModelProto, data):
    with TemporaryDirectory() as folder:
        path = saved(model, Path(folder))
        places = st.sets(st.sampled_from(read_graph(path).legal_positions or (0,)), max_size=5)
        cuts = tuple(sorted(data.draw(places) - {0}))
        expect_same_bytes(path, cuts, feeds(1))


@settings(deadline=None, max_examples=20)
@given(models(), st.integers(1, 5))
def test_a_planned_cut_of_external_data_gives_the_same_bytes(model: ModelProto, shards: int):
    with TemporaryDirectory() as folder:
        path = with_external_data(model, Path(folder), threshold=INLINE_BYTES)
        graph = read_graph(path)
        expect_same_bytes(path, plan(graph, min(shards, len(graph.legal_positions) + 1)), feeds(2))


def test_every_position_of_a_sequence_of_layers_is_legal(tmp_path: Path):
    path = saved(layers(4), tmp_path)
    assert expect_same_everywhere(path, {"x": np.ones((1, SIZE), np.float32)}) == 8


def test_nodes_in_any_order_are_cut_in_theirs(tmp_path: Path):
    model = layers(3)
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    path = saved(model, tmp_path)
    assert expect_same_everywhere(path, {"x": np.ones((1, SIZE), np.float32)}) == 6


def test_an_output_that_is_an_input_or_a_weight_is_given_too(tmp_path: Path):
    nodes = [helper.make_node("Add", ["x", "w"], ["a"]), helper.make_node("Tanh", ["a"], ["y"])]
    model = simple(nodes, [weight("w")], outputs=("y", "x", "w"))
    assert expect_same_everywhere(saved(model, tmp_path), {"x": feeds()["x"]}) == 1


def test_nodes_that_no_output_needs_are_in_no_shard(tmp_path: Path):
    nodes = [
        helper.make_node("Tanh", ["x"], ["a"]),
        helper.make_node("MatMul", ["a", "w"], ["unread"]),
        helper.make_node("Sigmoid", ["a"], ["y"]),
    ]
    path = saved(simple(nodes, [weight("w")]), tmp_path)
    assert [step.node.op_type for step in read_graph(path).steps] == ["Tanh", "Sigmoid"]
    assert expect_same_everywhere(path, {"x": feeds()["x"]}) == 1


def test_sparse_weights_travel_with_their_shard(tmp_path: Path):
    values = helper.make_tensor("s", TensorProto.FLOAT, [2], [1.5, 2.5])
    indices = helper.make_tensor("i", TensorProto.INT64, [2], [0, SIZE * SIZE - 1])
    sparse = helper.make_sparse_tensor(values, indices, [SIZE, SIZE])
    nodes = [helper.make_node("Tanh", ["x"], ["a"]), helper.make_node("Add", ["a", "s"], ["y"])]
    graph = helper.make_graph(nodes, "g", [info("x")], [info("y")], sparse_initializer=[sparse])
    assert expect_same_everywhere(saved(model_of(graph), tmp_path), {"x": feeds()["x"]}) == 1


def test_a_weight_that_could_be_overridden_is_no_constant_in_a_shard_either(tmp_path: Path):
    """ONNX Runtime packs constants for its kernels, and long sums then come out differently."""
    model = layers(3, 300)
    model.graph.input.extend(info(f"w{index}", shape=(300, 300)) for index in range(3))
    for edge in (model.graph.input[0], model.graph.output[0]):
        edge.type.tensor_type.shape.dim[0].dim_value = 3
    path = saved(model, tmp_path)
    assert read_graph(path).inputs == ("x",)
    inputs = {"x": np.random.default_rng(0).standard_normal((3, 300)).astype(np.float32)}
    assert expect_same_everywhere(path, inputs) == 6


def with_functions() -> ModelProto:
    """Two nodes that call a function each; one of these calls a third."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    bodies = {
        "Inner": [helper.make_node("Tanh", ["a"], ["b"])],
        "Outer": [helper.make_node("Inner", ["a"], ["b"], domain="own")],
        "Other": [helper.make_node("Sigmoid", ["a"], ["b"])],
    }
    functions = [
        helper.make_function("own", name, ["a"], ["b"], nodes, opsets)
        for name, nodes in bodies.items()
    ]
    nodes = [
        helper.make_node("Outer", ["x"], ["h"], domain="own"),
        helper.make_node("Other", ["h"], ["y"], domain="own"),
    ]
    return simple(nodes, functions=functions, opset_imports=opsets)


def test_a_shard_has_the_functions_that_it_calls_and_no_others(tmp_path: Path):
    path = saved(with_functions(), tmp_path)
    assert expect_same_everywhere(path, {"x": feeds()["x"]}) == 1
    shards = [read_graph(tmp_path / "cut-1" / "shards" / f"{i}.onnx").model for i in (0, 1)]
    names = [{function.name for function in shard.functions} for shard in shards]
    assert names == [{"Inner", "Outer"}, {"Other"}]


def test_open_dimensions_stay_open(tmp_path: Path):
    model = layers(3)
    for edge in (*model.graph.input, *model.graph.output):
        edge.type.tensor_type.shape.dim[0].dim_param = "batch"
    path = saved(model, tmp_path)
    assert expect_same_everywhere(path, {"x": np.ones((5, SIZE), np.float32)}) == 6
    graph = read_graph(path)
    assert graph.boundary_bytes({"batch": 5}) == tuple(5 * n for n in graph.boundary_bytes({}))


def half_precision() -> ModelProto:
    """float32 -> three nodes in float16 -> float32."""
    nodes = [
        helper.make_node("Tanh", ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT16),
        helper.make_node("Sigmoid", ["b"], ["c"]),
        helper.make_node("Exp", ["c"], ["d"]),
        helper.make_node("Cast", ["d"], ["e"], to=TensorProto.FLOAT),
        helper.make_node("Tanh", ["e"], ["y"]),
    ]
    return simple(nodes)


def test_half_precision_does_not_cross(tmp_path: Path):
    path = saved(half_precision(), tmp_path)
    assert read_graph(path).legal_positions == (1, 5)
    assert expect_same_everywhere(path, {"x": feeds()["x"]}) == 2


def test_a_reader_in_half_precision_stays_though_no_output_needs_it(tmp_path: Path):
    """Without it ONNX Runtime rounds what the others read in another place."""
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.FLOAT16),
        helper.make_node("Add", ["a", "a"], ["b"]),
        helper.make_node("Add", ["b", "a"], ["c"]),
        helper.make_node("Cast", ["c"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["a"], ["unread"], to=TensorProto.FLOAT),
    ]
    expect_same_bytes(saved(simple(nodes), tmp_path), (), {"x": feeds()["x"]})


def test_constants_in_half_precision_are_computed_in_one_shard(tmp_path: Path):
    nodes = [
        helper.make_node("Cast", ["w"], ["a"], to=TensorProto.FLOAT16),
        helper.make_node("Add", ["a", "a"], ["b"]),
        helper.make_node("Add", ["b", "a"], ["c"]),
        helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["d", "x"], ["e"]),
        helper.make_node("Cast", ["a"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["e", "f"], ["y"]),
    ]
    path = saved(simple(nodes, [weight("w")]), tmp_path)
    assert expect_same_everywhere(path, {"x": feeds()["x"]}) == 1


def test_a_sequence_does_not_cross(tmp_path: Path):
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
        helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=0),
        helper.make_node("Tanh", ["c"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [info("x")], [info("y", shape=(2 * SIZE, SIZE))])
    path = saved(model_of(graph), tmp_path)
    assert read_graph(path).legal_positions == (2,)
    assert expect_same_everywhere(path, {"x": feeds()["x"]}) == 1
    with pytest.raises(InvalidModel, match="cannot be cut in front of the ConcatFromSequence"):
        write_cut(read_graph(path), (1,), tmp_path / "cut")


def test_a_tensor_that_skips_a_shard_does_not_pass_through_it(tmp_path: Path):
    graph = read_graph(saved(layers(3), tmp_path))
    manifest = write_cut(graph, (2, 4), tmp_path / "cut")
    inputs = [[entry.name for entry in shard.inputs] for shard in manifest.shards]
    assert inputs == [["x"], ["t0"], ["t0", "t1"]]
    assert [entry.name for entry in manifest.shards[1].outputs] == ["t1"]
    assert [entry.maker for entry in manifest.shards[2].inputs] == [0, 1]
