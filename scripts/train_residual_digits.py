"""Trains a residual network on the digits and writes it as `nesa model compile` takes it.

Small, yet with what larger vision networks are made of: batch normalisation, depthwise and
pointwise convolutions, two residual sums, both poolings, two branches of different resolution
that are joined again, and SiLU. Data as in `scripts/train_digits.py`. Needs
requirements/train.lock.

    python -m scripts.train_residual_digits .build/residual-digits
    cd .build/residual-digits
    nesa model compile model.onnx data.npz words.json --output compiled
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from scripts import train_digits
from scripts.training import Data, Training, train, write_float_model

TRAINING = Training(seed=7, epochs=40, batch=32, learning_rate=4e-3, weight_decay=1e-2)

STEM = 16
JOINED = 2 * STEM


def convolution(channels: int, filters: int, size: int, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the resolution, and its normalisation."""
    layer = nn.Conv2d(channels, filters, size, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(filters))


def separable(channels: int) -> nn.Sequential:
    """Every channel by itself, then the channels with each other."""
    return nn.Sequential(
        convolution(channels, channels, 3, groups=channels),
        nn.ReLU(),
        convolution(channels, channels, 1),
    )


class Residual(nn.Module):
    """`relu(x + branch(x))`."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, features: Tensor) -> Tensor:
        """[n, C, H, W] to the same."""
        return torch.relu(features + self.branch(features))


class Branches(nn.Module):
    """A fine branch, and one that sees the surroundings at half the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(separable(STEM), nn.ReLU())
        self.coarse = nn.Sequential(
            nn.AvgPool2d(2), convolution(STEM, STEM, 1), nn.ReLU(), nn.Upsample(scale_factor=2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[n, 16, H, W] to [n, 32, H, W]."""
        return torch.cat([self.fine(features), self.coarse(features)], dim=1)


def network() -> nn.Module:
    """8x8 pixels, 16 channels at 8x8, 32 at 4x4, ten logits."""
    first = nn.Sequential(convolution(STEM, STEM, 3), nn.ReLU(), convolution(STEM, STEM, 3))
    return nn.Sequential(
        convolution(1, STEM, 3),
        nn.SiLU(),
        Residual(first),
        nn.MaxPool2d(2),
        Branches(),
        Residual(separable(JOINED)),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * JOINED, 10),
    )


def data() -> Data:
    """The digits, under this model's name."""
    rows = train_digits.data()
    words = {
        "name": "residual-digits",
        "title": "Handwritten digits, residual",
        "description": "Reads one handwritten digit from 8x8 grey values with a residual network.",
    }
    return replace(rows, words=rows.words.model_copy(update=words))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains and writes the folder that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write model, data and words")
    folder = parser.parse_args(arguments).folder
    rows = data()
    model = train(network, rows, TRAINING)
    write_float_model(model, rows, folder)
    print(f"{folder}: {len(rows.train)} rows to train on, {len(rows.test_labels)} to test")


if __name__ == "__main__":
    main()
