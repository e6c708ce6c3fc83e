"""The contracts judge every element of every operator as its module defines it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.graph import Opcode
from nesa.models.judging import Witness, is_refuted
from tests.judging import Judges, witness_of
from tests.models.tables import TABLES, corners


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.deploy()


def drawn_elements(size: int, count: int, generator: np.random.Generator) -> list[int]:
    """The first, the last, and some between."""
    between = generator.choice(size, min(count, size), replace=False).tolist()
    return sorted({0, size - 1, *between})


def check_arg_max(judges: Judges, witness: Witness, index: int, element: int, right: int) -> None:
    """No place refutes the right one, and the right one refutes every other."""
    question = witness.question(index, element)
    row = witness.table.rows[index]
    size = row.attributes[0]

    def refuted(claimed: int, place: int) -> bool:
        places = [element * size + at for at in (claimed, place)]
        opening = witness.open_places(row.inputs[0], places)
        found = judges.element.is_refuted(question.as_abi(), claimed, place, opening.as_abi())
        assert found == is_refuted(question, claimed, place, opening)
        return bool(found)

    for place in range(size):
        if place != right:
            assert not refuted(right, place)
            assert refuted(place, right)


def check_row(judges: Judges, witness: Witness, index: int, elements: list[int]) -> None:
    """Compares elements of a row with the reference."""
    wanted = witness.values[witness.table.output_of(index)].reshape(-1)
    for element in elements:
        right = int(wanted[element])
        if witness.table.rows[index].opcode is Opcode.ARG_MAX:
            check_arg_max(judges, witness, index, element, right)
        else:
            assert judges.element_of(witness, index, element) == right


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_judges_agree_on_every_operator(judges, name, data):
    table = data.draw(TABLES[name]())
    inputs = tuple(data.draw(corners(edge)) for edge in table.inputs)
    witness = witness_of(table, inputs)
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    for index, row in enumerate(table.rows):
        check_row(judges, witness, index, drawn_elements(row.output_type.elements, 2, generator))
