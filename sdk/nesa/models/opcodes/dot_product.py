"""What Linear and Conv share: the bound on a sum of int8 products and its worst case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nesa.models.graph import EXACT_FLOAT32, Integers, ParameterKind, Row, is_narrow
from nesa.models.opcodes.interface import expect, largest_magnitude
from nesa.protocol.edges import DType, EdgeType

WEIGHT_LIMIT = 127


def expect_exact_sums(row: Row, edge: EdgeType) -> None:
    """Checks `max_n(|b[n]| + sum_k |w[n,k]| * max|x|) < 2**24`.

    The bound holds for every partial sum too, so float32 adds exactly in any order.

    Raises:
        InvalidModel: it does not hold, a weight is -128, or an operand is no float32.
    """
    expect(is_narrow(edge), row, "operands must be below 2**24")
    weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
    expect(bool(np.abs(weights).max() <= WEIGHT_LIMIT), row, "weights must be in [-127, 127]")
    sums = np.abs(biases) + np.abs(weights).sum(axis=1) * largest_magnitude(edge)
    worst = int(sums.max())
    expect(
        worst < EXACT_FLOAT32, row, f"worst-case sum {worst} is not below 2**24 = {EXACT_FLOAT32}"
    )


def sum_type(row: Row, edge: EdgeType, shape: tuple[int, ...]) -> EdgeType:
    """int32 type whose range is the exact worst case over the channels."""
    low, high = sum_range(row, edge)
    return EdgeType(DType.INT32, shape, int(low.min()), int(high.max()))


def sum_range(row: Row, edge: EdgeType) -> tuple[Integers, Integers]:
    """Lowest and highest sum of every channel, for operands anywhere in the range of `edge`."""
    weights, biases = row.parameter(ParameterKind.WEIGHTS), row.parameter(ParameterKind.BIASES)
    at_low, at_high = weights * edge.low, weights * edge.high
    low = biases + np.minimum(at_low, at_high).sum(axis=1)
    high = biases + np.maximum(at_low, at_high).sum(axis=1)
    return low, high


def dot(first: Sequence[int], second: Sequence[int], added: Sequence[int] = ()) -> int:
    """The sum of the products of two columns in step, and of what is added once."""
    return sum(one * other for one, other in zip(first, second, strict=True)) + sum(added)
