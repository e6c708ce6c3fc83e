"""The nodes of a graph with who makes what, for looking at patterns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

_DEPTH: Final = 6
"""How far back two tensors are compared that may be made by equal nodes."""


class Network:
    """A graph to look at; `proto` is not changed."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.nodes: Sequence[NodeProto] = list(proto.graph.node)
        self.constants = constants_of(proto)
        self._makers = {name: node for node in self.nodes for name in node.output}
        self._uses = Counter(name for node in self.nodes for name in node.input)
        self._uses.update(output.name for output in proto.graph.output)
        self._readers = {name: node for node in self.nodes for name in node.input}
        inferred = onnx.shape_inference.infer_shapes(proto).graph
        infos = (*inferred.value_info, *inferred.input, *inferred.output)
        self._shapes = {
            info.name: tuple(size.dim_value for size in info.type.tensor_type.shape.dim)
            for info in infos
        }

    def made_by(self, name: str, *kinds: str) -> NodeProto | None:
        """The node that makes the tensor, where it is of one of the kinds."""
        node = self._makers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def maker(self, name: str) -> NodeProto | None:
        """The node that makes the tensor; None for inputs and constants."""
        return self._makers.get(name)

    def only_reader(self, name: str, kind: str) -> NodeProto | None:
        """The node that alone reads the tensor, where it is of that kind."""
        node = self._readers.get(name) if self._uses[name] == 1 else None
        return node if node is not None and node.op_type == kind else None

    def number(self, name: str) -> float | None:
        """The constant of that name, where it is a single number."""
        values = self.constants.get(name)
        return float(values.reshape(-1)[0]) if values is not None and values.size == 1 else None

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of the tensor, 0 for sizes that are open; empty where it is not known."""
        if name in self.constants:
            return tuple(int(size) for size in self.constants[name].shape)
        return self._shapes.get(name, ())

    def pair(self, node: NodeProto) -> tuple[str, NDArray[np.generic]] | None:
        """The tensor and the constant that a node of two inputs reads, in any order."""
        for name, other in (tuple(node.input), tuple(reversed(node.input))):
            if other in self.constants and name not in self.constants:
                return name, self.constants[other]
        return None

    def same(self, first: str, second: str, depth: int = _DEPTH) -> bool:
        """Whether two tensors are one, or are made by equal nodes."""
        if first == second:
            return True
        one, other = self.maker(first), self.maker(second)
        if one is None or other is None or depth == 0 or one.op_type != other.op_type:
            return False
        alike = list(one.attribute) == list(other.attribute) and len(one.input) == len(other.input)
        pairs = zip(one.input, other.input, strict=False)
        return alike and all(self.same(a, b, depth - 1) for a, b in pairs)


def constants_of(proto: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """Initialisers and the values of Constant nodes."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        values = [item for item in node.attribute if item.name == "value"]
        if node.op_type == "Constant" and values:
            found[node.output[0]] = numpy_helper.to_array(values[0].t)
    return found


def attribute(node: NodeProto, name: str, default: object) -> object:
    """An attribute of a node, or what it is without being given."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def rewritten(
    network: Network,
    replaced: Callable[[NodeProto], Iterable[NodeProto]],
    constants: Mapping[str, NDArray[np.generic]] = MappingProxyType({}),
) -> onnx.ModelProto:
    """The model with what stands for each node, and with `constants`, which `replaced` may fill.

    Nodes that nothing needs are left out.
    """
    proto = network.proto
    nodes = [made for node in network.nodes for made in replaced(node)]
    wanted, kept = {output.name for output in proto.graph.output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    del made.graph.node[:]
    made.graph.node.extend(kept[::-1])
    made.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(values), name)
        for name, values in constants.items()
    )
    return made
