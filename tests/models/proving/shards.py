"""The committed provable shards, and pieces of proofs, that these tests share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from nesa.models.folder import CompiledModel, load
from nesa.models.proving.artefacts import ProvableShard, read_provable_shard
from nesa.models.proving.circuits import Circuit, compile_into, write_sources
from nesa.models.proving.compiled import CompiledGraph
from nesa.models.proving.keys import ProvingKeys
from nesa.models.proving.process import DEFAULT_LIMITS
from nesa.models.proving.prover import Prover

MODELS = Path(__file__).parents[3] / "models"
SHARDS = [
    ("breast-cancer-mlp", 0),
    ("breast-cancer-mlp", 1),
    ("digits-cnn", 0),
    ("digits-cnn", 1),
]


@cache
def model(name: str) -> CompiledModel:
    return load(MODELS / name)


@cache
def provable(name: str, shard: int) -> ProvableShard:
    return read_provable_shard(MODELS / name, model(name), shard)


async def compiled(circuit: Circuit, folder: Path) -> CompiledGraph:
    """The compiled graph; the file is left in `folder`."""
    write_sources(circuit, folder)
    return await compile_into(
        folder, circuit.source, circuit.result, circuit.reference, DEFAULT_LIMITS
    )


async def keyless_prover(circuit: Circuit, folder: Path) -> Prover:
    """A prover that can run the circuit but has no proving key."""
    await compiled(circuit, folder)
    keys = ProvingKeys(folder / "circuit.compiled", folder / "no.key")
    return Prover(circuit, keys, folder)


def corner_row(shard: ProvableShard) -> list[int]:
    edge = shard.circuit.source.edge
    return [int(value) for value in edge.decode(shard.corner.input).reshape(-1)]


def random_rows(shard: ProvableShard, count: int, seed: int) -> list[np.ndarray]:
    edge = shard.circuit.source.edge
    random = np.random.default_rng(seed)
    return [random.integers(edge.low, edge.high + 1, edge.shape) for _ in range(count)]
