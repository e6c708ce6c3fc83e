"""A convolution with some nodes behind it, compiled and compared with the float model."""

from __future__ import annotations

import numpy as np

from nesa.models.compile import Compiled, compile_model
from nesa.models.runtime import session
from tests.models.float_models import build, draws, expect_agreement, node, real_output

SIZE = 7
WEIGHTS = {"w": draws(np.random.default_rng(6), 4, 3, 3, 3)}
FIRST = node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def images(count: int = 32) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 1, (count, 3, SIZE, SIZE)).astype(np.float32)


def compiled(nodes, constants=None) -> tuple[bytes, Compiled]:
    """Float model with a convolution in front of the nodes, and what it becomes."""
    onnx = build([FIRST, *nodes], WEIGHTS | (constants or {}), [1, 3, SIZE, SIZE], "y", opset=18)
    return onnx, compile_model(onnx, images(), percentile=100.0)


def close(nodes, constants=None, part: float = 0.04) -> Compiled:
    """The compiled model, once it agrees with the float model and everywhere with itself."""
    onnx, made = compiled(nodes, constants)
    runner = session(onnx)
    for row in images(6):
        (wanted,) = runner.run(None, {"x": row[None]})
        found = real_output(made, row)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= part * max(1.0, np.abs(wanted).max())
    expect_agreement(made, images(2))
    return made
