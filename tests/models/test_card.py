"""Real numbers in, labels or numbers out."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from nesa.models.card import (
    Accuracy,
    AnyCard,
    ClassifierCard,
    Feature,
    Fidelity,
    TensorCard,
    Tokens,
)
from nesa.models.index import word
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidTensor

INPUT = EdgeType(DType.INT8, (1, 3), -127, 127)
LOGITS = EdgeType(DType.INT16, (1, 2), -32767, 32767)
PLACE = EdgeType(DType.INT16, (1, 1), 0, 1)


def card(output: EdgeType = LOGITS, **changes) -> ClassifierCard:
    """A card with three features: degrees, metres and a ratio."""
    facts = {
        "name": "weather",
        "title": "Weather",
        "task": "classification",
        "description": "Rain or sun.",
        "data": "none",
        "licence": "Apache-2.0",
        "labels": ("rain", "sun"),
        "features": (
            Feature(name="temperature", unit="degree Celsius", offset=10.0, step=0.5),
            Feature(name="height", unit="metre", offset=0.0, step=100.0),
            Feature(name="humidity", unit="ratio", offset=0.5, step=0.01),
        ),
        "input_type": word(INPUT.pack()),
        "output_type": word(output.pack()),
        "output_scale": 0.01,
        "accuracy": Accuracy(test_rows=1, float_model=1.0, integer_model=1.0),
    }
    return ClassifierCard(**{**facts, **changes})


def test_features_become_whole_steps_from_their_offset():
    values = np.array([12.0, -250.0, 0.505])
    assert card().quantise_input(values).tolist() == [[4, -2, 1]]


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_the_leading_one_may_be_left_out(shape):
    assert card().quantise_input(np.zeros(shape)).shape == (1, 3)


def test_whole_numbers_are_numbers():
    assert card().quantise_input(np.array([10, 100, 0])).tolist() == [[0, 1, -50]]


def test_values_outside_the_range_are_clipped_and_named():
    values = np.array([1e300, 0.0, -5.0])
    assert card().quantise_input(values).tolist() == [[127, 0, -127]]
    assert card().clipped_features(values) == ("temperature", "humidity")
    assert card().clipped_features(np.array([10.0, 0.0, 0.5])) == ()


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(2),
        np.zeros((3, 1)),
        np.zeros((2, 3)),
        np.array([np.nan, 0, 0]),
        np.array([0, np.inf, 0]),
        np.array(["1", "2", "3"]),
        np.array([1j, 0, 0]),
        np.array([True, False, True]),
    ],
    ids=range(8),
)
def test_what_is_not_a_row_of_finite_numbers_is_refused(values):
    with pytest.raises(InvalidTensor):
        card().quantise_input(values)
    with pytest.raises(InvalidTensor):
        card().clipped_features(values)


def test_the_largest_logit_names_the_label():
    answer = card().interpret(np.array([[-100, 200]]))
    assert (answer.label, answer.index, answer.logits) == ("sun", 1, (-1.0, 2.0))
    assert answer.scores[1] == pytest.approx(1 / (1 + np.exp(-3)))


def test_of_equal_logits_the_first_wins():
    assert card().interpret(np.array([[7, 7]])).label == "rain"


def test_a_place_names_the_label_too():
    answer = card(PLACE).interpret(np.array([[1]]))
    assert (answer.label, answer.index, answer.logits, answer.scores) == ("sun", 1, (), ())


@pytest.mark.parametrize("output", [np.array([1, 2]), np.array([[0.5, 1]]), np.array([[0, 40000]])])
def test_what_is_not_an_output_is_refused(output):
    with pytest.raises(InvalidTensor):
        card().interpret(output)


def test_every_field_changes_the_digest():
    changes = {"title": "Wetter", "labels": ("sun", "rain"), "output_scale": 0.02}
    digests = {card(LOGITS, **{name: value}).digest for name, value in changes.items()}
    assert len(digests | {card().digest}) == len(changes) + 1


def test_a_card_survives_json():
    assert ClassifierCard.model_validate_json(card().model_dump_json()) == card()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../etc"},
        {"output_scale": 0.0},
        {"output_scale": float("nan")},
        {"input_type": "0x" + "00" * 32},
        {"task": "prophecy"},
        {"extra": 1},
    ],
    ids=range(6),
)
def test_a_card_with_an_impossible_field_is_refused(change):
    with pytest.raises(ValidationError):
        card(**change)


IDS = EdgeType(DType.INT16, (1, 5), 0, 99)
VECTOR = EdgeType(DType.INT16, (1, 4), -32767, 32767)


def tensor_card(**changes) -> TensorCard:
    """A card of an embedding of up to five token ids."""
    shared = card().model_dump(include={"title", "description", "data", "licence"})
    facts = {
        "name": "words",
        "task": "embedding",
        "features": (Feature(name="token id", unit="", offset=0.0, step=1.0),),
        "input_type": word(IDS.pack()),
        "output_type": word(VECTOR.pack()),
        "output_scale": 0.001,
        "tokens": Tokens(tokenizer="letters", padding=0),
        "fidelity": Fidelity(
            test_rows=3, mean_cosine=0.99, lowest_cosine=-0.5, relative_error=0.02
        ),
    }
    return TensorCard(**{**shared, **facts, **changes})


def test_one_feature_may_stand_for_all():
    assert len(tensor_card().element_features) == 5
    assert tensor_card(tokens=None).quantise_input(np.arange(5)).tolist() == [[0, 1, 2, 3, 4]]
    assert tensor_card(tokens=None).clipped_features(np.full(5, 200)) == ("token id",) * 5


def test_short_rows_of_tokens_are_filled_up():
    filled = tensor_card(tokens=Tokens(tokenizer="letters", padding=7))
    assert filled.quantise_input(np.array([3, 99])).tolist() == [[3, 99, 7, 7, 7]]
    assert filled.quantise_input(np.zeros((1, 5))).tolist() == [[0, 0, 0, 0, 0]]


@pytest.mark.parametrize("ids", [[-1], [100], [1.5], [float("nan")], [1, 2, 3, 4, 5, 6]])
def test_what_is_no_row_of_tokens_is_refused(ids):
    with pytest.raises(InvalidTensor):
        tensor_card().quantise_input(np.array(ids))


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "classification"},
        {"labels": ("rain", "sun")},
        {"fidelity": None},
        {"tokens": {"tokenizer": "letters", "padding": -1}},
    ],
)
def test_what_is_no_tensor_card_is_refused(changes):
    with pytest.raises(ValidationError):
        tensor_card(**changes)


def test_the_task_says_which_card_is_read():
    reader = TypeAdapter(AnyCard)
    for one in (card(), tensor_card()):
        assert reader.validate_json(one.model_dump_json()) == one
    with pytest.raises(ValidationError):
        reader.validate_json(tensor_card().model_dump_json().replace("embedding", "guessing"))
