"""What ONNX Runtime computes for a table, at any level of optimisation and count of threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from nesa.models.graph import Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.reference import decode
from nesa.models.runtime import session

LEVELS = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)


ALL_LEVELS = (
    ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
)


def in_runtime(
    table: Table, inputs: Sequence[bytes], level=LEVELS[0], threads: int = 1
) -> tuple[bytes, ...]:
    """Outputs of the whole table, all of its shards one after the other, in ONNX Runtime."""
    tensors = tuple(inputs)
    for shard in table.shards:
        tensors = shard_in_runtime(table, shard, tensors, level, threads)
    return tensors


def shard_in_runtime(
    table: Table, shard: Shard, inputs: Sequence[bytes], level=LEVELS[0], threads: int = 1
) -> tuple[bytes, ...]:
    """Outputs of one shard in ONNX Runtime."""
    values = [tensor.astype(np.float32) for tensor in decode(table.types_of(shard.inputs), inputs)]
    runner = session(runtime_model(table, shard), level, threads)
    names = [edge.name for edge in runner.get_inputs()]
    results = runner.run(None, dict(zip(names, values, strict=True)))
    edges = table.types_of(shard.outputs)
    return tuple(edge.encode(result) for edge, result in zip(edges, results, strict=True))
