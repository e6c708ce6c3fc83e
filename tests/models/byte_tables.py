"""Dense layers over bytes, large enough for kernels of their own."""

from __future__ import annotations

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.protocol.edges import DType, EdgeType

ROWS, OPERANDS, CHANNELS = 5, 256, 160

INPUTS = {"int8": (DType.INT8, -128, 127), "uint8": (DType.UINT8, 0, 255)}
OUTPUTS = {
    "int8": (DType.INT8, -127, 127, 2),
    "uint8": (DType.UINT8, 0, 255, 2),
    "int16": (DType.INT16, -32767, 32767, 1),
}


def dense(
    source: str, target: str, seed: int, halves: int | None = None, bias: int = 4000
) -> Table:
    """A Linear and a Rescale by channel; even channels have ends for weights."""
    generator = np.random.default_rng(seed)
    dtype, low, high = INPUTS[source]
    kind, least, most, usual = OUTPUTS[target]
    weights = generator.integers(-127, 128, (CHANNELS, OPERANDS))
    weights[::2] = generator.choice([-127, 127], weights[::2].shape)
    biases = generator.integers(-bias, bias + 1, CHANNELS)
    factors = generator.integers(1, 65 if usual == 2 else 100, CHANNELS)
    factors[1::2] = 64  # meets a tie once in 256 sums
    builder = TableBuilder([EdgeType(dtype, (ROWS, OPERANDS), low, high)])
    constants = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, biases),
    ]
    sums = builder.add(Opcode.LINEAR, [0], (OPERANDS, CHANNELS), constants)
    multipliers = [Parameter(ParameterKind.MULTIPLIERS, factors)]
    declared = EdgeType(kind, (ROWS, CHANNELS), least, most)
    attributes = (halves or usual, 1)
    return builder.table([builder.add(Opcode.RESCALE, [sums], attributes, multipliers, declared)])
