"""A PRelu with a slope for each channel, in operators that take one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import onnx
from onnx import NodeProto, helper

from nesa.models.simplifying.network import Network, rewritten


def without_slopes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with `relu(x) + slope * (x - relu(x))` for every such PRelu."""
    network = Network(proto)
    return rewritten(network, partial(_replaced, network))


def _replaced(network: Network, node: NodeProto) -> Iterator[NodeProto]:
    if node.op_type != "PRelu" or network.number(node.input[1]) is not None:
        yield node
        return
    source, slopes = node.input
    positive, negative, bent = (f"{node.output[0]}_{part}" for part in ("above", "below", "bent"))
    label = node.name or node.output[0]
    yield helper.make_node("Relu", [source], [positive], f"{label}_above")
    yield helper.make_node("Sub", [source, positive], [negative], f"{label}_below")
    yield helper.make_node("Mul", [negative, slopes], [bent], f"{label}_bent")
    yield helper.make_node("Add", [positive, bent], [node.output[0]], label)
