"""What is provable: every rule refuses the circuit that breaks it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from nesa.models.proving.bounds import Interval, propagate
from nesa.models.proving.circuits import build_circuit, require_integers
from nesa.models.proving.compiled import CompiledGraph, Node, Operation, read_compiled
from nesa.models.proving.reference_string import development_only
from nesa.models.proving.rules import check_circuit, worst_case
from nesa.protocol.circuits import ShownEdge
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from tests.models.proving.onnx_files import dense, node, onnx_file
from tests.models.proving.shards import SHARDS, compiled, provable

K = 15
CIRCUIT = provable("breast-cancer-mlp", 1).circuit
BYTE = EdgeType(DType.INT8, (1, 4), -127, 127)
POSITIVE = EdgeType(DType.UINT8, (1, 4), 0, 127)


@pytest.fixture
async def graph(tmp_path: Path) -> CompiledGraph:
    return await compiled(CIRCUIT, tmp_path)


def check(graph: CompiledGraph, source=CIRCUIT.source, result=CIRCUIT.result) -> None:
    check_circuit(graph, source, result, K)


def first(graph: CompiledGraph, name: str) -> int:
    return next(number for number, n in graph.nodes.items() if n.operation.name == name)


def with_node(graph: CompiledGraph, number: int, **changes) -> CompiledGraph:
    nodes = {**graph.nodes, number: replace(graph.nodes[number], **changes)}
    return replace(graph, nodes=nodes)


def with_fields(graph: CompiledGraph, name: str, **fields) -> CompiledGraph:
    number = first(graph, name)
    operation = graph.nodes[number].operation
    changed = replace(operation, fields={**operation.fields, **fields})
    return with_node(graph, number, operation=changed)


def with_run_args(graph: CompiledGraph, **arguments) -> CompiledGraph:
    return replace(graph, run_args={**graph.run_args, **arguments})


@pytest.mark.parametrize(("name", "number"), SHARDS)
async def test_the_committed_circuits_keep_every_rule(name: str, number: int, tmp_path: Path):
    circuit = provable(name, number).circuit

    graph = await compiled(circuit, tmp_path)

    assert worst_case(graph, circuit.source).digits == graph.run_args["decomp_legs"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("check_mode", "unsafe"),
        ("input_visibility", "private"),
        ("output_visibility", "private"),
        ("param_visibility", "private"),
        ("logrows", 16),
        ("decomp_base", 16384),
        ("num_inner_cols", 3),
        ("disable_freivalds", False),
        ("ignore_range_check_inputs_outputs", True),
        ("input_scale", 7),
        ("rebase_scale", 7),
    ],
)
def test_other_run_arguments_are_refused(graph: CompiledGraph, argument: str, value):
    with pytest.raises(InvalidModel, match=argument):
        check(with_run_args(graph, **{argument: value}))


def test_too_few_digits_for_the_worst_case_are_refused(graph: CompiledGraph):
    fewer = with_run_args(graph, decomp_legs=4)
    for number, found in graph.nodes.items():
        if found.operation.name == "rebase":
            operation = found.operation
            fields = {**operation.fields, "inner_legs": 4}
            fewer = with_node(fewer, number, operation=replace(operation, fields=fields))

    with pytest.raises(InvalidModel, match="do not fit 4 digits"):
        check(fewer)


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("rebase", {"denominator": 64.0}),
        ("rebase", {"inner_scale": 64.0}),
        ("rebase", {"inner": "round"}),
        ("rebase", {"inner_legs": 3}),
        ("rebase", {"target": 1}),
        ("rectifier", {"slope": 0.5}),
        ("input", {"checked": False}),
        ("input", {"scale": 7}),
        ("constant", {"scale": 7}),
    ],
)
def test_a_node_with_other_fields_is_refused(graph: CompiledGraph, operation: str, fields):
    with pytest.raises(InvalidModel, match="not provable"):
        check(with_fields(graph, operation, **fields))


def test_a_boundary_that_is_not_at_scale_0_is_refused(graph: CompiledGraph):
    for number in (graph.inputs[0], graph.outputs[0][0]):
        with pytest.raises(InvalidModel, match="boundary has scale 7"):
            check(with_node(graph, number, scale=7))


def test_a_division_that_no_floor_follows_is_refused(graph: CompiledGraph):
    """A bare division has two quotients that satisfy the circuit."""
    number = first(graph, "rebase")
    between = replace(graph.nodes[number], operation=Operation("identity", {"scale": None}))

    with pytest.raises(InvalidModel, match="floor"):
        check(replace(graph, nodes={**graph.nodes, number: between}))


def test_a_division_that_is_read_twice_is_refused(graph: CompiledGraph):
    ((divided, _),) = graph.nodes[first(graph, "rebase")].inputs
    other = Node(Operation("add", {}), 0, ((divided, 0), (divided, 0)), (1, 32))

    with pytest.raises(InvalidModel, match="directly followed"):
        check(replace(graph, nodes={**graph.nodes, 1000: other}))


def test_too_many_public_values_are_refused(graph: CompiledGraph):
    wide = (1, 127)
    grown = with_node(graph, graph.inputs[0], shape=wide)
    source = ShownEdge(EdgeType(DType.UINT8, wide, 0, 255))

    with pytest.raises(InvalidModel, match="129 inputs and outputs"):
        check(grown, source)


def test_a_narrower_declared_output_is_refused(graph: CompiledGraph):
    narrow = ShownEdge(EdgeType(DType.INT16, CIRCUIT.result.shape, -5, 5))

    with pytest.raises(InvalidModel, match="outputs reach"):
        check(graph, result=narrow)


def test_other_shapes_than_declared_are_refused(graph: CompiledGraph):
    with pytest.raises(InvalidModel, match="shape"):
        check(graph, ShownEdge(EdgeType(DType.UINT8, (64, 1), 0, 255)))


def test_two_inputs_are_refused(graph: CompiledGraph):
    with pytest.raises(InvalidModel, match="2 inputs"):
        check(replace(graph, inputs=(*graph.inputs, 1)))


def of_four(nodes, **constants) -> bytes:
    return onnx_file(nodes, constants, [1, 4], [1, 4])


DOUBLE = TensorProto.DOUBLE
WRONG_MODELS = {
    "division by 100": of_four(
        [node("Div", "x d", "q"), node("Floor", "q", "y")], d=np.array(100, np.float32)
    ),
    "division by 128 without floor": of_four(
        [node("Div", "x d", "y")], d=np.array(128, np.float32)
    ),
    "division by 128 with something between": of_four(
        [node("Div", "x d", "q"), node("Relu", "q", "r"), node("Floor", "r", "y")],
        d=np.array(128, np.float32),
    ),
    "floor of an integer": of_four([node("Floor", "x", "y")]),
    "sigmoid": of_four([node("Sigmoid", "x", "y")]),
    "softmax": of_four([node("Softmax", "x", "y", axis=1)]),
    "square root": of_four([node("Abs", "x", "a"), node("Sqrt", "a", "y")]),
    "product of activations": of_four([node("Mul", "x x", "y")]),
    "leaky rectifier": of_four([node("LeakyRelu", "x", "y", alpha=2.0)]),
    "fraction": of_four([node("Mul", "x m", "y")], m=np.array(0.3, np.float32)),
    "infinity": of_four([node("Min", "x m", "y")], m=np.array(np.inf, np.float32)),
    "unbounded output": of_four([node("Mul", "x m", "y")], m=np.array(1000, np.float32)),
}


@pytest.mark.parametrize("wrong", WRONG_MODELS)
async def test_what_ezkl_would_compute_otherwise_is_refused(wrong: str):
    with pytest.raises(InvalidModel):
        await build_circuit(
            WRONG_MODELS[wrong], ShownEdge(BYTE), ShownEdge(BYTE), development_only()
        )


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1]])
async def test_a_padded_max_pool_is_refused(pads: list[int], tmp_path: Path, monkeypatch):
    size = 2 + pads[0] * 2
    nodes = [node("MaxPool", "x", "y", kernel_shape=[3, 3], pads=pads, strides=[1, 1])]
    model = onnx_file(nodes, {}, [1, 1, 4, 4], [1, 1, size, size])
    source = EdgeType(DType.INT8, (1, 1, 4, 4), -127, 127)
    result = EdgeType(DType.INT8, (1, 1, size, size), -127, 127)
    reached: list[bytes] = []
    monkeypatch.setattr("nesa.models.proving.circuits.set_up_into", stop_at_set_up(reached))

    with pytest.raises(InvalidModel, match="padded" if any(pads) else "enough"):
        await build_circuit(model, ShownEdge(source), ShownEdge(result), development_only())

    assert bool(reached) == (not any(pads))


async def test_a_large_factor_gets_more_digits(monkeypatch):
    """Legal int8 data would be unprovable with the four digits that most shards need."""
    reached: list[bytes] = []
    monkeypatch.setattr("nesa.models.proving.circuits.set_up_into", stop_at_set_up(reached))

    for factor, halves, digits in ((97, 2, 3), (2**20, 4, 5), (2**27, 4, 6)):
        with pytest.raises(InvalidModel, match="enough"):
            edges = ShownEdge(BYTE), ShownEdge(POSITIVE)
            await build_circuit(dense(factor, halves), *edges, development_only())
        graph = read_compiled(reached[-1])
        assert graph.run_args["decomp_legs"] == digits


def stop_at_set_up(reached: list[bytes]):
    """A set-up that keeps the compiled circuit and goes no further."""

    async def stop(folder: Path, *_) -> None:
        reached.append((folder / "circuit.compiled").read_bytes())
        raise InvalidModel("enough")

    return stop


def test_a_model_of_integers_passes():
    require_integers(dense())


def test_bytes_that_are_no_circuit_are_refused():
    for data in (b"", bytes(100), b"\xff" * 100):
        with pytest.raises(InvalidModel):
            read_compiled(data)


async def test_a_circuit_that_is_cut_short_is_refused(tmp_path: Path):
    await compiled(CIRCUIT, tmp_path)
    data = (tmp_path / "circuit.compiled").read_bytes()

    for length in range(0, 60_000, 1999):
        with pytest.raises(InvalidModel):
            read_compiled(data[:length])


async def test_bounds_hold_for_every_point(graph: CompiledGraph):
    edge = CIRCUIT.source.edge
    widest = worst_case(graph, CIRCUIT.source)
    random = np.random.default_rng(3)

    for _ in range(50):
        point = random.integers(edge.low, edge.high + 1, edge.shape)
        found = propagate(graph, [Interval(point, point)])
        assert found.decomposed <= widest.decomposed
        for number, value in found.values.items():
            assert (widest.values[number].low <= value.low).all()
            assert (value.high <= widest.values[number].high).all()
