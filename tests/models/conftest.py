"""The models of the repository, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nesa.models.folder import CompiledModel, load
from nesa.models.runtime import ShardRunner

MODELS = Path(__file__).resolve().parents[2] / "models"
NAMES = ("breast-cancer-mlp", "digits-cnn")


@pytest.fixture(scope="session", params=NAMES)
def model(request) -> CompiledModel:
    """One model after the other."""
    return load(MODELS / request.param)


@pytest.fixture(scope="session")
def mlp() -> CompiledModel:
    """The breast cancer classifier."""
    return load(MODELS / "breast-cancer-mlp")


@pytest.fixture(scope="session")
def mlp_runner(mlp) -> ShardRunner:
    """Its first shard, ready to run."""
    return ShardRunner(mlp.shard_file(0), mlp.shards[0])
