"""The published known answers: fresh, and what the reference and ONNX Runtime compute."""

from __future__ import annotations

import pytest

from nesa.models.check import check_table
from nesa.models.graph import Opcode
from nesa.models.reference import run
from nesa.protocol.digests import boundary_digest
from scripts.export_operator_vectors import PATH, document
from tests.models.onnx_runtime import LEVELS, in_runtime
from tests.models.operator_vectors import vectors

VECTORS = vectors()


def test_the_file_is_what_the_reference_gives():
    assert PATH.read_text() == document(), "run `python -m scripts.export_operator_vectors`"


def test_the_file_is_small_and_holds_every_operator():
    held = {row.opcode for vector in VECTORS.values() for row in vector.table.rows}
    assert held | {Opcode.SHARD} == set(Opcode)
    assert PATH.stat().st_size < 300_000


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_a_legal_table_with_the_answers_of_reference_and_runtime(name):
    vector = VECTORS[name]
    table = vector.table
    check_table(table)
    assert table.operators_root == vector.operators_root
    for answer in vector.answers:
        assert run(table, answer.inputs) == answer.outputs
        assert [in_runtime(table, answer.inputs, level) for level in LEVELS] == [answer.outputs] * 2
        edges = table.types_of(table.outputs)
        assert boundary_digest(edges, answer.outputs) == answer.output_digest


CORNERED = (
    "rescale m=64 h=1 int8",
    "rescale m=127 h=2 int8",
    "rescale m=8191 h=4 uint8",
)


@pytest.mark.parametrize("name", CORNERED)
def test_rescale_vectors_hold_both_sides_of_every_corner(name):
    """Neighbours whose results differ by one, at both clip bounds and between them."""
    table, answer = VECTORS[name].table, VECTORS[name].answers[0]
    edge, result = table.inputs[0], table.rows[-1].output_type
    values = edge.decode(answer.inputs[0]).reshape(-1).tolist()
    results = result.decode(answer.outputs[0]).reshape(-1).tolist()
    found = dict(zip(values, results, strict=True))
    assert {result.low, result.high} <= set(results)
    assert 0 in found
    assert len(found) >= 12
    steps = [(value, found[value], found[value + 1]) for value in found if value + 1 in found]
    assert any(before == result.high - 1 and after == result.high for _, before, after in steps)
