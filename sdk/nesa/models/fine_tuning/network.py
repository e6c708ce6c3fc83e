"""A float ONNX model as a function that torch can differentiate, rounded where integers will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from nesa.models.fine_tuning.operators import Attributes, apply
from nesa.models.fine_tuning.rounding import round_activation
from nesa.models.quantise import Scaling
from nesa.protocol.errors import InvalidModel

DOT_PRODUCTS: Final = frozenset(("Conv", "Gemm", "MatMul"))
"""Operators whose operands the integer model holds in 8 bits."""

_TRAINED: Final[Mapping[str, tuple[int, ...]]] = {
    "Add": (0, 1),
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
}
"""Places of the constants that may move."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node; an empty name among the inputs is an operand that is left out."""

    label: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Attributes


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A model of one input [1, ..] and one output, in the order of evaluation.

    A final ArgMax is left out, so that there is something to differentiate.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[np.generic]]
    source: str
    target: str
    input_shape: tuple[int, ...]
    input_dtype: np.dtype[Any]

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the float constants that fine-tuning moves: weights, biases and norms."""
        names = [
            node.inputs[place]
            for node in self.nodes
            for place in _TRAINED.get(node.kind, ())
            if place < len(node.inputs)
        ]
        return tuple(name for name in dict.fromkeys(names) if self._is_trained(name))

    @property
    def rounded(self) -> tuple[str, ...]:
        """Names of the activations that go into dot products."""
        names = [n for node in self.nodes if node.kind in DOT_PRODUCTS for n in node.inputs[:2]]
        return tuple(name for name in dict.fromkeys(names) if name not in self.constants)

    @property
    def channel_axes(self) -> dict[str, int]:
        """For each weight of a dot product the axis along which outputs differ."""
        return {
            name: _channel_axis(node)
            for node in self.nodes
            if node.kind in DOT_PRODUCTS
            for name in node.inputs[:2]
            if name in self.constants
        }

    def tensors(self) -> dict[str, Tensor]:
        """The constants as tensors."""
        return {name: torch.from_numpy(value.copy()) for name, value in self.constants.items()}

    def run(
        self, row: Tensor, constants: Mapping[str, Tensor], scalings: Mapping[str, Scaling]
    ) -> dict[str, Tensor]:
        """Every tensor for one row of the input's shape.

        Activations in `scalings` are rounded where a dot product takes them.

        Raises:
            InvalidModel: a node that torch is not taught here, which is named.
        """
        values = {**constants, self.source: row}
        for node in self.nodes:
            operands = [values[name] if name else None for name in node.inputs]
            if node.kind in DOT_PRODUCTS:
                operands[:2] = [
                    round_activation(values[name], scalings[name]) if name in scalings else operand
                    for name, operand in zip(node.inputs[:2], operands[:2], strict=True)
                ]
            try:
                values[node.output] = apply(node.kind, node.attributes, operands)
            except (KeyError, TypeError, ValueError, RuntimeError) as error:
                raise InvalidModel(f"{node.label} cannot be fine-tuned: {error}") from error
        return values

    def _is_trained(self, name: str) -> bool:
        value = self.constants.get(name)
        return value is not None and value.dtype == np.float32 and value.ndim > 0


def read_network(data: bytes) -> Network:
    """The model of an ONNX file.

    Raises:
        InvalidModel: not an ONNX file, or not one of one input and one output.
    """
    try:
        proto = onnx.load_model_from_string(data)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf and the checker share no public base
        raise InvalidModel(f"not a valid ONNX file: {error}") from error
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    sources = [info for info in proto.graph.input if info.name not in constants]
    if len(sources) != 1 or len(proto.graph.output) != 1:
        raise InvalidModel("the model must have one input and one output")
    nodes = [_node(node) for node in proto.graph.node]
    fixed = [node for node in nodes if node.kind == "Constant"]
    constants |= {n.output: numpy_helper.to_array(n.attributes["value"]) for n in fixed}
    kind = sources[0].type.tensor_type
    moving = tuple(node for node in nodes if node.kind != "Constant")
    target = proto.graph.output[0].name
    if moving and moving[-1].kind == "ArgMax":
        target, moving = moving[-1].inputs[0], moving[:-1]
    return Network(
        nodes=moving,
        constants=constants,
        source=sources[0].name,
        target=target,
        input_shape=tuple(size.dim_value or 1 for size in kind.shape.dim),
        input_dtype=onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type),
    )


def replace_constants(data: bytes, values: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The ONNX file with these values in the place of its initialisers of the same names."""
    proto = onnx.load_model_from_string(data)
    for tensor in proto.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))
    result: bytes = proto.SerializeToString()
    return result


def _node(node: onnx.NodeProto) -> Node:
    label = f"{node.op_type} node {node.name or node.output[0]!r}"
    if len(node.output) != 1:
        raise InvalidModel(f"{label} must have one output")
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    if node.op_type == "Constant" and "value" not in attributes:
        raise InvalidModel(f"{label} must hold a tensor")
    return Node(label, node.op_type, tuple(node.input), node.output[0], attributes)


def _channel_axis(node: Node) -> int:
    """The axis of a constant operand along which outputs differ."""
    if node.kind == "Conv" or node.attributes.get("transB", 0):
        return 0
    return -1
