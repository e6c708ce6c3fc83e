"""A float encoder as an ONNX graph, of any depth, with random weights: something to cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 9


@dataclass(slots=True)
class _Writer:
    width: int
    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        values = self.random.standard_normal(shape) / sqrt(self.width)
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def dense(self, source: str, operands: int, channels: int) -> str:
        product = self.node("MatMul", source, self.weight(operands, channels))
        return self.node("Add", product, self.weight(channels))

    def normal(self, source: str) -> str:
        gains = self.weight(self.width)
        return self.node("LayerNormalization", source, gains, self.weight(self.width), axis=-1)

    def layer(self, source: str) -> str:
        query, key, value = (self.dense(source, self.width, self.width) for _ in range(3))
        scores = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 2, 1]))
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), value)
        first = self.normal(self.node("Add", source, self.dense(mixed, self.width, self.width)))
        hidden = self.node("Tanh", self.dense(first, self.width, 4 * self.width))
        return self.normal(self.node("Add", first, self.dense(hidden, 4 * self.width, self.width)))


def transformer(layers: int, tokens: int, width: int, seed: int = 0) -> ModelProto:
    """`layers` layers of one head each over float32 [1, tokens, width], named `x` to `y`."""
    writer = _Writer(width, np.random.default_rng(seed))
    last = "x"
    for _ in range(layers):
        last = writer.layer(last)
    writer.nodes.append(helper.make_node("Identity", [last], ["y"]))
    edges = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, tokens, width]) for name in "xy"
    ]
    graph = helper.make_graph(writer.nodes, "encoder", edges[:1], edges[1:], writer.weights)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
