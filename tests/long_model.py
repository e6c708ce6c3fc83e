"""A compiled model of one shard whose input and answer are both too long for the chain."""

from __future__ import annotations

from functools import cache

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.card import Feature, Fidelity, TensorCard
from nesa.models.folder import CompiledModel, assemble
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.index import word
from nesa.models.measuring import NOT_MEASURED, fidelity, integer_outputs
from nesa.models.samples import LabelledRows
from nesa.protocol.edges import DType, EdgeType

NAME = "long-rows"
LENGTH, WIDTH, ENTRIES = 5_000, 8, 256


@cache
def long_model() -> CompiledModel:
    """Looks up eight numbers for each of 5,000 indices, and takes the largest of each eight."""
    generator = np.random.default_rng(1)
    builder = TableBuilder([EdgeType(DType.UINT8, (1, LENGTH), 0, ENTRIES - 1)])
    weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-127, 128, (ENTRIES, WIDTH)))
    rows = builder.add(Opcode.EMBEDDING, [0], (ENTRIES, WIDTH), [weights])
    table = builder.table([builder.add(Opcode.ROW_MAX, [rows], (WIDTH,))])
    inputs = generator.integers(0, ENTRIES, (8, 1, LENGTH)).astype(np.uint8)
    answers = np.stack(integer_outputs(table, inputs)).astype(np.float32)
    samples = LabelledRows(inputs, answers, inputs.reshape(len(inputs), -1).astype(np.float32))
    card = TensorCard(
        task="regression",
        name=NAME,
        title="Long rows",
        description="Has an input and an answer that do not go on chain.",
        data="random",
        licence="Apache-2.0",
        features=(Feature(name="index", unit="steps", offset=0.0, step=1.0),),
        input_type=word(table.inputs[0].pack()),
        output_type=word(table.type_of(table.outputs[0]).pack()),
        output_scale=1.0,
        fidelity=Fidelity.model_validate(NOT_MEASURED["fidelity"], strict=False),
    )
    labels = [np.asarray(label, dtype=np.int64) for label in samples.labels]
    measured = card.model_copy(update={"fidelity": fidelity(card, labels, samples)})
    return assemble(table, measured, samples)
