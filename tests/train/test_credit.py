"""The credit model of the examples can be made again, out of the same made-up applicants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs requirements/train.lock")

from nesa.models.folder import load
from nesa.models.lowering import circuit_needs
from scripts import train_credit
from scripts.training import build

pytestmark = pytest.mark.train

COMMITTED = Path(__file__).resolve().parents[2] / "models/hashed/credit-synthetic-hashed"
LOWEST = 0.88


@pytest.fixture(scope="module")
def trained():
    return build(train_credit.network, train_credit.data(), train_credit.TRAINING)


def test_training_again_beats_guessing_the_commoner_label(trained):
    labels = trained.test_rows().labels
    guessed = np.bincount(labels).max() / len(labels)
    assert trained.classifier.accuracy.integer_model >= max(LOWEST, guessed + 0.1)


def test_integers_are_within_one_point_of_floats(trained):
    accuracy = trained.classifier.accuracy
    assert abs(accuracy.integer_model - accuracy.float_model) <= 0.01


def test_one_circuit_holds_it(trained):
    (shard,) = trained.table.shards
    needs = circuit_needs(trained.table, shard)
    assert needs.obstacles == ()


def test_the_committed_version_tells_of_the_same_applicants(trained):
    committed = load(COMMITTED)
    assert committed.classifier.features == trained.classifier.features
    assert committed.classifier.labels == trained.classifier.labels
    assert np.array_equal(committed.test_rows().labels, trained.test_rows().labels)
    assert committed.classifier.accuracy.float_model >= LOWEST
