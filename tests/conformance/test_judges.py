"""The contracts judge every element of every operator as its module defines it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.compile import compile_model
from nesa.models.folder import load
from nesa.models.graph import Opcode, Table
from nesa.models.judging import evaluate
from nesa.models.opcodes import operator
from nesa.models.opcodes.operands import Fold
from scripts.operator_cases import CASES
from tests.judging import Judges, check_table, drawn_inputs, witness_of
from tests.models import float_models
from tests.models.encoder import encoder
from tests.models.tables import TABLES, corners, small_network

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.deploy()


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_judges_agree_on_every_operator(judges, name, data):
    table = data.draw(TABLES[name]())
    witness = witness_of(table, [data.draw(corners(edge)) for edge in table.inputs])
    check_table(judges, witness, 2, np.random.default_rng(data.draw(st.integers(0, 99))))


@pytest.mark.parametrize("name", CASES)
def test_judges_agree_on_published_vectors(judges, name):
    case = CASES[name]
    for inputs in case.runs:
        witness = witness_of(case.table, inputs)
        check_table(judges, witness, 3, np.random.default_rng(len(name)))


def compiled(onnx: bytes, size: int) -> Table:
    """A float model as a table, calibrated with noise."""
    rows = np.random.default_rng(2).normal(0, 1, (32, size)).astype(np.float32)
    return compile_model(onnx, rows).table


NETWORKS = {
    "network": small_network,
    "encoder": encoder,
    "breast-cancer-mlp": lambda: load(MODELS / "breast-cancer-mlp").table,
    "digits-cnn": lambda: load(MODELS / "digits-cnn").table,
    "residual": lambda: compiled(float_models.residual(), 6),
    "convolutions": lambda: compiled(float_models.convolutions(), 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_of_a_network_is_judged(judges, name):
    table, generator = NETWORKS[name](), np.random.default_rng(8)
    witness = witness_of(table, drawn_inputs(table, generator))
    check_table(judges, witness, 4, generator)


def test_every_operator_is_judged_somewhere():
    found = {row.opcode for case in CASES.values() for row in case.table.rows}
    assert found | {Opcode.SHARD} == set(Opcode)


@pytest.mark.parametrize("name", ["linear", "conv", "mat_mul", "row_sum", "row_max", "max_pool"])
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_parts_make_the_whole(judges, name, data):
    table = data.draw(TABLES[name]())
    witness = witness_of(table, [data.draw(corners(edge)) for edge in table.inputs])
    row = table.rows[0]
    place = data.draw(st.integers(0, row.output_type.elements - 1))
    count = witness.extent(0)
    cuts = sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=4))})
    question, parts = witness.question(0, place), []
    for first, stop in pairwise(cuts):
        openings = witness.openings(0, place, first, stop)
        parts.append(judges.evaluate(question, first, stop, openings))
        assert parts[-1] == evaluate(question, first, stop, openings)
    joined = max(parts) if operator(row.opcode).fold is Fold.LARGEST else sum(parts)
    assert joined == witness.values[table.output_of(0)].reshape(-1)[place]
