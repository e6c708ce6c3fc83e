"""Float ONNX models as exporters write them, made by hand so that no framework is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from nesa.models.compile import Compiled
from nesa.models.reference import run
from tests.models.onnx_runtime import LEVELS, in_runtime


def build(
    nodes: Sequence[NodeProto], constants, shape, output: str, out_shape=None, opset=17
) -> bytes:
    """ONNX file with input `x`."""
    tensors = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    kind = TensorProto.INT64 if output == "place" else TensorProto.FLOAT
    open_shape = [f"n{axis}" for axis in range(len(shape))]
    outputs = [helper.make_tensor_value_info(output, kind, out_shape or open_shape)]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def node(kind: str, inputs: str, output: str, **attributes) -> NodeProto:
    """One node; `inputs` are names with spaces between them."""
    return helper.make_node(kind, inputs.split(), [output], f"{output}_node", **attributes)


def draws(generator, *shape) -> np.ndarray:
    """Weights of a usual size."""
    return generator.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)


def two_layers(activation: str = "Relu") -> bytes:
    """MatMul, Add, activation, Gemm: 6-16-3 with an open batch."""
    generator = np.random.default_rng(0)
    constants = {
        "w": draws(generator, 6, 16),
        "b": draws(generator, 16),
        "v": draws(generator, 3, 16),
        "c": draws(generator, 3),
    }
    nodes = [
        node("MatMul", "x w", "m"),
        node("Add", "b m", "a"),
        node(activation, "a", "h"),
        node("Gemm", "h v c", "y", transB=1),
    ]
    return build(nodes, constants, ["n", 6], "y", ["n", 3])


def convolutions(last: str = "") -> bytes:
    """Conv, pooling both ways, a standalone Relu, transpose, reshape, Gemm, maybe ArgMax."""
    generator = np.random.default_rng(1)
    constants = {
        "w": draws(generator, 4, 1, 3, 3),
        "k": draws(generator, 8, 2, 2, 2),
        "v": draws(generator, 5, 32),
        "c": draws(generator, 5),
        "shape": np.array([1, -1], np.int64),
    }
    nodes = [
        node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        node("MaxPool", "a", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Relu", "p", "r"),
        node("Conv", "r k", "d", kernel_shape=[2, 2], group=2, pads=[0, 0, 1, 1]),
        node("Tanh", "d", "t"),
        node("AveragePool", "t", "s", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "s", "q", perm=[0, 2, 3, 1]),
        node("Reshape", "q shape", "f"),
        node("Gemm", "f v c", "y", transB=1),
    ]
    if last:
        nodes.append(node("ArgMax", "y", "place", axis=1, keepdims=1))
    return build(nodes, constants, [1, 1, 8, 8], "place" if last else "y", [1, 1 if last else 5])


def residual() -> bytes:
    """A dense layer with a Relu around which its input is added, then logits."""
    generator = np.random.default_rng(4)
    constants = {"w": draws(generator, 6, 6), "v": draws(generator, 6, 3)}
    nodes = [
        node("MatMul", "x w", "m"),
        node("Relu", "m", "h"),
        node("Add", "h x", "s"),
        node("Relu", "s", "r"),
        node("MatMul", "r v", "y"),
    ]
    return build(nodes, constants, [1, 6], "y", [1, 3])


def encoded(compiled: Compiled, row: np.ndarray) -> tuple[bytes]:
    """A row of real numbers as the table reads it."""
    scaling, edge = compiled.input_scaling, compiled.table.inputs[0]
    steps = np.clip(np.floor(row / scaling.scale + 0.5), scaling.low, scaling.high)
    return (edge.encode(steps.reshape(edge.shape)),)


def real_output(compiled: Compiled, row: np.ndarray) -> np.ndarray:
    """What the table answers for a row of real numbers, as real numbers."""
    table = compiled.table
    (answer,) = run(table, encoded(compiled, row))
    return table.type_of(table.outputs[0]).decode(answer) * compiled.output_scale


def expect_agreement(compiled: Compiled, rows: np.ndarray) -> None:
    """The reference and ONNX Runtime give the same bytes for every row."""
    for row in rows:
        inputs = encoded(compiled, row)
        wanted = run(compiled.table, inputs)
        assert [in_runtime(compiled.table, inputs, level) for level in LEVELS] == [wanted] * 2
