"""What ezkl computes for a shard, in a process of its own because it holds the GIL and panics."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nesa.models.graph import Shard, Table
from nesa.models.lowering import circuit_model, circuit_needs
from nesa.models.reference import decode

SCRIPT = Path(__file__).with_name("witness_process.py")
LOGROWS = 15


def witness_outputs(
    table: Table, shard: Shard, inputs: Sequence[Sequence[bytes]]
) -> list[tuple[bytes, ...]]:
    """Outputs of the shard's circuit as canonical bytes, one for each of `inputs`."""
    edges = table.types_of(shard.outputs)
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        Path(file.name).write_bytes(circuit_model(table, shard))
        job = {
            "onnx": file.name,
            "digits": circuit_needs(table, shard).digits,
            "rows": LOGROWS,
            "inputs": [_numbers(table, shard, tensors) for tensors in inputs],
        }
        done = subprocess.run(
            [sys.executable, str(SCRIPT)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise AssertionError(f"ezkl failed: {done.stderr[-800:]}")
    results = json.loads(done.stdout.strip().splitlines()[-1])
    return [
        tuple(
            edge.encode(np.array(row).reshape(edge.shape))
            for edge, row in zip(edges, result, strict=True)
        )
        for result in results
    ]


def _numbers(table: Table, shard: Shard, tensors: Sequence[bytes]) -> list[list[int]]:
    return [row.reshape(-1).tolist() for row in decode(table.types_of(shard.inputs), tensors)]
