"""An ONNX graph as a row of steps with the tensors that are alive between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    initialisers,
    needed_in_order,
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

Half precision may not: on a CPU ONNX Runtime computes it in float32 and leaves the rounding out
between two nodes, but not at the edge of a graph, so a cut there changes the answer.
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
        first = dict.fromkeys(self.inputs, 0)
        last: dict[str, int] = {}
        for index, step in enumerate(self.steps):
            first.update(dict.fromkeys(step.writes, index + 1))
            last.update(dict.fromkeys(step.reads, index))
        last.update(dict.fromkeys(first.keys() & set(self.outputs), len(self.steps)))
        return {name: (first[name], place) for name, place in last.items()}

    def alive(self, position: int) -> frozenset[str]:
        """Tensors that exist in front of step `position` and are needed from it on."""
        spans = self.spans.items()
        return frozenset(name for name, (first, last) in spans if first <= position <= last)

    @cached_property
    def legal_positions(self) -> tuple[int, ...]:
        """Steps in front of which the graph may be cut: all that crosses has an exact type."""
        inexact = {name: int(not self._is_exact(name)) for name in self.spans}
        inexact.update(dict.fromkeys(self.inputs, 0))
        crossing = self._sums(inexact)
        return tuple(place for place in range(1, len(self.steps)) if crossing[place] == 0)

    def boundary_bytes(self, dims: Mapping[str, int]) -> tuple[int, ...]:
        """Bytes alive in front of each step; a named dimension counts as `dims` says, or 1.

        Dimensions of which nothing is known count as 1.
        """
        return self._sums({name: _value_bytes(self.types.get(name), dims) for name in self.spans})

    def _sums(self, amounts: Mapping[str, int]) -> tuple[int, ...]:
        """Sum of the amounts of all that is alive in front of each step."""
        changes = [0] * (len(self.steps) + 2)
        for name, (first, last) in self.spans.items():
            changes[first] += amounts[name]
            changes[last + 1] -= amounts[name]
        return tuple(accumulate(changes))[:-2]

    def _is_exact(self, name: str) -> bool:
        info = self.types.get(name)
        return info is not None and info.type.tensor_type.elem_type in EXACT


def read_graph(path: Path) -> CuttableGraph:
    """The graph of the ONNX file at `path`, without its weights.

    Raises:
        InvalidModel: it cannot be read, is hostile, or cannot be cut with the same answers.
    """
    model = _parse(path)
    check_model(model, path)
    _take_short_weights(model, path)
    return analyse(model, path)


def analyse(model: ModelProto, path: Path) -> CuttableGraph:
    """The graph of a checked model whose file is at `path`.

    Raises:
        InvalidModel: nodes in a circle, nothing to cut, or constants without end.
    """
    nodes = needed_in_order(model.graph)
    sizes = _weight_sizes(model.graph, nodes)
    constants, steps = _split(model.graph, nodes, sizes)
    if not steps:
        raise InvalidModel(f"{path.name} computes nothing from its inputs")
    inputs = tuple(info.name for info in model.graph.input if info.name not in sizes)
    outputs = tuple(info.name for info in model.graph.output)
    return CuttableGraph(path, model, inputs, outputs, constants, steps, sizes, _types(model))


def _weight_sizes(graph: GraphProto, nodes: Sequence[NodeProto]) -> dict[str, int]:
    """Bytes of each initialiser, and of all constants in a node by the name of an output."""
    sizes = {name: sum(map(tensor_bytes, tensors)) for name, tensors in initialisers(graph)}
    held = {min(writes(node)): sum(map(tensor_bytes, node_tensors([node]))) for node in nodes}
    return sizes | {name: size for name, size in held.items() if size}


def _split(
    graph: GraphProto, nodes: Sequence[NodeProto], sizes: Mapping[str, int]
) -> tuple[tuple[NodeProto, ...], tuple[Step, ...]]:
    """The nodes that depend on no input, and the others with all the weights that they need."""
    held = {name: frozenset({name}) for name, _ in initialisers(graph)}
    constants, steps, kept = [], [], 0
    for node in nodes:
        read = reads(node)
        weights = sizes.keys() & writes(node)
        weights = weights.union(*(held[name] for name in read if name in held))
        kept += len(weights)
        if kept > MAX_WEIGHT_USES:
            raise InvalidModel(f"{described(node)} depends on too many constants")
        if read <= held.keys():
            constants.append(node)
            held.update(dict.fromkeys(writes(node), frozenset(weights)))
        else:
            moving = read - held.keys()
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
        raise InvalidModel(f"the types of the graph contradict each other: {error}") from error
    return {info.name: info for info in (*graph.value_info, *graph.input, *graph.output)}


def _value_bytes(info: ValueInfoProto | None, dims: Mapping[str, int]) -> int:
    if info is None:
        return 0
    kind = info.type.tensor_type
    sizes = [size.dim_value or dims.get(size.dim_param, 1) for size in kind.shape.dim]
    return math.prod(sizes) * BITS.get(kind.elem_type, 8) // 8
