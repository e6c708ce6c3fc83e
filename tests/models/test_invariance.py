"""The same bytes whatever the batch, the count of threads and the level of optimisation."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice, product

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Row, Table
from nesa.models.reference import run
from nesa.protocol.edges import EdgeType
from tests.models.encoder import encoder
from tests.models.onnx_runtime import ALL_LEVELS, in_runtime
from tests.models.operator_vectors import vectors
from tests.models.sizes import SIZES
from tests.models.tables import small_network

VECTORS = vectors()
THREADS = (1, 2, 4)
SETTINGS = list(product(ALL_LEVELS, THREADS))


def expect_one_answer(table: Table, inputs: tuple[bytes, ...]) -> None:
    """Every setting gives what the reference gives."""
    expected = run(table, inputs)
    for level, threads in SETTINGS:
        assert in_runtime(table, inputs, level, threads) == expected, (level, threads)


def drawn(table: Table, seed: int) -> tuple[bytes, ...]:
    """Inputs of a table."""
    generator = np.random.default_rng(seed)
    return tuple(
        edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
        for edge in table.inputs
    )


@pytest.mark.parametrize("name", VECTORS)
def test_an_operator_does_not_depend_on_threads_or_optimisation(name):
    expect_one_answer(VECTORS[name].table, VECTORS[name].answers[-1].inputs)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_around_those_of_kernels_do_not_depend_on_threads_or_optimisation(name):
    table = SIZES[name]()
    expect_one_answer(table, drawn(table, 2))


@pytest.mark.parametrize("table", [small_network(), encoder()], ids=["network", "encoder"])
def test_a_network_does_not_depend_on_threads_or_optimisation(table):
    expect_one_answer(table, drawn(table, 1))


def test_a_shipped_model_does_not_depend_on_threads_or_optimisation(model):
    expect_one_answer(model.table, model.known_answers(0)[1].inputs)
    expect_one_answer(model.table, drawn(model.table, 3))


BATCHED = (
    {Opcode.LINEAR, Opcode.MATMUL, Opcode.RESCALE, Opcode.ADD_RESCALE, Opcode.TABLE}
    | {Opcode.ROW_SUM, Opcode.ROW_MAX, Opcode.ARG_MAX, Opcode.DIVIDE_SEARCH, Opcode.ROOT_SEARCH}
    | {Opcode.EMBEDDING, Opcode.TRANSPOSE, Opcode.CONCAT, Opcode.SLICE}
)
"""Operators that may work on several rows of the first axis at once."""


def may_be_batched(table: Table) -> bool:
    """Whether the first axis of every value counts rows that no row of the table mixes."""
    firsts = {edge.shape[0] for edge in table.inputs}
    return len(firsts) == 1 and all(_keeps_rows(table, row) for row in table.rows)


def _keeps_rows(table: Table, row: Row) -> bool:
    match row.opcode:
        case Opcode.MATMUL:
            return all(len(edge.shape) > 2 for edge in table.types_of(row.inputs))
        case Opcode.RESCALE:
            return row.attributes[1] != 0
        case Opcode.TRANSPOSE:
            return row.attributes[0] == 0
        case Opcode.CONCAT | Opcode.SLICE:
            return row.attributes[0] != 0
        case _:
            return row.opcode in BATCHED


def batched(table: Table, size: int) -> Table:
    """The same rows with a first axis that is `size` times as long."""
    builder = TableBuilder([_longer(edge, size) for edge in table.inputs])
    for row in table.rows:
        declared = _longer(row.output_type, size)
        builder.add(row.opcode, row.inputs, row.attributes, row.parameters, declared)
    return builder.table(table.outputs)


def _longer(edge: EdgeType, size: int) -> EdgeType:
    return replace(edge, shape=(edge.shape[0] * size, *edge.shape[1:]))


BATCHES = [name for name, vector in VECTORS.items() if may_be_batched(vector.table)]


def test_every_operator_that_takes_a_batch_is_tried_with_one():
    tried = {row.opcode for name in BATCHES for row in VECTORS[name].table.rows}
    assert tried == BATCHED


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("size", [3, 16])
def test_a_row_of_a_batch_is_what_it_is_alone(name, size):
    vector = VECTORS[name]
    answers = list(islice(cycle(vector.answers), size))
    inputs = tuple(map(b"".join, zip(*(answer.inputs for answer in answers), strict=True)))
    expected = tuple(map(b"".join, zip(*(answer.outputs for answer in answers), strict=True)))
    table = batched(vector.table, size)
    assert run(table, inputs) == expected
    for level in ALL_LEVELS:
        assert in_runtime(table, inputs, level, threads=2) == expected
