"""A model of two shards with as many bytes between them as a test wants, and little else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.cut import cut_at
from nesa.models.folder import TEST, CompiledModel, load, shard_path
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.lowering import runtime_model
from nesa.models.samples import LabelledRows, pack_rows
from nesa.protocol.digests import bytes_root
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts
from tests.miner.committee_network import MODEL

ENTRIES = 256
WIDTH = 1024


@cache
def wide_model(boundary_bytes: int, width: int = WIDTH) -> CompiledModel:
    """Looks up a row of `width` bytes for every index, then takes the largest value of each row."""
    generator = np.random.default_rng(1)
    builder = TableBuilder([EdgeType(DType.UINT8, (boundary_bytes // width,), 0, ENTRIES - 1)])
    weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-127, 128, (ENTRIES, width)))
    rows = builder.add(Opcode.EMBEDDING, [0], (ENTRIES, width), [weights])
    table = cut_at(builder.table([builder.add(Opcode.ROW_MAX, [rows], (width,))]), [1])
    inputs = generator.integers(0, ENTRIES, (8, *table.inputs[0].shape))
    samples = LabelledRows(inputs, np.zeros(8, np.int64), inputs)
    model = model_of(table)
    return replace(model, files={**model.files, TEST: pack_rows(samples)})


def model_of(table: Table) -> CompiledModel:
    """A table with files of its shards, and the rest of a model that is none of its own."""
    files = {
        shard_path(number): runtime_model(table, shard) for number, shard in enumerate(table.shards)
    }
    shards = tuple(
        ShardFacts(
            table.types_of(shard.inputs),
            table.types_of(shard.outputs),
            bytes_root(files[shard_path(number)]),
            ZERO_DIGEST,
            ZERO_DIGEST,
        )
        for number, shard in enumerate(table.shards)
    )
    return replace(load(MODEL), table=table, shards=shards, files=files)
