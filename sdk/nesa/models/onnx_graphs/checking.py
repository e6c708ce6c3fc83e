"""Refuses ONNX files that cannot be cut with the same answers, or that mean harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from nesa.models.onnx_graphs.nodes import (
    described,
    graph_tensors,
    local_names,
    nested_nodes,
    node_tensors,
    subgraphs,
)
from nesa.models.onnx_graphs.weights import byte_range, is_external, tensor_bytes
from nesa.protocol.errors import InvalidModel

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operator sets that ONNX Runtime has built in; any other would load somebody's code."""

RANDOM: Final = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}
    | {"RandomUniformLike"}
)
"""Operators that draw numbers: no two runs agree, seeded or not."""

OPENS_FILES: Final = frozenset({"EPContext"})
"""Operators that name files of their own."""

_TRAINING_INPUT: Final = 2
"""Place of Dropout's switch from inference to training."""


def check_model(model: ModelProto, path: Path) -> None:
    """Checks the structure of the ONNX file at `path`, as `read_structure` leaves it.

    Raises:
        InvalidModel: the message names the node, tensor or name that breaks a rule.
    """
    _check_text(model)
    functions = {(one.domain, one.name): list(one.node) for one in model.functions}
    if len(functions) < len(model.functions):
        raise InvalidModel("two functions have one name")
    for nodes in (list(model.graph.node), *functions.values()):
        for node in nested_nodes(nodes):
            _check_operator(node, functions.keys())
    _check_calls(functions)
    _check_names(model.graph, frozenset())
    for tensor in graph_tensors(model.graph):
        _check_tensor(tensor, path)
    for tensor in node_tensors(node for nodes in functions.values() for node in nodes):
        if is_external(tensor):
            raise InvalidModel("a function holds external data")


def _check_text(message: Any) -> None:
    """Protocol buffers of this version let any bytes through as text."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if hasattr(value, "__len__") else (value,):
                _check_text(one)
        elif field.type == field.TYPE_STRING:
            texts = (value,) if isinstance(value, str | bytes) else value
            if not all(isinstance(text, str) for text in texts):
                raise InvalidModel(f"the model holds a text that is none: {field.name}")


def _check_operator(node: NodeProto, functions: Iterable[tuple[str, str]]) -> None:
    if (node.domain, node.op_type) in functions:
        return
    if node.domain not in DOMAINS:
        raise InvalidModel(f"{described(node)} is a custom operator of {node.domain!r}")
    if node.op_type in OPENS_FILES:
        raise InvalidModel(f"{described(node)} opens a file of its own")
    if node.op_type in RANDOM or _trains(node):
        raise InvalidModel(f"{described(node)} draws random numbers, so no two runs agree")


def _trains(node: NodeProto) -> bool:
    switches = node.input[_TRAINING_INPUT:]
    return node.op_type == "Dropout" and any(switches)


def _check_calls(functions: dict[tuple[str, str], list[NodeProto]]) -> None:
    """Functions that call each other in a circle would be inlined without end."""
    calls = {
        key: {(one.domain, one.op_type) for one in nested_nodes(nodes)} & functions.keys()
        for key, nodes in functions.items()
    }
    while calls:
        done = {key for key, called in calls.items() if not called}
        if not done:
            raise InvalidModel(f"the function {min(calls)[1]!r} calls itself")
        calls = {key: called - done for key, called in calls.items() if key not in done}


def _check_names(graph: GraphProto, outer: frozenset[str]) -> None:
    """Every name is given once; a body gives none that it can already see."""
    seen = set(outer)
    for name in local_names(graph):
        if name in seen or not name:
            raise InvalidModel(f"the name {name!r} is given to two tensors")
        seen.add(name)
    for body in _bodies(graph.node):
        _check_names(body, frozenset(seen))


def _bodies(nodes: Iterable[NodeProto]) -> Iterator[GraphProto]:
    for node in nodes:
        yield from subgraphs(node)


def _check_tensor(tensor: TensorProto, path: Path) -> None:
    needed = tensor_bytes(tensor)
    if is_external(tensor):
        byte_range(tensor, path)
    elif tensor.HasField("raw_data") and len(tensor.raw_data) != needed:
        held = len(tensor.raw_data)
        raise InvalidModel(f"the tensor {tensor.name!r} needs {needed} bytes, not {held}")
    elif not tensor.HasField("raw_data") and needed > _most_bytes(tensor):
        raise InvalidModel(f"the tensor {tensor.name!r} has larger dimensions than data")


def _most_bytes(tensor: TensorProto) -> int:
    """Most bytes that the typed fields of a tensor may stand for."""
    values = len(tensor.float_data) + len(tensor.int32_data) + len(tensor.int64_data)
    values += len(tensor.double_data) + len(tensor.uint64_data)
    return 8 * values + sum(map(len, tensor.string_data))
