"""Reads a float ONNX model, as exporters write it, into the few layers that can be compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from nesa.models.quantise import AnyFloats, Floats
from nesa.models.runtime import session
from nesa.protocol.errors import InvalidModel

SUPPORTED: Final = frozenset(
    {"ArgMax", "AveragePool", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "Identity"}
    | {"LeakyRelu", "MatMul", "MaxPool", "Relu", "Reshape", "Sigmoid", "Tanh", "Transpose"}
)
"""Node types that can be compiled; Add too, of two tensors or as bias behind a MatMul."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One node: its ONNX type (every dense layer is "Gemm"), its input and its output.

    `second` is the other input of an Add.
    `weights` is [N, K] for Gemm and [N, C/G, kh, kw] for Conv, `biases` [N].
    """

    kind: str
    name: str
    source: str
    target: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    weights: Floats | None = None
    biases: Floats | None = None
    second: str = ""

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Attribute `key` as a tuple of integers."""
        value = self.attributes.get(key, default)
        return tuple(int(item) for item in value) if isinstance(value, list | tuple) else default

    def number(self, key: str, default: float) -> float:
        """Attribute `key` as a number."""
        value = self.attributes.get(key, default)
        return value if isinstance(value, int | float) else default


@dataclass(frozen=True, slots=True, eq=False)
class FloatModel:
    """A float model with one input and one output; its layers in the order of evaluation."""

    proto: onnx.ModelProto
    source: str
    target: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]

    def activations(self, rows: AnyFloats) -> dict[str, Floats]:
        """Every tensor of the model on `rows` [n, ..], computed one row at a time."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        names = [layer.target for layer in self.layers if layer.kind != "ArgMax"]
        if not names:
            return {}
        del proto.graph.output[:]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        runner = session(proto.SerializeToString())
        found: dict[str, list[Floats]] = {name: [] for name in names}
        for row in rows:
            feeds = {self.source: row.astype(np.float32).reshape(self.input_shape)}
            for name, values in zip(names, runner.run(names, feeds), strict=True):
                found[name].append(np.asarray(values, np.float64))
        return {name: np.stack(values) for name, values in found.items()}


def read_float_model(data: bytes) -> FloatModel:
    """The layers of an ONNX file with one input [1, ..] (or [batch, ..]) and one output.

    Raises:
        InvalidModel: not an ONNX file, or a node that cannot be compiled, which is named.
    """
    proto = _parse(data)
    constants = _constants(proto)
    sources = [info for info in proto.graph.input if info.name not in constants]
    if len(sources) != 1 or len(proto.graph.output) != 1:
        raise InvalidModel("the model must have one input and one output")
    layers: list[Layer] = []
    uses = Counter(name for node in proto.graph.node for name in node.input)
    for node in proto.graph.node:
        if node.op_type == "Add" and _adds_bias(node, constants, layers, uses):
            layers[-1] = _with_bias(layers[-1], node, constants)
        elif node.op_type != "Constant":
            layers.append(_layer(node, constants))
    shape = tuple(size.dim_value or 1 for size in sources[0].type.tensor_type.shape.dim)
    target = proto.graph.output[0].name
    return FloatModel(proto, sources[0].name, target, shape, tuple(layers))


def _parse(data: bytes) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(data)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf and the checker share no public base
        raise InvalidModel(f"not a valid ONNX file: {error}") from error
    return proto


def _constants(proto: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        values = [item for item in node.attribute if item.name == "value"]
        if node.op_type == "Constant" and values:
            found[node.output[0]] = numpy_helper.to_array(values[0].t)
    return found


def _layer(node: NodeProto, constants: Mapping[str, NDArray[np.generic]]) -> Layer:
    label = f"{node.op_type} node {node.name or node.output[0]!r}"
    moving = [name for name in node.input if name and name not in constants]
    if node.op_type == "Add" and len(moving) == 2:
        return Layer("Add", label, moving[0], node.output[0], second=moving[1])
    if node.op_type not in SUPPORTED:
        raise InvalidModel(f"{label} cannot be compiled; supported: {', '.join(sorted(SUPPORTED))}")
    if len(moving) != 1 or moving[0] != node.input[0] or len(node.output) != 1:
        raise InvalidModel(f"{label} must have one input that is not constant, and one output")
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    layer = Layer(node.op_type, label, moving[0], node.output[0], attributes)
    fixed = [np.asarray(constants[name]) for name in node.input[1:] if name]
    match node.op_type:
        case "Gemm" | "MatMul":
            return _dense(layer, fixed)
        case "Conv":
            return _convolution(layer, fixed)
        case "Reshape":
            shape = tuple(int(size) for size in fixed[0])
            return replace(layer, attributes={**attributes, "shape": shape})
        case _:
            return layer


def _dense(layer: Layer, fixed: list[NDArray[np.generic]]) -> Layer:
    matrix = fixed[0].astype(np.float64)
    if matrix.ndim != 2 or layer.number("transA", 0):
        raise InvalidModel(f"{layer.name} must multiply by a constant matrix from the right")
    weights = matrix if layer.number("transB", 0) else matrix.T
    biases = np.zeros(len(weights))
    if len(fixed) > 1:
        biases = biases + fixed[1].astype(np.float64).reshape(-1) * layer.number("beta", 1.0)
    scaled = weights * layer.number("alpha", 1.0)
    return replace(layer, kind="Gemm", weights=scaled, biases=biases)


def _convolution(layer: Layer, fixed: list[NDArray[np.generic]]) -> Layer:
    weights = fixed[0].astype(np.float64)
    if weights.ndim != 4 or set(layer.integers("dilations", (1, 1))) != {1}:
        raise InvalidModel(f"{layer.name} must be two-dimensional and without dilation")
    if layer.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise InvalidModel(f"{layer.name} must give its pads as numbers")
    biases = fixed[1].astype(np.float64) if len(fixed) > 1 else np.zeros(len(weights))
    return replace(layer, weights=weights, biases=biases)


def _adds_bias(
    node: NodeProto,
    constants: Mapping[str, NDArray[np.generic]],
    layers: list[Layer],
    uses: Counter[str],
) -> bool:
    moving = [name for name in node.input if name not in constants]
    if len(moving) != 1 or not layers:
        return False
    before = layers[-1]
    return before.kind == "Gemm" and before.target == moving[0] and uses[moving[0]] == 1


def _with_bias(
    layer: Layer, node: NodeProto, constants: Mapping[str, NDArray[np.generic]]
) -> Layer:
    added = next(constants[name] for name in node.input if name in constants)
    if layer.biases is None or added.size not in (1, layer.biases.size):
        raise InvalidModel(f"Add node {node.name!r} does not add one bias for each channel")
    biases = layer.biases + added.astype(np.float64).reshape(-1)
    return replace(layer, target=node.output[0], biases=biases)
