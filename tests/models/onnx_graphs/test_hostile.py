"""Files that mean harm or cannot be cut are refused with what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from nesa.models.onnx_graphs import graph as graphs
from nesa.models.onnx_graphs import wire
from nesa.models.onnx_graphs.graph import read_graph
from nesa.models.onnx_graphs.wire import refer
from nesa.protocol.errors import InvalidModel
from tests.models.onnx_graphs.graphs import (
    OPSET,
    SIZE,
    info,
    layers,
    model_of,
    saved,
    simple,
    weight,
)

node = helper.make_node
WEIGHT_BYTES = 4 * SIZE * SIZE


def branching(*nodes: NodeProto, output: str = "inner") -> ModelProto:
    """An If with the same nodes in both branches."""
    body = helper.make_graph(list(nodes), "body", [], [info(output)])
    choice = node("If", ["go"], ["y"], then_branch=body, else_branch=body)
    inputs = [info("x"), info("go", TensorProto.BOOL, ())]
    return model_of(helper.make_graph([choice], "g", inputs, [info("y")]))


def with_function(*nodes: NodeProto, name: str = "Own") -> ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", name, ["a"], ["b"], list(nodes), opsets)
    call = node(name, ["x"], ["y"], domain="own")
    return simple([call], functions=[function], opset_imports=opsets)


def typed(
    dims: Sequence[int] = (SIZE, SIZE), data_type: int = TensorProto.FLOAT, **fields: Any
) -> ModelProto:
    """A weight whose fields are the given ones."""
    tensor = TensorProto(name="w", dims=dims, data_type=data_type, **fields)
    return simple([node("MatMul", ["x", "w"], ["y"])], [tensor])


def chain(*pairs: str, **fields) -> ModelProto:
    """Nodes written as "Kind reads -> makes"."""
    nodes = []
    for text in pairs:
        left, right = text.split(" -> ")
        kind, *reads = left.split()
        nodes.append(node(kind, reads, right.split()))
    return simple(nodes, **fields)


NO_SETS = [helper.make_opsetid("com.example", 1)]

GRAPHS = {
    "circle": (
        chain("Add x b -> a", "Tanh a -> b", "Tanh b -> y"),
        "the Add 'a' depends on its own output",
    ),
    "own output": (chain("Add x y -> y"), "depends on its own output"),
    "circle through a branch": (
        branching(node("Add", ["x", "y"], ["inner"])),
        "the If 'y' depends on its own output",
    ),
    "read from nowhere": (chain("Add x b -> y"), "reads 'b', which nothing makes"),
    "branch reads from nowhere": (branching(node("Tanh", ["q"], ["inner"])), "reads 'q'"),
    "output from nowhere": (chain("Tanh x -> a"), "nothing makes the output 'y'"),
    "two nodes make one": (chain("Tanh x -> y", "Erf x -> y"), "'y' is given to two tensors"),
    "a node makes an input": (chain("Tanh x -> x", outputs=("x",)), "'x' is given to"),
    "two weights of a name": (
        chain("Add x w -> y", weights=[weight("w"), weight("w")]),
        "'w' is given to",
    ),
    "a branch hides a name": (
        branching(node("Tanh", ["x"], ["x"]), output="x"),
        "'x' is given to",
    ),
    "a weight without a name": (chain("Tanh x -> y", weights=[weight("")]), "'' is given to"),
    "custom operator": (
        simple([node("Evil", ["x"], ["y"], domain="com.example")]),
        "the Evil 'y' is a custom operator of 'com.example'",
    ),
    "custom operator in a branch": (
        branching(node("Evil", ["x"], ["inner"], domain="com.example")),
        "is a custom operator",
    ),
    "custom operator in a function": (
        with_function(node("Evil", ["a"], ["b"], domain="com.example")),
        "is a custom operator",
    ),
    "context of an engine": (
        simple([node("EPContext", ["x"], ["y"], domain="com.microsoft")]),
        "opens a file of its own",
    ),
    "random numbers": (chain("RandomNormalLike x -> y"), "draws random numbers"),
    "random numbers in a function": (
        with_function(node("RandomUniformLike", ["a"], ["b"], seed=1.0)),
        "draws random numbers",
    ),
    "dropout that trains": (
        chain("Dropout x low go -> y", weights=[weight("low"), weight("go")]),
        "draws random numbers",
    ),
    "function without end": (
        with_function(node("Own", ["a"], ["b"], domain="own")),
        "'Own' calls itself",
    ),
    "nothing to compute": (
        chain("Tanh w -> y", weights=[weight("w")]),
        "computes nothing from its inputs",
    ),
    "no nodes": (simple([], outputs=("x",)), "holds no graph with nodes"),
    "no operator set": (
        chain("Tanh x -> y", opset_imports=NO_SETS),
        "types of the graph cannot be worked out",
    ),
    "too few bytes": (typed(raw_data=bytes(8)), f"'w' needs {WEIGHT_BYTES} bytes, not 8"),
    "too many bytes": (typed(raw_data=bytes(5000)), f"needs {WEIGHT_BYTES} bytes, not 5000"),
    "huge dimensions": (typed(dims=[2**62, 2**62], raw_data=bytes(8)), "needs 8507"),
    "huge dimensions, typed": (typed(dims=[2**62, 2**62], float_data=[1.0]), "larger dimensions"),
    "negative dimension": (typed(dims=[-1, 4], raw_data=bytes(16)), "has a negative dimension"),
    "unknown type": (typed(data_type=99, raw_data=bytes(16)), "has the unknown type 99"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_refused(name: str, tmp_path: Path):
    model, message = GRAPHS[name]
    with pytest.raises(InvalidModel, match=message):
        read_graph(saved(model, tmp_path))


def external(tmp_path: Path, location: str, offset: str = "0", length: str = "") -> Path:
    """A model whose weight says that it lies there; `good.data` beside it holds just its bytes."""
    (tmp_path / "inside").mkdir()
    path = tmp_path / "inside" / "good.data"
    path.write_bytes(bytes(WEIGHT_BYTES))
    (tmp_path / "outside.data").write_bytes(bytes(WEIGHT_BYTES))
    (tmp_path / "inside" / "link.data").symlink_to(path)
    (tmp_path / "inside" / "folder").symlink_to(tmp_path)
    model = typed()
    tensor = model.graph.initializer[0]
    refer(tensor, location, 0, 0)
    del tensor.external_data[:]
    entries = {"location": location, "offset": offset, "length": length or str(WEIGHT_BYTES)}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return saved(model, tmp_path / "inside")


def test_a_weight_inside_the_folder_is_taken(tmp_path: Path):
    assert read_graph(external(tmp_path, "good.data")).sizes["w"] == WEIGHT_BYTES


PLACES = {
    "above": ("../outside.data", "lies outside the model's folder"),
    "above and back": ("../inside/good.data", "lies outside the model's folder"),
    "absolute": ("/etc/passwd", "lies outside the model's folder"),
    "windows": ("..\\outside.data", "lies outside the model's folder"),
    "drive": ("C:/outside.data", "lies outside the model's folder"),
    "nul": ("good.data\0", "lies outside the model's folder"),
    "empty": ("", "lies outside the model's folder"),
    "folder itself": (".", "lies outside the model's folder"),
    "link": ("link.data", "lies behind a link"),
    "link to a folder": ("folder/outside.data", "lies behind a link"),
    "missing": ("missing.data", "which is no file"),
    "memory address": ("*/_ORT_MEM_ADDR_/*", "which is no file"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_weight_elsewhere_is_refused(name: str, tmp_path: Path):
    location, message = PLACES[name]
    with pytest.raises(InvalidModel, match=message):
        read_graph(external(tmp_path, location))


RANGES = {
    "beyond": ("1", "", "lies beyond the end of good.data"),
    "far beyond": (str(2**63), "", "lies beyond the end"),
    "too long": ("0", "99999999", f"needs {WEIGHT_BYTES} bytes, not 99999999"),
    "too short": ("0", "4", f"needs {WEIGHT_BYTES} bytes, not 4"),
    "negative": ("-4", "", "gives the place '-4'"),
    "no number": ("zero", "", "gives the place 'zero'"),
    "other digits": ("\N{ARABIC-INDIC DIGIT ONE}", "", "gives the place"),
    "endless number": ("9" * 5000, "", "gives the place '999"),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_range_that_is_not_there_is_refused(name: str, tmp_path: Path):
    offset, length, message = RANGES[name]
    with pytest.raises(InvalidModel, match=message):
        read_graph(external(tmp_path, "good.data", offset, length))


def test_a_weight_that_is_both_inside_and_outside_is_refused(tmp_path: Path):
    model = simple([node("MatMul", ["x", "w"], ["y"])], [weight("w")])
    model.graph.initializer[0].external_data.add(key="location", value="good.data")
    with pytest.raises(InvalidModel, match="gives its place twice"):
        read_graph(saved(model, tmp_path))


def test_a_function_with_external_data_is_refused(tmp_path: Path):
    tensor = weight("")
    refer(tensor, "good.data", 0, 4)
    model = with_function(node("Constant", [], ["c"], value=tensor), node("Add", ["a", "c"], ["b"]))
    with pytest.raises(InvalidModel, match="a function holds external data"):
        read_graph(saved(model, tmp_path))


FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-100],
    "text": lambda data: b"# not a model\n" * 100,
    "zeros": lambda data: bytes(1000),
    "archive": lambda data: b"PK\x03\x04" + bytes(1000),
    "endless length": lambda data: b"\x3a" + b"\xff" * 20 + data,
    "length beyond the end": lambda data: b"\x3a\xff\xff\xff\xff\x0f" + data,
    "text that is none": lambda data: data.replace(b"t0", b"\xff0"),
    "groups": lambda data: b"\x3b" * 1000,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model_is_refused(name: str, tmp_path: Path):
    path = tmp_path / "model.onnx"
    path.write_bytes(FILES[name](layers(2).SerializeToString()))
    with pytest.raises(InvalidModel):
        read_graph(path)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InvalidModel, match="cannot be read"):
        read_graph(tmp_path / "model.onnx")


def test_structure_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(layers(4), tmp_path)
    size = len(wire.read_structure(path))
    monkeypatch.setattr(wire, "MAX_STRUCTURE_BYTES", size // 2)
    with pytest.raises(InvalidModel, match="besides the raw data of its initialisers"):
        read_graph(path)


def test_short_weights_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "good.data").write_bytes(bytes(64))
    tensors = [TensorProto(name=f"w{i}", data_type=1, dims=[16]) for i in range(100)]
    for tensor in tensors:
        refer(tensor, "good.data", 0, 64)
    monkeypatch.setattr(graphs, "MAX_STRUCTURE_BYTES", 64 * 50)
    with pytest.raises(InvalidModel, match="too many short weights"):
        read_graph(saved(simple([node("Tanh", ["x"], ["y"])], tensors), tmp_path))


def test_entangled_constants_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    weights = [weight(f"w{i}") for i in range(20)]
    nodes = [node("Tanh", ["w0"], ["c0"])]
    nodes += [node("Add", [f"c{i - 1}", f"w{i}"], [f"c{i}"]) for i in range(1, 20)]
    nodes += [node("Add", ["x", "c19"], ["y"])]
    monkeypatch.setattr(graphs, "MAX_WEIGHT_USES", 100)
    with pytest.raises(InvalidModel, match="depends on too many constants"):
        read_graph(saved(simple(nodes, weights), tmp_path))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_files_are_read_or_refused(tmp_path: Path, damages):
    path = tmp_path / "model.onnx"
    data = bytearray(branching(node("Tanh", ["x"], ["inner"])).SerializeToString())
    for place, byte in damages:
        data[int(place * len(data))] = byte
    path.write_bytes(data)
    with suppress(InvalidModel):
        read_graph(path)


def deep(levels: int) -> GraphProto:
    body = helper.make_graph([node("Tanh", ["x"], ["inner"])], "body", [], [info("inner")])
    for level in range(levels):
        made = f"level{level}"
        choice = node("If", ["go"], [made], then_branch=body, else_branch=body)
        body = helper.make_graph([choice], "body", [], [info(made)])
    return body


def test_branches_nest_as_deep_as_a_file_can(tmp_path: Path):
    inputs = [info("x"), info("go", TensorProto.BOOL, ())]
    body = deep(8)
    graph = helper.make_graph(body.node, "g", inputs, [info("y"), *body.output])
    graph.node.append(node("Tanh", [body.output[0].name], ["y"]))
    assert read_graph(saved(model_of(graph), tmp_path)).legal_positions == (1,)
