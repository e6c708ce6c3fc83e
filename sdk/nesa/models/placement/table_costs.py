"""Costs of an operator table at every place where it may be cut."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Final

import numpy as np

from nesa.models.cut import legal_positions
from nesa.models.graph import Opcode, ParameterKind, Row, Table, is_narrow
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
    """Costs of the table as ONNX Runtime computes it: float32, or float64 for wide values."""
    operators = tuple(_cost(table, row) for row in table.rows)
    crossing = [table.crossing(place) for place in range(len(table.rows) + 1)]
    legal = (0, *legal_positions(table), len(table.rows))
    boundaries = [sum(edge.nbytes for edge in table.types_of(crossing[at])) for at in legal]
    kept = cheapest_places(legal, operators, boundaries, MAX_PLACES)
    places = tuple(legal[index] for index in kept)
    live = [
        sum(map(_held, table.types_of(values))) + _held(row.output_type)
        for values, row in zip(crossing, table.rows, strict=False)
    ]
    weights = [0, *accumulate(map(_weight_bytes, table.rows))]
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


def _cost(table: Table, row: Row) -> OperatorCost:
    """Cost of the nodes that the row is lowered to; all but one pass over its output once more."""
    types = table.types_of(row.inputs)
    nodes = _nodes(row, types)
    held = sum(map(_held, (*types, row.output_type)))
    passes = 2 * FLOAT64_BYTES * row.output_type.elements * max(nodes - 1, 0)
    # A lookup reads as many weights as it writes, every other row all of them.
    looked_up = row.opcode is Opcode.EMBEDDING
    read = _held(row.output_type) if looked_up else _weight_bytes(row)
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


def _weight_bytes(row: Row) -> int:
    return sum(math.prod(one.values.shape) for one in row.parameters) * FLOAT32_BYTES
