"""What a card states is what this machine finds again, for labels and for tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nesa.cli import compiling
from nesa.models.card import Feature, TensorCard, Tokens
from nesa.models.description import ClassifierWords, TensorWords
from nesa.models.folder import load, save
from nesa.models.measuring import EvaluationRows, check_measured, fidelity, integer_outputs
from nesa.models.verify import check_folder
from nesa.protocol.errors import IntegrityError, InvalidModel
from tests.models.float_models import two_layers
from tests.models.simplifying.test_inputs import model as several_inputs
from tests.models.simplifying.test_inputs import rows

WORDS: dict[str, Any] = {
    "name": "two-layers",
    "title": "Two layers",
    "description": "Six numbers in, three out.",
    "data": "random",
    "licence": "Apache-2.0",
    "features": (Feature(name="number", unit="", offset=1.0, step=2.0),),
}
ROWS = np.random.default_rng(3).normal(0, 2, (40, 6)) + 1


def data(labels=None) -> compiling.Data:
    return compiling.Data((ROWS - 1) / 2, EvaluationRows(ROWS, labels))


def regression(percentile=99.9):
    words = TensorWords(task="regression", **WORDS)
    return compiling.compile_from_files(
        two_layers(), data(), words, compiling.Plan(percentile=percentile)
    )[0]


@pytest.fixture(scope="module")
def model():
    return regression()


def test_a_tensor_is_measured_against_the_float_model(model):
    card = model.card
    assert isinstance(card, TensorCard)
    assert card.fidelity.test_rows == 40
    assert card.fidelity.lowest_cosine > 0.99
    assert card.fidelity.mean_cosine >= card.fidelity.lowest_cosine
    assert 0 < card.fidelity.relative_error < 0.05
    assert model.test_rows().labels.shape == (40, 1, 3)


def test_such_a_model_is_saved_loaded_and_checked(model, tmp_path):
    save(model, tmp_path)
    assert load(tmp_path, expected=model.root).card == model.card
    check_folder(tmp_path)


def test_a_card_that_states_more_than_was_found_is_refused(model):
    rows = model.test_rows()
    answers = integer_outputs(model.table, rows.inputs)
    check_measured(model.card, answers, rows)
    better = model.card.fidelity.model_copy(update={"mean_cosine": 1.0, "lowest_cosine": 1.0})
    with pytest.raises(IntegrityError, match="the card states"):
        check_measured(model.card.model_copy(update={"fidelity": better}), answers, rows)
    with pytest.raises(IntegrityError):
        check_measured(model.card, [-answer for answer in answers], rows)


def test_the_cosine_of_opposite_tensors_is_minus_one(model):
    rows = model.test_rows()
    opposite = [np.rint(-label / model.card.output_scale) for label in rows.labels]
    found = fidelity(model.card, opposite, rows)
    assert found.mean_cosine < -0.999
    assert found.relative_error == pytest.approx(2, abs=0.01)


def test_answers_of_zeros_have_no_direction_and_are_no_error(model):
    rows = model.test_rows()
    nothing = [np.zeros(answer.shape, np.int64) for answer in rows.labels]
    assert fidelity(model.card, nothing, rows).mean_cosine == 0


def test_a_classifier_needs_a_label_for_every_row():
    words = ClassifierWords(labels=("a", "b", "c"), **WORDS)
    for labels in (None, np.zeros(39, np.int64)):
        with pytest.raises(InvalidModel, match="one label each"):
            compiling.compile_from_files(two_layers(), data(labels), words, compiling.Plan())


def test_labels_beyond_a_byte_are_kept():
    labels = np.full(40, 700)
    names = tuple(str(number) for number in range(3))
    words = ClassifierWords(labels=names, **WORDS)
    compiled, _ = compiling.compile_from_files(two_layers(), data(labels), words, compiling.Plan())
    assert compiled.test_rows().labels.tolist() == [700] * 40
    assert compiled.classifier.accuracy.integer_model == 0


def test_a_lower_percentile_clips_more(model):
    clipped = regression(percentile=60.0)
    assert clipped.card.fidelity.relative_error > model.card.fidelity.relative_error


def test_tampered_rows_are_found(model, tmp_path):
    rows = model.test_rows()
    card = model.card.model_copy(update={"fidelity": fidelity(model.card, [*rows.labels], rows)})
    save(replace(model, card=card), tmp_path)
    with pytest.raises(IntegrityError, match="the card states"):
        check_folder(tmp_path)


def test_a_model_of_several_inputs_is_measured_by_its_token_ids():
    """As BERT is exported: the mask follows from the padding that the words name."""
    words = TensorWords(
        task="embedding",
        tokens=Tokens(tokenizer="letters", padding=0),
        **{**WORDS, "features": (Feature(name="token id", unit="", offset=0.0, step=1.0),)},
    )
    given = compiling.Data(rows(32).astype(float), EvaluationRows(rows(8), None))
    onnx = several_inputs("attention_mask", "token_type_ids")
    plan = compiling.Plan(percentile=100.0)
    compiled, _ = compiling.compile_from_files(onnx, given, words, plan)
    assert isinstance(compiled.card, TensorCard)
    assert compiled.card.fidelity.lowest_cosine > 0.99
