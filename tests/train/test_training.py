"""The committed models can be trained again, and quantising costs at most one point.

Float training differs in its last bits between machines, so the weights are not compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")
pytest.importorskip("sklearn", reason="needs requirements/train.lock")

from nesa.models.folder import load
from nesa.models.lowering import circuit_needs
from scripts import train_breast_cancer, train_digits
from scripts.training import build

pytestmark = pytest.mark.train

SCRIPTS = {"breast-cancer-mlp": train_breast_cancer, "digits-cnn": train_digits}
LOWEST = {"breast-cancer-mlp": 0.93, "digits-cnn": 0.94}
MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture(scope="module", params=SCRIPTS)
def trained(request):
    """A model trained just now, not written anywhere."""
    script = SCRIPTS[request.param]
    return build(script.network, script.data(), script.TRAINING)


def test_training_again_is_as_good(trained):
    assert trained.card.accuracy.float_model >= LOWEST[trained.name]


def test_integers_are_within_one_point_of_floats(trained):
    accuracy = trained.card.accuracy
    assert abs(accuracy.integer_model - accuracy.float_model) <= 0.01


def test_the_new_model_can_be_proved_in_two_shards(trained):
    needs = [circuit_needs(trained.table, shard) for shard in trained.table.shards]
    assert [need.obstacles for need in needs] == [(), ()]
    assert all(need.rows < 2**15 for need in needs)


def test_the_committed_card_tells_of_the_same_data(trained):
    committed, card = load(MODELS / trained.name).classifier, trained.classifier
    assert committed.features == card.features
    assert committed.labels == card.labels
    assert committed.accuracy.test_rows == card.accuracy.test_rows
    assert committed.accuracy.float_model >= LOWEST[trained.name]
    assert abs(committed.accuracy.float_model - card.accuracy.float_model) <= 0.03
