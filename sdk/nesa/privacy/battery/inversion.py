"""T6: read activations back, with the public embedding alone or with a trained decoder.

The decoder is ridge regression from a state to what entered the model at its place, trained on the
attacker's own text through the public model; the nearest public row to what it says is the guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.nearest import directions, nearest
from nesa.privacy.battery.views import Floats, Items


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """`weights` [width + 1, outputs] from a state and a one to what it was made from."""

    weights: NDArray[np.float64]

    def read(self, states: NDArray[Any]) -> Floats:
        """[n, outputs] for states [n, width]."""
        return (_with_one(states) @ self.weights).astype(np.float32)


def train(states: NDArray[Any], targets: NDArray[Any], penalty: float = 1e-3) -> Decoder:
    """Ridge regression of targets [n, outputs] on states [n, width].

    `penalty` is in parts of the mean square of a state's channel.
    """
    values = _with_one(states)
    products = values.T @ values
    products += np.eye(len(products)) * penalty * np.trace(products) / len(products)
    return Decoder(np.linalg.solve(products, values.T @ np.asarray(targets, np.float64)))


def nearest_directions(rows: Floats, table: Floats) -> Items:
    """The row of `table` [V, width] with the highest cosine to each of `rows` [n, width]."""
    return nearest(directions(rows), directions(table))[:, 0]


def explained(truth: NDArray[Any], guess: NDArray[Any], mean: NDArray[Any]) -> float:
    """Share of the variance of `truth` around the public `mean` that `guess` explains.

    All of it is 1; guessing the mean is 0, and guessing worse is less.
    """
    left = np.square(np.asarray(truth, np.float64) - guess).sum()
    whole = np.square(np.asarray(truth, np.float64) - mean).sum()
    return 1.0 - float(left / whole) if whole else 0.0


def _with_one(states: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(states, np.float64)
    return np.column_stack([values, np.ones(len(values))])
