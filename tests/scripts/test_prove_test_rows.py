"""The accuracy that shipped cards state from proofs."""

from pathlib import Path

import numpy as np
import pytest

from nesa.models.folder import load
from nesa.models.reference import run
from scripts.prove_test_rows import evenly, proved_accuracy

MODELS = Path(__file__).parents[2] / "models"


def right_answers(model, rows):
    """How many of the chosen rows the operator table gets right."""
    known = model.test_rows()
    right = 0
    for row in rows:
        tensor = model.input_edge.encode(np.asarray(known.inputs[row]))
        logits = model.output_edge.decode(run(model.table, (tensor,))[0])
        right += int(logits.reshape(-1).argmax()) == int(known.labels[row])
    return right


def test_rows_are_spread_evenly():
    assert evenly(10, 5) == [0, 2, 4, 6, 8]
    assert evenly(171, 40)[-1] < 171
    assert len(set(evenly(171, 40))) == 40
    assert evenly(3, 40) == [0, 1, 2]


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_cards_state_what_the_table_computes_on_the_proved_rows(name):
    """Proofs speak of the table's own integers, so both count the same answers."""
    model = load(MODELS / name)
    accuracy = model.classifier.accuracy
    assert accuracy.proved_rows >= 20
    rows = evenly(accuracy.test_rows, accuracy.proved_rows)
    assert accuracy.proved == right_answers(model, rows) / len(rows)


@pytest.mark.deep
async def test_one_row_is_proved_and_judged():
    model = load(MODELS / "breast-cancer-mlp")
    count, share = await proved_accuracy(MODELS / "breast-cancer-mlp", model, 1)
    assert (count, share) == (1, right_answers(model, [0]))
