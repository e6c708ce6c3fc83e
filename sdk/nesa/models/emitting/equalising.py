"""How unlike channels share one byte: some of their size goes into the weights behind them.

SmoothQuant (Xiao et al. 2023) divides channel c by max|x_c|^a / max|w_c|^(1-a); which a is best
differs from layer to layer, so it is tried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from nesa.models.quantise import WEIGHT_HIGH, Floats

EXPONENTS: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
FLOORS: Final = (0.02, 0.05, 0.1, 0.2)
"""Smallest channel, as a part of the largest: room for what the calibration has not seen."""
ROWS: Final = 256
"""Rows that candidates are compared on."""


def channel_scales(rows: Floats, weights: Sequence[Floats], high: int) -> Floats:
    """Scales [C] for rows [n, C] with which the layers behind them, [N, C] each, err least.

    A row's integers are `row / scales`, at most `high` in magnitude.
    """
    matrix = np.concatenate(weights)
    shown = rows[:: max(1, len(rows) // ROWS)]
    wanted = shown @ matrix.T
    peaks, columns = np.abs(rows).max(axis=0), np.abs(matrix).max(axis=0)
    found = [
        _candidate(peaks, columns, high, exponent, floor)
        for exponent in EXPONENTS
        for floor in FLOORS
    ]
    errors = [_error(shown, matrix, scales, high, wanted) for scales in found]
    return found[int(np.argmin(errors))]


def _candidate(peaks: Floats, columns: Floats, high: int, exponent: float, floor: float) -> Floats:
    raised = np.maximum(peaks, floor * peaks.max() or 1.0)
    spread = raised**exponent / np.maximum(columns, 1e-9) ** (1 - exponent)
    scales: Floats = spread * float((raised / spread).max()) / high
    return scales


def _error(rows: Floats, matrix: Floats, scales: Floats, high: int, wanted: Floats) -> float:
    """Mean square of what quantised rows and weights change, each output channel alike."""
    steps = np.clip(np.rint(rows / scales), -high, high)
    scaled = matrix * scales
    sizes = np.abs(scaled).max(axis=1, keepdims=True) / WEIGHT_HIGH + 1e-12
    found = steps @ (np.rint(scaled / sizes) * sizes).T
    return float((((found - wanted) ** 2).mean(axis=0) / (wanted.var(axis=0) + 1e-9)).mean())
