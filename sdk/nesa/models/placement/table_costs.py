"""Costs of an operator table at every place where it may be cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Final

import numpy as np

from nesa.models.cut import legal_positions
from nesa.models.graph import Opcode, ParameterKind, Part, Row, Table, is_narrow
from nesa.models.kernels import byte_linear
from nesa.models.lowering import fused_rows
from nesa.models.opcodes import operator
from nesa.models.opcodes.interface import NodeWriter
from nesa.models.placement.costs import (
    MAX_PLACES,
    Arithmetic,
    ModelCosts,
    OperatorCost,
    cheapest_places,
    part_memory,
)
from nesa.protocol.edges import EdgeType

FLOAT64_BYTES: Final = 8
FLOAT32_BYTES: Final = 4
"""Bytes of a value in ONNX Runtime, whatever its dtype on a boundary; a wide one takes twice."""


def table_costs(table: Table) -> ModelCosts:
    """Costs of the table as ONNX Runtime computes it: float32, or float64 for wide values.

    A Linear that is computed on bytes together with its Rescale has the costs of both, and is not
    cut off from it: apart both would be computed in float32, and sums of 4 bytes would cross.
    """
    ends = table.crossing(0), table.crossing(len(table.rows))
    fused = fused_rows(table, Part(range(len(table.rows)), *ends))
    operators = tuple(_costs(table, fused))
    crossing = [table.crossing(place) for place in range(len(table.rows) + 1)]
    inside = {place for first, last in fused.items() for place in range(first + 1, last + 1)}
    between = [place for place in legal_positions(table) if place not in inside]
    legal = (0, *between, len(table.rows))
    boundaries = [sum(edge.nbytes for edge in table.types_of(crossing[at])) for at in legal]
    kept = cheapest_places(legal, operators, boundaries, MAX_PLACES)
    places = tuple(legal[index] for index in kept)
    live = [
        sum(map(_held, table.types_of(values))) + _held(row.output_type)
        for values, row in zip(crossing, table.rows, strict=False)
    ]
    held = (_weight_bytes(row, index in fused) for index, row in enumerate(table.rows))
    weights = [0, *accumulate(held)]
    totals = np.array([weights[place] for place in places], np.int64)
    memory = part_memory(places, totals[None, :] - totals[:, None], live)
    crossed = np.array(boundaries, np.int64)[kept]
    return ModelCosts(operators, places, len(legal) - 2, crossed, memory, weights[-1])


def multiply_adds(row: Row) -> int:
    """Products that the row adds up; 0 for everything that is no dot product."""
    match row.opcode:
        case Opcode.LINEAR | Opcode.CONV:
            operands = row.parameter(ParameterKind.WEIGHTS).shape[1]
        case Opcode.MATMUL:
            operands = row.attributes[1]
        case _:
            return 0
    return row.output_type.elements * int(operands)


def _costs(table: Table, fused: Mapping[int, int]) -> Iterator[OperatorCost]:
    taken = set(fused.values())
    for index, row in enumerate(table.rows):
        if index in fused:
            yield _fused_cost(table, row, table.rows[fused[index]])
        elif index in taken:
            yield OperatorCost(0, 0, nodes=0)
        else:
            yield _cost(table, row)


def _fused_cost(table: Table, linear: Row, rescale: Row) -> OperatorCost:
    """Both rows in one product of bytes, and the passes before and behind it."""
    (edge,), writer = table.types_of(linear.inputs), NodeWriter()
    byte_linear.lower(linear, rescale, edge, "x", writer)
    nodes, made = len(writer.nodes), _held(rescale.output_type)
    moved = _held(edge) + edge.elements + _weight_bytes(linear, is_fused=True)
    passes = 2 * made * max(nodes - 1, 0)
    return OperatorCost(multiply_adds(linear), moved + made + passes, Arithmetic.INT8, nodes)


def _cost(table: Table, row: Row) -> OperatorCost:
    """Cost of the nodes that the row is lowered to; all but one pass over its output once more."""
    types = table.types_of(row.inputs)
    nodes = _nodes(row, types)
    held = sum(map(_held, (*types, row.output_type)))
    passes = 2 * FLOAT64_BYTES * row.output_type.elements * max(nodes - 1, 0)
    # A lookup reads as many weights as it writes, every other row all of them.
    looked_up = row.opcode is Opcode.EMBEDDING
    read = _held(row.output_type) if looked_up else _weight_bytes(row, is_fused=False)
    wide = not is_narrow(row.output_type)
    arithmetic = Arithmetic.FLOAT64 if wide else Arithmetic.FLOAT32
    return OperatorCost(multiply_adds(row), held + read + passes, arithmetic, nodes)


def _nodes(row: Row, types: tuple[EdgeType, ...]) -> int:
    writer = NodeWriter()
    names = [f"x{place}" for place in range(len(types))]
    operator(row.opcode).lower_ort(row, types, names, writer)
    return len(writer.nodes)


def _held(edge: EdgeType) -> int:
    return edge.elements * FLOAT32_BYTES * (1 if is_narrow(edge) else 2)


def _weight_bytes(row: Row, is_fused: bool) -> int:
    """Bytes of the row's constants in memory: one each where they stay bytes, else four."""
    stay = is_fused or row.opcode is Opcode.EMBEDDING
    return sum(
        math.prod(one.values.shape)
        * (1 if stay and one.kind is ParameterKind.WEIGHTS else FLOAT32_BYTES)
        for one in row.parameters
    )
