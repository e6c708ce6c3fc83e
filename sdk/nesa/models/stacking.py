"""Several queries in one run of a shard: their tensors lie behind each other along the first axis.

With `n` queries every tensor of a shard is `n` times as long along its first axis, and each query's
part lies where it would lie alone: the first axis is the outermost one in C order. That holds where
no operator mixes or reads places of the first axis. All sums of a table are exact, so results are
those of single runs to the byte, whatever ONNX Runtime does with longer tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import onnx
from onnx import ModelProto, numpy_helper

from nesa.models.graph import Opcode, Row, Shard, Table
from nesa.models.opcodes.rescale import WHOLE_TENSOR
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidModel

MOST: Final = 16
"""Most queries in one run."""

MAX_LIVE_BYTES: Final = 64 << 20
"""Most bytes of one row's tensors in float64, all queries together."""

WORTH: Final = 0.05
"""A larger stack has to save this part of the time of a query."""


def obstacle(row: Row, inputs: tuple[EdgeType, ...]) -> str:
    """Why queries cannot be stacked through `row`; empty when they can.

    `inputs` are the types of the values that it reads; its constants are not looked at.
    """
    shapes = [edge.shape for edge in (*inputs, row.output_type)]
    match row.opcode:
        case Opcode.RESHAPE:
            return ""
        case Opcode.TRANSPOSE:
            mixes = row.attributes[0] != 0
        case Opcode.CONCAT | Opcode.SLICE:
            mixes = row.attributes[0] == 0
        case Opcode.RESCALE:
            axis = row.attributes[1]
            mixes = axis == 0 and axis != WHOLE_TENSOR
        case Opcode.MATMUL:
            mixes = len(shapes[0]) < 3
        case Opcode.ROW_SUM | Opcode.ROW_MAX | Opcode.ARG_MAX:
            mixes = len(shapes[0]) < 2
        case _:
            mixes = False
    if mixes:
        return f"{row.opcode.name} works along the first axis"
    if len({shape[0] for shape in shapes}) > 1:
        return f"{row.opcode.name} repeats a tensor along the first axis"
    return ""


def obstacles(table: Table, shard: Shard) -> tuple[str, ...]:
    """Every reason why queries cannot be stacked in a shard, with the row; constants may be left
    out of the table."""
    numbered = enumerate(table.rows[shard.first : shard.end], shard.first)
    found = ((index, obstacle(row, table.types_of(row.inputs))) for index, row in numbered)
    return tuple(f"row {index}: {reason}" for index, reason in found if reason)


def most_stacked(table: Table, shard: Shard) -> int:
    """How many queries may run at once: 1 where rows cannot be stacked, fewer where they are long.

    Constants may be left out of the table.
    """
    if obstacles(table, shard):
        return 1
    rows = table.rows[shard.first : shard.end]
    elements = [
        sum(edge.elements for edge in (*table.types_of(row.inputs), row.output_type))
        for row in rows
    ]
    return max(1, min(MOST, MAX_LIVE_BYTES // (8 * max(elements))))


def best_size(seconds: Mapping[int, float]) -> int:
    """The stack to run, from the seconds that one run took at each size, 1 among them.

    Of all sizes that are as good as the best but for WORTH it is the smallest.
    """
    each = {size: spent / size for size, spent in seconds.items()}
    enough = min(each.values()) / (1 - WORTH)
    return min(size for size, spent in each.items() if spent <= enough)


def with_open_axis(file: bytes) -> bytes:
    """A shard's ONNX file for any number of stacked queries, from the published one for a single.

    Nobody but this machine sees it, and its digest means nothing.

    Raises:
        InvalidModel: it is no ONNX file, or one of its shapes is computed.
    """
    try:
        model: ModelProto = onnx.load_model_from_string(file)
    except Exception as error:  # protobuf's errors share no public base with onnx's
        raise InvalidModel("the shard is not an ONNX file") from error
    constants = {one.name: one for one in model.graph.initializer}
    for name in {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}:
        if name not in constants:
            raise InvalidModel("the shard reshapes to a shape that is computed")
        shape = numpy_helper.to_array(constants[name]).copy()
        shape[:1] = -1
        constants[name].CopyFrom(numpy_helper.from_array(shape, name))
    for edge in (*model.graph.input, *model.graph.output):
        if not edge.type.tensor_type.shape.dim:
            raise InvalidModel(f"the tensor {edge.name} has no axis")
        edge.type.tensor_type.shape.dim[0].dim_param = f"rows of {edge.name}"
    del model.graph.value_info[:]
    data: bytes = model.SerializeToString()
    return data
