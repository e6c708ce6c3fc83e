"""An ONNX graph as a row of steps with the tensors that are alive between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

from nesa.models.onnx_graphs.checking import check_model
from nesa.models.onnx_graphs.nodes import (
    described,
    graph_tensors,
    in_order,
    initialisers,
    needed,
    node_tensors,
    reads,
    writes,
)
from nesa.models.onnx_graphs.weights import BITS, byte_range, is_external, tensor_bytes
from nesa.models.onnx_graphs.wire import INLINE_BYTES, MAX_STRUCTURE_BYTES, read_structure
from nesa.protocol.errors import InvalidModel

EXACT: Final = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.BOOL}
    | {TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64}
    | {TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64}
)
"""Types that may cross a boundary.

Half precision may not: on a CPU ONNX Runtime computes much of it in float32 and leaves out the
rounding between two nodes, but not at the edge of a graph, so a cut there changes the answer.
"""


MAX_WEIGHT_USES: Final = 2**20
"""Most pairs of a node and a weight that it needs, through however many constants."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A node that depends on the model's inputs; what it reads of them and of other steps.

    `weights` names the initialisers and constants that it needs, also through other constants.
    """

    node: NodeProto
    reads: frozenset[str]
    writes: frozenset[str]
    weights: frozenset[str]


@dataclass(frozen=True, eq=False)
class CuttableGraph:
    """A checked graph, its weights still on disk.

    `constants` are the nodes that depend on no input: every shard computes those it needs itself.
    `sizes` gives the bytes of each weight, `types` what is known of each tensor's type.
    """

    path: Path
    model: ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[NodeProto, ...]
    steps: tuple[Step, ...]
    sizes: Mapping[str, int]
    types: Mapping[str, ValueInfoProto]

    @cached_property
    def spans(self) -> Mapping[str, tuple[int, int]]:
        """First and last step in front of which each tensor is alive; those that never are lack.

        A tensor is alive from where it is made to its last reader, an output of the model to the
        end, which is numbered like one more step.
        """
        given = self._made.keys() & set(self.outputs)
        return self._read | {name: (self._made[name], len(self.steps)) for name in given}

    def alive(self, position: int) -> frozenset[str]:
        """Tensors that exist in front of step `position` and are needed from it on."""
        spans = self.spans.items()
        return frozenset(name for name, (first, last) in spans if first <= position <= last)

    @cached_property
    def legal_positions(self) -> tuple[int, ...]:
        """Steps in front of which the graph may be cut: all that is read across is exact."""
        made = self._read.keys() - set(self.inputs)
        inexact = {name: 1 for name in made if not is_exact(self.types.get(name))}
        crossing = _sums(inexact, self._read, len(self.steps))
        return tuple(place for place in range(1, len(self.steps)) if crossing[place] == 0)

    def boundary_bytes(self, dims: Mapping[str, int]) -> tuple[int, ...]:
        """Bytes alive in front of each step; a named dimension counts as `dims` says, or 1.

        Dimensions of which nothing is known count as 1.
        """
        sizes = {name: value_bytes(self.types.get(name), dims) for name in self.spans}
        return _sums(sizes, self.spans, len(self.steps))

    @cached_property
    def _made(self) -> dict[str, int]:
        """First step in front of which each tensor exists."""
        made = dict.fromkeys(self.inputs, 0)
        for index, step in enumerate(self.steps):
            made.update(dict.fromkeys(step.writes, index + 1))
        return made

    @cached_property
    def _read(self) -> dict[str, tuple[int, int]]:
        """First and last step in front of which each tensor waits for a reader."""
        last: dict[str, int] = {}
        for index, step in enumerate(self.steps):
            last.update(dict.fromkeys(step.reads, index))
        return {name: (self._made[name], place) for name, place in last.items()}


def read_graph(path: Path) -> CuttableGraph:
    """The graph of the ONNX file at `path`, without its weights.

    Raises:
        InvalidModel: it cannot be read, is hostile, or cannot be cut with the same answers.
    """
    model = _parse(path)
    check_model(model, path)
    _take_short_weights(model, path)
    _sort(model)
    return analyse(model, path)


def analyse(model: ModelProto, path: Path) -> CuttableGraph:
    """The graph of a checked model whose file is at `path` and whose nodes are in order.

    Raises:
        InvalidModel: nothing to cut, or constants without end.
    """
    types = _types(model)
    outputs = tuple(info.name for info in model.graph.output)
    made = frozenset[str]().union(*map(writes, model.graph.node))
    inexact = frozenset(name for name in made if not is_exact(types.get(name)))
    nodes = needed(model.graph.node, outputs, inexact)
    sizes = _weight_sizes(model.graph, nodes)
    constants, steps = _split(model.graph, nodes, sizes, inexact)
    if not steps:
        raise InvalidModel(f"{path.name} computes nothing from its inputs")
    inputs = tuple(info.name for info in model.graph.input if info.name not in sizes)
    return CuttableGraph(path, model, inputs, outputs, constants, steps, sizes, types)


def is_exact(info: ValueInfoProto | None) -> bool:
    """Whether a tensor of this type may cross a boundary."""
    return info is not None and info.type.tensor_type.elem_type in EXACT


def value_bytes(info: ValueInfoProto | None, dims: Mapping[str, int]) -> int:
    """Bytes of a tensor; open dimensions count as `dims` says or 1, an unknown type as 0."""
    if info is None:
        return 0
    kind = info.type.tensor_type
    sizes = [size.dim_value or dims.get(size.dim_param, 1) for size in kind.shape.dim]
    return math.prod(sizes) * BITS.get(kind.elem_type, 8) // 8


def _weight_sizes(graph: GraphProto, nodes: Sequence[NodeProto]) -> dict[str, int]:
    """Bytes of each initialiser, and of all constants in a node by the name of an output."""
    sizes = {name: sum(map(tensor_bytes, tensors)) for name, tensors in initialisers(graph)}
    held = {
        min(writes(node), default=""): sum(map(tensor_bytes, node_tensors([node])))
        for node in nodes
    }
    return sizes | {name: size for name, size in held.items() if size}


def _split(
    graph: GraphProto,
    nodes: Sequence[NodeProto],
    sizes: Mapping[str, int],
    inexact: Set[str],
) -> tuple[tuple[NodeProto, ...], tuple[Step, ...]]:
    """The nodes that every shard can compute itself, and the others with the weights they need.

    What is inexact depends on its other readers too, so it is computed in one place; the values of
    Constant nodes are weights to ONNX Runtime and depend on nothing.
    """
    held = {name: frozenset({name}) for name, _ in initialisers(graph)}
    constants, steps, kept = [], [], 0
    for node in nodes:
        read = reads(node)
        weights = sizes.keys() & writes(node)
        weights = weights.union(*(held[name] for name in read if name in held))
        kept += len(weights)
        if kept > MAX_WEIGHT_USES:
            raise InvalidModel(f"{described(node)} depends on too many constants")
        constant = node.op_type == "Constant" and not node.domain
        given = constant or not writes(node) & inexact
        if given and read <= held.keys():
            constants.append(node)
            held.update(dict.fromkeys(writes(node), frozenset(weights)))
        else:
            moving = frozenset(name for name in read if name not in held)
            steps.append(Step(node, moving, writes(node), frozenset(weights)))
    return tuple(constants), tuple(steps)


def _parse(path: Path) -> ModelProto:
    structure = read_structure(path)
    try:
        model = onnx.load_model_from_string(structure)
    except Exception as error:  # protobuf's own exceptions have no types here
        raise InvalidModel(f"{path.name} is not an ONNX file") from error
    if not model.graph.node or not model.graph.output:
        raise InvalidModel(f"{path.name} holds no graph with nodes and outputs")
    return model


def _sort(model: ModelProto) -> None:
    nodes = in_order(model.graph)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _take_short_weights(model: ModelProto, path: Path) -> None:
    """Shapes and axes that lie outside the file are needed to work out types."""
    taken = 0
    for tensor in graph_tensors(model.graph):
        if is_external(tensor) and tensor_bytes(tensor) <= INLINE_BYTES:
            data = byte_range(tensor, path).read()
            taken += len(data)
            if taken > MAX_STRUCTURE_BYTES:
                raise InvalidModel(f"{path.name} has too many short weights outside of it")
            tensor.ClearField("external_data")
            tensor.data_location = TensorProto.DEFAULT
            tensor.raw_data = data


def _types(model: ModelProto) -> dict[str, ValueInfoProto]:
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception as error:  # onnx raises its own, and those of its C++ side
        raise InvalidModel(f"the types of the graph cannot be worked out: {error}") from error
    return {info.name: info for info in (*graph.value_info, *graph.input, *graph.output)}


def _sums(
    amounts: Mapping[str, int], spans: Mapping[str, tuple[int, int]], steps: int
) -> tuple[int, ...]:
    """Sum of the amounts of all tensors whose span holds a step, for each step."""
    changes = [0] * (steps + 2)
    for name, amount in amounts.items():
        first, last = spans[name]
        changes[first] += amount
        changes[last + 1] -= amount
    return tuple(accumulate(changes))[:steps]
