"""Costs of an ONNX graph of any kind at every place where it may be cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from onnx import NodeProto

from nesa.models.onnx_graphs.graph import CuttableGraph, Step, value_bytes
from nesa.models.placement.costs import (
    MAX_PLACES,
    Arithmetic,
    Bytes,
    ModelCosts,
    OperatorCost,
    cheapest_places,
    part_memory,
)

Shape = tuple[int, ...]

_INT8: Final = frozenset({"MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv"})


def graph_costs(graph: CuttableGraph, dims: Mapping[str, int]) -> ModelCosts:
    """Costs of `graph`; a named dimension has the size that `dims` gives, or 1.

    Multiply-adds are counted for matrix products and convolutions whose shapes are known; bodies
    of If, Loop and Scan and of functions count by the bytes that cross their ends. A weight that
    several parts need is held by each of them.
    """
    shapes = _shapes(graph, dims)
    sizes = {name: value_bytes(info, dims) for name, info in graph.types.items()}
    operators = tuple(_cost(graph, step, shapes, sizes) for step in graph.steps)
    crossing = graph.boundary_bytes(dims)
    legal = (0, *graph.legal_positions, len(graph.steps))
    results = sum(sizes.get(name, 0) for name in graph.outputs)
    boundaries = [*(crossing[place] for place in legal[:-1]), results]
    kept = cheapest_places(legal, operators, boundaries, MAX_PLACES)
    places = tuple(legal[index] for index in kept)
    made = [sum(sizes.get(name, 0) for name in step.writes) for step in graph.steps]
    live = [alive + new for alive, new in zip(crossing, made, strict=True)]
    weights = _weights(graph, places)
    memory = part_memory(places, weights, live)
    crossed = np.array(boundaries, np.int64)[kept]
    return ModelCosts(operators, places, len(legal) - 2, crossed, memory, int(weights[0, -1]))


def multiply_adds(node: NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Products that the node adds up; 0 where it is no product or a shape is not known."""
    output = next((shapes[name] for name in node.output if name in shapes), None)
    match node.op_type:
        case "MatMul" | "MatMulInteger":
            operands = _last(shapes.get(node.input[0]))
        case "QLinearMatMul":
            operands = _last(shapes.get(node.input[0]))
        case "Gemm":
            flipped = any(one.name == "transA" and one.i for one in node.attribute)
            operands = _last(tuple(shapes.get(node.input[0], ()))[:: -1 if flipped else 1])
        case "Conv" | "ConvInteger":
            operands = math.prod(shapes.get(node.input[1], (0, 0))[1:])
        case "QLinearConv":
            operands = math.prod(shapes.get(node.input[3], (0, 0))[1:])
        case _:
            operands = 0
    return 0 if output is None else math.prod(output) * operands


def _last(shape: Shape | None) -> int:
    return shape[-1] if shape else 0


def _cost(
    graph: CuttableGraph, step: Step, shapes: Mapping[str, Shape], sizes: Mapping[str, int]
) -> OperatorCost:
    crossing = sum(sizes.get(name, 0) for name in step.reads | step.writes)
    held = sum(graph.sizes[name] for name in step.weights)
    looked_up = sum(sizes.get(name, 0) for name in step.writes)
    read = min(held, looked_up) if step.node.op_type == "Gather" else held
    kind = Arithmetic.INT8 if step.node.op_type in _INT8 else Arithmetic.FLOAT32
    return OperatorCost(multiply_adds(step.node, shapes), crossing + read, kind)


def _shapes(graph: CuttableGraph, dims: Mapping[str, int]) -> dict[str, Shape]:
    known = {
        name: tuple(
            size.dim_value or dims.get(size.dim_param, 1)
            for size in info.type.tensor_type.shape.dim
        )
        for name, info in graph.types.items()
        if info.type.tensor_type.HasField("shape")
    }
    held = {one.name: tuple(one.dims) for one in graph.model.graph.initializer}
    return held | known


def _weights(graph: CuttableGraph, places: Sequence[int]) -> Bytes:
    """Bytes of the weights of each part, every weight once."""
    pieces = [
        frozenset[str]().union(*(step.weights for step in graph.steps[first:end]))
        for first, end in itertools.pairwise(places)
    ]
    found = np.zeros((len(places), len(places)), np.int64)
    for first in range(len(pieces)):
        seen: set[str] = set()
        total = 0
        for end in range(first, len(pieces)):
            total += sum(graph.sizes[name] for name in pieces[end] - seen)
            seen |= pieces[end]
            found[first, end + 1] = total
    return found
