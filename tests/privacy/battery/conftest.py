"""Seeds of shares are drawn alike in every run, so that chance is the same each time."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from nesa.privacy.shared import seeds


@pytest.fixture(scope="module", autouse=True)
def _same_seeds() -> Iterator[None]:
    draws = np.random.default_rng(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeds, "secrets", SimpleNamespace(token_bytes=draws.bytes))
        yield
