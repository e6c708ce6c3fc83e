"""The definition of every table as plain numpy integers; slow, and the measure of all the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import Integers, Shard, Table
from nesa.models.opcodes import operator
from nesa.protocol.digests import tensor_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.ids import Digest


def run(table: Table, inputs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Outputs of the whole model, canonical bytes in and out.

    Raises:
        InvalidTensor: an input that is not of its edge type.
    """
    shard = Shard(0, len(table.rows), table.crossing(0), table.outputs)
    return run_shard(table, shard, inputs)


def run_shard(table: Table, shard: Shard, inputs: Sequence[bytes]) -> tuple[bytes, ...]:
    """Outputs of one shard, canonical bytes in and out.

    Raises:
        InvalidTensor: an input that is not of its edge type.
    """
    values = evaluate(table, shard, decode(table.types_of(shard.inputs), inputs))
    return tuple(table.type_of(value).encode(values[value]) for value in shard.outputs)


def trace(table: Table, shard: Shard, inputs: Sequence[bytes]) -> tuple[Digest, ...]:
    """Tensor digest of the output of every row of the shard, in order.

    Raises:
        InvalidTensor: an input that is not of its edge type.
    """
    values = evaluate(table, shard, decode(table.types_of(shard.inputs), inputs))
    written = [table.output_of(index) for index in range(shard.first, shard.end)]
    edges = table.types_of(written)
    pairs = zip(edges, written, strict=True)
    return tuple(tensor_digest(edge, edge.encode(values[value])) for edge, value in pairs)


def evaluate(table: Table, shard: Shard, inputs: Sequence[Integers]) -> dict[int, Integers]:
    """Every value of the shard by its number, as int64."""
    values = dict(zip(shard.inputs, inputs, strict=True))
    for index in range(shard.first, shard.end):
        row = table.rows[index]
        operands = tuple(values[value] for value in row.inputs)
        values[table.output_of(index)] = operator(row.opcode).reference(row, operands)
    return values


def decode(edges: Sequence[EdgeType], tensors: Sequence[bytes]) -> tuple[Integers, ...]:
    """Canonical bytes as int64 tensors.

    Raises:
        InvalidTensor: a tensor that is not of its edge type.
    """
    pairs = zip(edges, tensors, strict=True)
    return tuple(edge.decode(data).astype(np.int64) for edge, data in pairs)
