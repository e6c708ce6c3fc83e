"""What nodes of an ONNX graph read, write and hold; nodes with subgraphs count as one."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set

from onnx import GraphProto, NodeProto, TensorProto

from nesa.protocol.errors import InvalidModel


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The bodies of If, Loop, Scan and their like."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def nested_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes with all those in their subgraphs, however deep."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from nested_nodes(graph.node)


def writes(node: NodeProto) -> frozenset[str]:
    """Names of the tensors that the node makes; outputs left out have no name."""
    return frozenset(node.output) - {""}


def reads(node: NodeProto) -> frozenset[str]:
    """Names of the tensors that the node needs, those of its subgraphs' outer scope too."""
    names = set(node.input)
    for graph in subgraphs(node):
        names |= _outer_reads(graph)
    return frozenset(names - {""})


def initialisers(graph: GraphProto) -> Iterator[tuple[str, tuple[TensorProto, ...]]]:
    """Every initialiser by name; a sparse one has two tensors, values and indices."""
    for tensor in graph.initializer:
        yield tensor.name, (tensor,)
    for sparse in graph.sparse_initializer:
        yield sparse.values.name, (sparse.values, sparse.indices)


def local_names(graph: GraphProto) -> list[str]:
    """Every name that the graph gives to a tensor, as often as it gives it."""
    weights = [name for name, _ in initialisers(graph)]
    known = set(weights)
    inputs = [info.name for info in graph.input if info.name not in known]
    return inputs + weights + [name for node in graph.node for name in node.output if name]


def node_tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    """The constants that nodes hold in their attributes, those of their subgraphs too."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for one in (*sparse, *attribute.sparse_tensors):
                yield from (one.values, one.indices)
        for graph in subgraphs(node):
            yield from graph_tensors(graph)


def graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every constant tensor of a graph, however deep."""
    for _, tensors in initialisers(graph):
        yield from tensors
    yield from node_tensors(graph.node)


def in_order(graph: GraphProto) -> tuple[NodeProto, ...]:
    """All nodes, each behind those that it reads from; otherwise in the order of the file.

    Raises:
        InvalidModel: nodes that read from each other in a circle, or from nowhere.
    """
    nodes = list(graph.node)
    makers = {name: index for index, node in enumerate(nodes) for name in writes(node)}
    given = {info.name for info in graph.input} | {name for name, _ in initialisers(graph)}
    for output in graph.output:
        if output.name not in makers and output.name not in given:
            raise InvalidModel(f"nothing makes the output {output.name!r}")
    sources = [_sources(node, makers, given) for node in nodes]
    return tuple(nodes[index] for index in _sorted(nodes, sources))


def needed(
    nodes: Sequence[NodeProto], outputs: Iterable[str], inseparable: Set[str]
) -> tuple[NodeProto, ...]:
    """The nodes that outputs depend on, in the order given.

    All readers of the tensors in `inseparable` stay with the node that makes them.
    """
    makers = {name: index for index, node in enumerate(nodes) for name in writes(node)}
    readers = defaultdict(list)
    for index, node in enumerate(nodes):
        for name in reads(node) & inseparable:
            readers[name].append(index)
    waiting = [makers[name] for name in outputs if name in makers]
    kept = set(waiting)
    while waiting:
        node = nodes[waiting.pop()]
        found = {makers[name] for name in reads(node) if name in makers}
        found.update(reader for name in writes(node) for reader in readers.get(name, ()))
        waiting.extend(found - kept)
        kept |= found
    return tuple(nodes[index] for index in sorted(kept))


def _sources(node: NodeProto, makers: dict[str, int], given: set[str]) -> set[int]:
    names = reads(node) - given
    for name in sorted(names):
        if name not in makers:
            raise InvalidModel(f"{described(node)} reads {name!r}, which nothing makes")
    return {makers[name] for name in names}


def _sorted(nodes: Sequence[NodeProto], sources: Sequence[set[int]]) -> list[int]:
    readers = defaultdict(list)
    for index, found in enumerate(sources):
        for source in found:
            readers[source].append(index)
    waiting = [len(found) for found in sources]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers[index]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        first = next(index for index, count in enumerate(waiting) if count)
        raise InvalidModel(f"{described(nodes[first])} depends on its own output")
    return order


def described(node: NodeProto) -> str:
    """How messages name a node."""
    return f"the {node.op_type} {node.name or '/'.join(node.output)!r}"


def _outer_reads(graph: GraphProto) -> set[str]:
    names = {info.name for info in graph.output}
    for node in graph.node:
        names |= reads(node)
    return names - set(local_names(graph))
