"""What ONNX Runtime computes for a table, on one thread and at two levels of optimisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from nesa.models.graph import Table
from nesa.models.lowering import runtime_model
from nesa.models.reference import decode
from nesa.models.runtime import session

LEVELS = (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)


def in_runtime(table: Table, inputs: Sequence[bytes], level=LEVELS[0]) -> tuple[bytes, ...]:
    """Outputs of the whole table in ONNX Runtime."""
    values = [tensor.astype(np.float32) for tensor in decode(table.inputs, inputs)]
    runner = session(runtime_model(table, table.shards[0]), level)
    names = [edge.name for edge in runner.get_inputs()]
    results = runner.run(None, dict(zip(names, values, strict=True)))
    edges = table.types_of(table.outputs)
    return tuple(edge.encode(result) for edge, result in zip(edges, results, strict=True))
