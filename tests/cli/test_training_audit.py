"""The audit of a split training, on data in any order."""

from __future__ import annotations

import numpy as np

from nesa.cli.training import Recorder
from nesa.privacy.battery.findings import Attack
from nesa.privacy.split.training.client import Rows, Sent


def test_the_observer_knows_rows_of_all_labels_also_where_data_stand_in_their_order() -> None:
    """Activations that say the label are found to; an observer of the first rows knew one label."""
    draws = np.random.default_rng(1)
    labels = np.repeat(np.arange(8), 32)
    rows = Rows(draws.normal(size=(256, 4)).astype(np.float32), labels)
    said = np.eye(8, dtype=np.float32)[labels]
    recorder = Recorder(256)
    recorder.watch(Sent(0, np.arange(256), said, said))
    found = [one for one in recorder.findings(rows) if one.attack is Attack.T5]
    assert found
    assert all(one.recovery > 0.9 for one in found)
