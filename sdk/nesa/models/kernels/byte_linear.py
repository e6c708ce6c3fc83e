"""A Linear over bytes and the Rescale behind it, by ONNX Runtime's kernels for bytes.

Activations and weights go in as uint8, signed ones with a zero point of 128: products of two
unsigned bytes are summed in int32 without saturation on every x86 processor, those of an unsigned
and a signed byte are not (`vpmaddubsw`). The kernel multiplies the sum by `f = m / 128**h` and adds
`b*f + 1/2` in float32. Why no step rounds where it matters:

* The sum is below 2**24, f has 13 bits: both are exact in float32.
* `sum * f` is a multiple of `128**-h`, and so exact below `2**(24 - 7h)`.
* The constant is one too, and so small that every result inside the declared range comes from a
  product below that bound. A larger product rounds, but stays outside the range, and is clipped.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from onnx import TensorProto

from nesa.models.graph import EXACT_FLOAT32, Integers, ParameterKind, Row
from nesa.models.opcodes.interface import Floored, NodeWriter
from nesa.protocol.edges import DType, EdgeType

NODES: Final = frozenset({"MatMulIntegerToFloat"})
DOMAIN: Final = "com.microsoft"

LEAST_WEIGHTS: Final = 2**15
"""Smaller layers are as fast in float32."""

MOST_OPERANDS: Final = 2**15
"""With more, a sum of products of two unsigned bytes could leave int32."""

_MIDDLE: Final = 128


def fits(linear: Row, rescale: Row, edge: EdgeType) -> bool:
    """Whether the two rows, the first reading a tensor of type `edge`, may take this form."""
    halves, axis = rescale.attributes
    if edge.dtype not in (DType.INT8, DType.UINT8) or halves > 2:
        return False
    weights = linear.parameter(ParameterKind.WEIGHTS)
    if weights.size < LEAST_WEIGHTS or axis not in (-1, len(rescale.output_type.shape) - 1):
        return False
    biases = np.abs(linear.parameter(ParameterKind.BIASES))
    constants = biases * _factors(rescale)
    sums = max(abs(linear.output_type.low), abs(linear.output_type.high)) + int(biases.max())
    declared = rescale.output_type
    reach = max(abs(declared.low), abs(declared.high)) + 1
    exact: int = 2 ** (24 - 7 * halves)
    small = constants.max() / 128.0**halves + 1 + reach < exact
    return bool(small and sums < EXACT_FLOAT32 and weights.shape[1] <= MOST_OPERANDS)


def lower(linear: Row, rescale: Row, edge: EdgeType, name: str, writer: NodeWriter) -> str:
    """Writes the nodes and returns the name of the rescaled output, in float32."""
    scale = 128.0 ** rescale.attributes[0]
    weights = linear.parameter(ParameterKind.WEIGHTS)
    factors = np.broadcast_to(_factors(rescale) / scale, (len(weights),))
    offsets = linear.parameter(ParameterKind.BIASES) * factors + 0.5
    signed = edge.dtype is DType.INT8
    inputs = [
        writer.integers(name, _MIDDLE if signed else 0, TensorProto.UINT8),
        writer.constant((weights.T + _MIDDLE).astype(np.uint8)),
        writer.constant(np.array(1.0, np.float32)),
        writer.constant(factors.astype(np.float32)),
        writer.constant(np.array(_MIDDLE if signed else 0, np.uint8)),
        writer.constant(np.array(_MIDDLE, np.uint8)),
        writer.constant(offsets.astype(np.float32)),
    ]
    product = writer.node("MatMulIntegerToFloat", inputs, domain=DOMAIN)
    low, high = rescale.output_type.low, rescale.output_type.high
    ends = [writer.constant(np.array(bound, np.float32)) for bound in (low, high)]
    output = writer.node("Clip", [writer.node("Floor", [product]), *ends])
    writer.floored[output] = Floored(product, 0.0, low, high)
    return output


def _factors(rescale: Row) -> Integers:
    return rescale.parameter(ParameterKind.MULTIPLIERS)
