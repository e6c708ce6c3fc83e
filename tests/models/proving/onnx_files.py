"""Small ONNX files that ezkl compiles, right or wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper


def onnx_file(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, np.ndarray],
    source: Sequence[int],
    result: Sequence[int],
) -> bytes:
    """A graph from `x` to `y`, both float32 of the given shapes."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [info("x", TensorProto.FLOAT, list(source))],
        [info("y", TensorProto.FLOAT, list(result))],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def node(operator: str, inputs: str, output: str, **attributes) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def dense(factor: int = 97, halves: int = 2, size: int = 4) -> bytes:
    """`y = clip((3x * factor + half) >> 7 halves, 0, 127)`, lowered as a shard is."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Cast", "a", "c", to=TensorProto.DOUBLE),
        node("Mul", "c m", "p"),
        node("Add", "p h", "s0"),
    ]
    for place in range(halves):
        nodes.append(node("Div", f"s{place} d", f"q{place}"))
        nodes.append(node("Floor", f"q{place}", f"s{place + 1}"))
    nodes.append(node("Cast", f"s{halves}", "t", to=TensorProto.FLOAT))
    nodes.append(node("Clip", "t low high", "y"))
    constants = {
        "w": 3 * np.eye(size, dtype=np.float32),
        "m": np.array(float(factor)),
        "h": np.array(2.0 ** (7 * halves - 1)),
        "d": np.array(128.0),
        "low": np.array(0, np.float32),
        "high": np.array(127, np.float32),
    }
    return onnx_file(nodes, constants, [1, size], [1, size])
