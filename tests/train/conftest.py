"""Spares every run that leaves these tests out the import of torch and scikit-learn."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collects nothing here where the markers that were asked for leave all of it out."""
    return True if "not train" in config.option.markexpr else None
