"""What `nesa model compile` does with the words and files it is given."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nesa.cli.compiling import Data, fine_tuned
from nesa.models.measuring import EvaluationRows
from nesa.protocol.errors import InvalidConfiguration
from tests.models.float_models import two_layers

ROWS = Data(np.zeros((2, 6)), EvaluationRows(np.zeros((1, 6)), np.zeros(1)))


def test_fine_tuning_without_torch_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InvalidConfiguration, match="install it, or leave --fine-tune out"):
        fine_tuned(two_layers(), ROWS, epochs=1)
