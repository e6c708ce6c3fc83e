"""What the battery says of what leaves a split training: the truth about made-up cases."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.privacy.battery.findings import Attack, Finding, Measure
from nesa.privacy.battery.training import Observed, audit_training
from nesa.protocol.errors import InvalidInput

ROWS, WIDTH, LABELS, KNOWN = 300, 8, 4, 60
DRAWS = np.random.default_rng(1)
FEATURES = DRAWS.normal(size=(ROWS, WIDTH)).astype(np.float32)
TRUTH = DRAWS.integers(0, LABELS, ROWS)
NOTHING = DRAWS.normal(size=(ROWS, 6)).astype(np.float32)


def found(activations: np.ndarray, gradients: np.ndarray) -> dict[tuple[Attack, str], Finding]:
    seen = Observed(FEATURES, TRUTH, activations, gradients)
    return {
        (each.attack, each.tried.split(":")[0].split(" ")[0]): each
        for each in audit_training(seen, KNOWN)
    }


def test_noise_alone_tells_nothing() -> None:
    assert all(each.is_chance for each in found(NOTHING, NOTHING[:, :3]).values())


def test_a_mixing_of_the_features_is_undone() -> None:
    mixed = FEATURES @ DRAWS.normal(size=(WIDTH, 12)).astype(np.float32)
    findings = found(mixed, NOTHING)
    assert findings[Attack.T6, "activations"].recovery > 0.99
    assert findings[Attack.T7, "activations"].recovery > 0.8
    assert findings[Attack.T6, "gradients"].is_chance


def test_noise_takes_as_much_as_it_is() -> None:
    """A decoder explains no more than signal over signal and noise."""
    mixed = FEATURES @ np.linalg.qr(DRAWS.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
    blurred = mixed + DRAWS.normal(size=mixed.shape).astype(np.float32)
    assert 0.3 < found(blurred, NOTHING)[Attack.T6, "activations"].recovery < 0.55


def test_gradients_tell_the_labels() -> None:
    """As they are of a softmax behind one layer: what the label pulls at."""
    pull = np.eye(LABELS, dtype=np.float32)[TRUTH] @ DRAWS.normal(size=(LABELS, 5))
    findings = found(NOTHING, (pull + 0.1 * NOTHING[:, :5]).astype(np.float32))
    assert findings[Attack.T5, "gradients"].measure is Measure.LABELS
    assert findings[Attack.T5, "gradients"].recovery > 0.99
    assert findings[Attack.T5, "activations"].is_chance


@pytest.mark.parametrize("known", [0, 7, ROWS - 7])
def test_too_few_rows_are_refused(known: int) -> None:
    seen = Observed(FEATURES, TRUTH, NOTHING, NOTHING)
    with pytest.raises(InvalidInput, match="8 known rows"):
        audit_training(seen, known)
