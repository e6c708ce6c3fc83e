"""Public models and the two groups that serve them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.models.folder import load
from nesa.privacy.shared.session import SharedModel
from tests.models.encoder import encoder

from .parties import Group

MODELS = Path(__file__).resolve().parents[3] / "models"


@pytest.fixture(scope="session")
def mlp() -> SharedModel:
    """The breast cancer classifier."""
    return SharedModel(load(MODELS / "breast-cancer-mlp").table)


@pytest.fixture(scope="session")
def cnn() -> SharedModel:
    """The digits classifier."""
    return SharedModel(load(MODELS / "digits-cnn").table)


@pytest.fixture(scope="session")
def transformer() -> SharedModel:
    """A very small encoder with attention and norms."""
    return SharedModel(encoder())


@pytest.fixture
def groups(mlp) -> tuple[Group, Group]:
    """Two groups of four for the breast cancer classifier."""
    return Group("first", mlp, 1, 4), Group("second", mlp, 11, 4)
