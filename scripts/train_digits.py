"""Trains the digit classifier, compiles it and writes `models/digits-cnn/`.

The data is the set of 1797 handwritten digits of 8x8 pixels that scikit-learn brings along. The
network strides instead of pooling and stays small, so that a circuit holds each of its two shards.
Needs requirements/train.lock.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from nesa.models.card import Feature
from nesa.models.description import ClassifierWords
from nesa.models.quantise import Scaling
from nesa.protocol.edges import DType
from scripts.training import Data, Training, train_and_save

FOLDER = Path(__file__).resolve().parent.parent / "models" / "digits-cnn"

TRAINING = Training(seed=7, epochs=120, batch=32, learning_rate=4e-3, weight_decay=1e-2)

BRIGHTEST = 16


def network() -> nn.Module:
    """8x8 pixels, 4x4x4, 2x2x24, ten logits: 170 activations."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 24, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


def data() -> Data:
    """Seventy per cent to train on, thirty to test; pixels in [0, 1]."""
    bunch = load_digits()
    train, test, train_labels, test_labels = train_test_split(
        bunch.images, bunch.target, test_size=0.3, random_state=0, stratify=bunch.target
    )
    features = tuple(
        Feature(name=f"row {row} column {column}", unit="grey value 0 to 16", offset=0.0, step=16.0)
        for row in range(8)
        for column in range(8)
    )
    return Data(
        train=(train[:, None] / BRIGHTEST).astype(np.float32),
        train_labels=train_labels,
        test_features=test[:, None].astype(np.uint8),
        test_labels=test_labels,
        words=words(features),
        input_scaling=Scaling(DType.UINT8, 0, BRIGHTEST, 1 / BRIGHTEST),
    )


def words(features: tuple[Feature, ...]) -> ClassifierWords:
    """The words of the model card."""
    return ClassifierWords(
        features=features,
        name="digits-cnn",
        title="Handwritten digits",
        description="Reads one handwritten digit from 8x8 grey values.",
        data="Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998, CC BY 4.0, "
        "as shipped with scikit-learn",
        licence="Apache-2.0",
        labels=tuple(str(digit) for digit in range(10)),
    )


if __name__ == "__main__":
    print(train_and_save(network, data(), TRAINING, FOLDER))
