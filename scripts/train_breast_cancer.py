"""Trains the breast cancer classifier, compiles it and writes `models/breast-cancer-mlp/`.

The data is the Wisconsin diagnostic set that scikit-learn brings along: 30 measurements of the
nuclei of cells, and whether the tumour was benign. Needs requirements/train.lock.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

from nesa.models.card import Feature
from nesa.models.description import ClassifierWords
from scripts.training import Data, Training, train_and_save

FOLDER = Path(__file__).resolve().parent.parent / "models" / "breast-cancer-mlp"

TRAINING = Training(seed=7, epochs=60, batch=32, learning_rate=2e-3, weight_decay=1e-3)

UNITS = {
    "radius": "micrometre",
    "perimeter": "micrometre",
    "area": "square micrometre",
    "texture": "standard deviation of grey values",
}


def network() -> nn.Module:
    """30-64-32-2 with ReLU."""
    return nn.Sequential(
        nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2)
    )


def data() -> Data:
    """Seventy per cent to train on, thirty to test; features in standard deviations."""
    bunch = load_breast_cancer()
    train, test, train_labels, test_labels = train_test_split(
        bunch.data, bunch.target, test_size=0.3, random_state=0, stratify=bunch.target
    )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    features = tuple(
        Feature(name=str(name), unit=_unit(str(name)), offset=float(middle), step=float(spread))
        for name, middle, spread in zip(bunch.feature_names, mean, deviation, strict=True)
    )
    return Data(
        train=((train - mean) / deviation).astype(np.float32),
        train_labels=train_labels,
        test_features=test,
        test_labels=test_labels,
        words=words(features),
    )


def words(features: tuple[Feature, ...]) -> ClassifierWords:
    """The words of the model card."""
    return ClassifierWords(
        features=features,
        name="breast-cancer-mlp",
        title="Breast cancer: malignant or benign",
        description="Classifies a tumour by 30 measurements of cell nuclei in a digitised image of "
        "a fine needle aspirate. A demonstration, not a medical device.",
        data="Breast Cancer Wisconsin (Diagnostic), Wolberg, Street and Mangasarian 1995, "
        "CC BY 4.0, as shipped with scikit-learn",
        licence="Apache-2.0",
        labels=("malignant", "benign"),
    )


def _unit(name: str) -> str:
    known = [unit for quantity, unit in UNITS.items() if quantity in name]
    return known[0] if known else "ratio"


if __name__ == "__main__":
    print(train_and_save(network, data(), TRAINING, FOLDER))
