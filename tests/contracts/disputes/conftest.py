"""Judges, shared: they have no state."""

from __future__ import annotations

import pytest

from tests.judging import Judges


@pytest.fixture(scope="session")
def judges() -> Judges:
    """Both contracts."""
    return Judges.deploy()
