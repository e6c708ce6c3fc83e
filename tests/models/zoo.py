"""`python -m tests.models.zoo ENGINE..`: digests of what this machine computes, as JSON.

The program that every member of the processor zoo runs. Engines: `reference` (numpy), and ONNX
Runtime at the level of optimisation `basic`, which miners use, or `all`. `control` multiplies
fractions in float32, which is expected to differ: a zoo where it does not sees nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from eth_utils.crypto import keccak

from nesa.models.graph import Shard, Table
from nesa.models.index import constants_path, decode_index, read_table
from nesa.models.reference import run_shard
from nesa.protocol.digests import boundary_digest
from scripts.operator_cases import drawn, int8
from tests.models.byte_tables import INPUTS, OUTPUTS, dense
from tests.models.encoder import encoder
from tests.models.operator_vectors import vectors
from tests.models.sizes import SIZES, inputs

Tensors = tuple[bytes, ...]
Engine = Callable[[Table, Shard, Tensors], Tensors]
Job = tuple[Table, Sequence[Tensors]]

MODELS = Path(__file__).resolve().parents[2] / "models"
SEEDS = range(1, 5)


def subjects() -> Iterator[tuple[str, list[Job]]]:
    """What is compared: the vectors of each operator, sums of many sizes, and whole networks."""
    by_operator: dict[str, list[Job]] = {}
    for vector in vectors().values():
        jobs = by_operator.setdefault(vector.table.rows[0].opcode.name, [])
        jobs.append((vector.table, [answer.inputs for answer in vector.answers]))
    yield from sorted(by_operator.items())
    yield "sums of many sizes", [_drawn(make()) for make in SIZES.values()]
    yield "dense layers of bytes", [_drawn(dense(x, y, 0)) for x in INPUTS for y in OUTPUTS]
    yield "encoder", [_drawn(encoder())]
    for folder in sorted(path.parent for path in MODELS.glob("*/model.json")):
        yield folder.name, [_drawn(_model(folder))]


def digests(engine: Engine) -> dict[str, str]:
    """One digest for each subject: over every boundary tensor of every run."""
    return {
        name: keccak(b"".join(map(engine_digest(engine), jobs))).hex() for name, jobs in subjects()
    }


def control() -> dict[str, str]:
    """Digest of a product of fractions in float32."""
    fractions = drawn(int8(2, 96, 96), 1).astype(np.float32) / np.float32(7)
    return {"fractions": keccak((fractions[0] @ fractions[1]).tobytes()).hex()}


def computed(name: str) -> dict[str, str]:
    """What the engine of that name computes."""
    return control() if name == "control" else digests(engine_named(name))


def engine_digest(engine: Engine) -> Callable[[Job], bytes]:
    """Boundary digests of one table behind each other, shard by shard, run by run."""

    def digest(job: Job) -> bytes:
        table, runs = job
        found = b""
        for tensors in runs:
            for shard in table.shards:
                tensors = engine(table, shard, tensors)
                found += boundary_digest(table.types_of(shard.outputs), tensors)
        return found

    return digest


def engine_named(name: str) -> Engine:
    """The engine of that name; ONNX Runtime is loaded only where it is asked for."""
    if name == "reference":
        return run_shard
    from tests.models.onnx_runtime import ALL_LEVELS, shard_in_runtime

    level = {"basic": ALL_LEVELS[1], "all": ALL_LEVELS[3]}[name]
    return lambda table, shard, tensors: shard_in_runtime(table, shard, tensors, level)


def _drawn(table: Table) -> Job:
    return table, [inputs(table, seed) for seed in SEEDS]


def _model(folder: Path) -> Table:
    index = decode_index((folder / "model.json").read_bytes())
    shards = range(len(index.shards))
    return read_table(index, [(folder / constants_path(n)).read_bytes() for n in shards])


if __name__ == "__main__":
    print(json.dumps({name: computed(name) for name in sys.argv[1:]}))
