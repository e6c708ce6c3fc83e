"""A graph cut into parts, and each part as an ONNX graph of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

from nesa.models.onnx_graphs.graph import CuttableGraph
from nesa.models.onnx_graphs.nodes import described, initialisers, nested_nodes, reads, writes
from nesa.protocol.errors import InvalidModel


@dataclass(frozen=True, slots=True)
class Part:
    """Steps `first <= i < end` with the tensors that they need from others and make for others.

    A tensor that skips a part is neither its input nor its output: whoever runs the parts holds it.
    """

    first: int
    end: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def parts_of(graph: CuttableGraph, cuts: Sequence[int]) -> tuple[Part, ...]:
    """The parts between `cuts`, the steps in front of which a further one begins.

    Outputs of the model that depend on no input are made by the last part.

    Raises:
        InvalidModel: cuts that do not ascend, or a place that is not legal.
    """
    ends = (0, *cuts, len(graph.steps))
    if any(first >= end for first, end in pairwise(ends)):
        raise InvalidModel(f"cuts {tuple(cuts)} must ascend between 1 and {len(graph.steps) - 1}")
    for place in set(cuts) - set(graph.legal_positions):
        node = described(graph.steps[place].node)
        raise InvalidModel(f"the graph cannot be cut in front of {node}")
    return tuple(_part(graph, first, end) for first, end in pairwise(ends))


def part_model(graph: CuttableGraph, part: Part) -> ModelProto:
    """The part as a model that refers to the weights where they lie.

    Nodes that depend on no input are computed anew in every part that reads them, and weights that
    could be overridden stay so: ONNX Runtime computes with constants in another way.
    """
    source = graph.model
    nodes = _with_constants(graph, part)
    names = set(part.outputs).union(*map(reads, nodes))
    kept = GraphProto(name=source.graph.name, node=nodes)
    kept.initializer.extend(one for one in source.graph.initializer if one.name in names)
    kept.sparse_initializer.extend(
        one for one in source.graph.sparse_initializer if one.values.name in names
    )
    weights = {name for name, _ in initialisers(kept)}
    kept.input.extend(_type(graph, name) for name in part.inputs)
    kept.input.extend(info for info in source.graph.input if info.name in weights)
    kept.output.extend(_type(graph, name) for name in part.outputs)
    return ModelProto(
        ir_version=source.ir_version,
        opset_import=source.opset_import,
        functions=_called(source.functions, nodes),
        graph=kept,
    )


def _part(graph: CuttableGraph, first: int, end: int) -> Part:
    steps = graph.steps[first:end]
    made = frozenset[str]().union(*(step.writes for step in steps))
    read = frozenset[str]().union(*(step.reads for step in steps))
    outputs = made & graph.alive(end)
    if end == len(graph.steps):
        outputs |= set(graph.outputs) - graph.spans.keys()
    return Part(first, end, tuple(sorted(read - made)), tuple(sorted(outputs)))


def _with_constants(graph: CuttableGraph, part: Part) -> list[NodeProto]:
    nodes = [step.node for step in graph.steps[part.first : part.end]]
    names = set(part.outputs).union(*map(reads, nodes))
    needed = []
    for node in reversed(graph.constants):
        if writes(node) & names:
            needed.append(node)
            names |= reads(node)
    return [*reversed(needed), *nodes]


def _type(graph: CuttableGraph, name: str) -> ValueInfoProto:
    return graph.types.get(name, ValueInfoProto(name=name))


def _called(functions: Iterable[FunctionProto], nodes: list[NodeProto]) -> list[FunctionProto]:
    """The functions that the nodes call, and those that these call."""
    known = {(one.domain, one.name): one for one in functions}
    waiting, found = list(nodes), {}
    while waiting:
        for node in nested_nodes([waiting.pop()]):
            key = (node.domain, node.op_type)
            if key in known and key not in found:
                found[key] = known[key]
                waiting.extend(known[key].node)
    return [found[key] for key in sorted(found)]
