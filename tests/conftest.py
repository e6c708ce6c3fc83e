"""What every test gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Commands send the process's logs to a stream that ends with their test."""
    yield
    structlog.reset_defaults()
