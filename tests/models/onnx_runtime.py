"""What ONNX Runtime computes for a table, at any level of optimisation and count of threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from nesa.models.graph import Shard, Table
from nesa.models.lowering import runtime_model
from nesa.models.reference import decode
from nesa.models.runtime import ShardRunner, session
from nesa.protocol.digests import bytes_root
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts

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


SCALED = EdgeType(DType.INT8, (1, 4), -127, 127)
"""What a scaling shard takes and gives."""


def scaling_runner(factor: float, output: EdgeType = SCALED) -> ShardRunner:
    """A shard that multiplies by `factor`, exact or not."""
    constant = numpy_helper.from_array(np.array(factor, np.float32), "k")
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    node = helper.make_node("Mul", ["x", "k"], ["y"])
    graph = helper.make_graph([node], "g", infos[:1], infos[1:], [constant])
    opset = [helper.make_opsetid("", 13)]
    file = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    facts = ShardFacts((SCALED,), (output,), bytes_root(file), ZERO_DIGEST, ZERO_DIGEST)
    return ShardRunner(file, facts)
