"""Trains a credit model on made-up applicants, and writes it without circuits.

Nobody's data are in it: applicants and whether they paid back come out of a seeded generator, whose
rule is below. What the model knows is that rule, and its accuracy says nothing about real loans.
Needs requirements/train.lock.

    python -m scripts.train_credit .build/credit-synthetic
    nesa model circuits .build/credit-synthetic --kind hashed \\
        --output models/hashed/credit-synthetic-hashed
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nesa.models.card import Feature
from nesa.models.description import ClassifierWords
from scripts.training import Data, Training, train_and_save

TRAINING = Training(seed=11, epochs=40, batch=64, learning_rate=3e-3, weight_decay=1e-3, shards=1)

SEED = 2024
TRAIN_ROWS, TEST_ROWS = 4_000, 1_000

FEATURES = (
    ("monthly income", "EUR"),
    ("monthly fixed expenses", "EUR"),
    ("savings", "EUR"),
    ("other debts", "EUR"),
    ("instalment asked for", "EUR a month"),
    ("years in this job", "years"),
    ("late payments in two years", "payments"),
    ("open credit lines", "lines"),
)

REFUSED, GRANTED = 0, 1


def network() -> nn.Module:
    """8-24-2 with ReLU."""
    return nn.Sequential(nn.Linear(len(FEATURES), 24), nn.ReLU(), nn.Linear(24, 2))


def applicants(rows: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Made-up applicants, [rows, 8] in the units of `FEATURES`."""
    income = random.gamma(6.0, 550.0, rows).clip(900.0, 12_000.0)
    return np.column_stack(
        [
            income,
            income * random.uniform(0.25, 0.85, rows),
            random.gamma(1.5, 5_000.0, rows).clip(0.0, 60_000.0),
            random.gamma(1.2, 6_000.0, rows).clip(0.0, 60_000.0),
            random.uniform(50.0, 1_200.0, rows),
            random.gamma(1.8, 3.0, rows).clip(0.0, 30.0),
            random.poisson(0.8, rows).clip(0, 8),
            random.poisson(2.0, rows).clip(0, 10),
        ]
    )


def paid_back(people: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """Who pays back, [rows] int64: by what is left each month, with chance on top."""
    income, expenses, savings, debts, instalment, years, late, lines = people.T
    left = (income - expenses - instalment - debts / 60.0) / 500.0
    inclined = 0.9 * left + savings / 12_000.0 + 0.12 * years - 0.9 * late - 0.15 * lines
    is_paid = inclined + random.logistic(0.0, 0.5, len(people)) > 0.0
    return np.asarray(is_paid, np.int64)


def data() -> Data:
    """Four thousand made-up applicants to train on and a thousand to test."""
    random = np.random.default_rng(SEED)
    people = applicants(TRAIN_ROWS + TEST_ROWS, random)
    labels = paid_back(people, random)
    train, test = people[:TRAIN_ROWS], people[TRAIN_ROWS:]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    features = tuple(
        Feature(name=name, unit=unit, offset=float(middle), step=float(spread))
        for (name, unit), middle, spread in zip(FEATURES, mean, deviation, strict=True)
    )
    return Data(
        train=((train - mean) / deviation).astype(np.float32),
        train_labels=labels[:TRAIN_ROWS],
        test_features=test,
        test_labels=labels[TRAIN_ROWS:],
        words=words(features),
    )


def words(features: tuple[Feature, ...]) -> ClassifierWords:
    """The words of the model card."""
    return ClassifierWords(
        name="credit-synthetic",
        title="Credit: refused or granted, on made-up applicants",
        description="Says of eight numbers about an applicant whether a credit is granted. "
        "A demonstration: it knows a made-up rule, and nothing about people.",
        data="Synthetic: 5000 applicants out of the seeded generator in scripts/train_credit.py",
        licence="Apache-2.0",
        features=features,
        labels=("refused", "granted"),
    )


def main() -> None:
    """Writes the folder that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the compiled model")
    print(train_and_save(network, data(), TRAINING, parser.parse_args().folder))


if __name__ == "__main__":
    main()
