"""Softmax, LayerNorm and RMSNorm as rows of a table.

All of them work along the last axis and share one idea: the search for a reciprocal runs once a
row, on one number, and a product scales the row by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, isqrt, log2, prod, sqrt
from typing import Final, NamedTuple

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.graph import Integers, Opcode, Parameter, ParameterKind
from nesa.models.opcodes.lookup import ENTRIES
from nesa.models.opcodes.rescale import (
    HALVES_HIGH,
    MULTIPLIER_HIGH,
)
from nesa.models.opcodes.search import POWER_HIGH
from nesa.models.opcodes.wide_sum import SUM_LIMIT
from nesa.models.quantise import PRECISE, Floats, Scaling, quantise_factor, quantise_layer
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

SHARE_HIGH: Final = 254
"""What a share of 1 is in the output of a softmax; 254 / 2**29 is a multiplier without error."""

_POWER: Final = 29
_SHARE_BITS: Final = 15
_EXPONENTIAL_HIGH: Final = 2**15 - 1
_ROOT_BITS: Final = 16
_FINE: Final = 2**15 - 1


@dataclass(frozen=True, slots=True)
class Written:
    """Number of a value that has been written, and what one step of it is worth."""

    value: int
    scale: float


def softmax(builder: TableBuilder, scores: Written) -> Written:
    """`exp(x) / sum exp(x)` over the last axis, as uint8 in steps of 1/254.

    Differences to the largest score beyond 255 steps count as 255.

    Raises:
        InvalidModel: the scores are so fine that 255 steps below the largest still matter.
    """
    edge = builder.type_of(scores.value)
    reach = min(edge.high - edge.low, ENTRIES - 1)
    if edge.high - edge.low > reach and exp(-reach * scores.scale) * _EXPONENTIAL_HIGH >= 0.5:
        raise InvalidModel(f"scores in steps of {scores.scale} are too fine for a softmax")
    size = edge.shape[-1]
    largest = builder.add(Opcode.ROW_MAX, [scores.value], (size,))
    declared = EdgeType(DType.UINT8, edge.shape, 0, reach)
    below = builder.add_rescaled((largest, scores.value), (128, -128), 1, declared)
    powers = _exponentials(builder, below, scores.scale)
    total = builder.add(Opcode.ROW_SUM, [powers], (size,))
    inverse = builder.add(Opcode.DIVIDE_SEARCH, [total], (_POWER, _SHARE_BITS))
    products = scaled(builder, powers, inverse)
    declared = EdgeType(DType.UINT8, edge.shape, 0, SHARE_HIGH)
    shares = builder.rescale(products, [SHARE_HIGH // 2], 4, declared)
    return Written(shares, 1 / SHARE_HIGH)


def layer_norm(builder: TableBuilder, value: int, least: float, scaling: Scaling) -> Written:
    """`(x - mean) / deviation` over the last axis, in steps of about `scaling.scale`.

    `least`, in steps of `x`, is the smallest deviation that is made 1; the rows below it come out
    smaller, as with an epsilon.

    Raises:
        InvalidModel: no multiplier gives such steps, or a bound is not kept.
    """
    size = builder.type_of(value).shape[-1]
    fine = _centred(builder, value, _FINE)
    coarse = _centred(builder, value, _squarable(size))
    return _normalised(builder, fine, coarse, least, scaling)


def rms_norm(builder: TableBuilder, value: int, least: float, scaling: Scaling) -> Written:
    """`x / root of the mean square` over the last axis, in steps of about `scaling.scale`.

    `least`, in steps of `x`, is the smallest root that is made 1; the rows below it come out
    smaller, as with an epsilon.

    Raises:
        InvalidModel: no multiplier gives such steps, or a bound is not kept.
    """
    edge = builder.type_of(value)
    limit = _squarable(edge.shape[-1])
    fine = coarse = Written(value, 1.0)
    reach = max(abs(edge.low), abs(edge.high))
    if reach > limit:
        multiplier, halves = _factor_below(limit / reach)
        declared = EdgeType(DType.INT32, edge.shape, -limit, limit)
        narrowed = builder.rescale(value, [multiplier], halves, declared)
        coarse = Written(narrowed, 128.0**halves / multiplier)
    return _normalised(builder, fine, coarse, least, scaling)


def affine(
    builder: TableBuilder, source: Written, gains: Floats, offsets: Floats, scaling: Scaling
) -> Written:
    """`gain * x + offset` with one gain and offset for every place of the last axis.

    Raises:
        InvalidModel: no multiplier brings the sums to the output's scale.
    """
    shape = builder.type_of(source.value).shape
    rows, size = prod(shape[:-1]), shape[-1]
    layer = quantise_layer(gains[:, None], offsets, source.scale, scaling.scale)
    flat = builder.add(Opcode.RESHAPE, [source.value], (rows, size))
    turned = builder.add(Opcode.TRANSPOSE, [flat], (1, 0))
    image = builder.add(Opcode.RESHAPE, [turned], (1, size, rows, 1))
    constants = [
        Parameter(ParameterKind.WEIGHTS, layer.weights),
        Parameter(ParameterKind.BIASES, layer.biases),
    ]
    window = (size, rows, 1, size, 1, 1, 1, 1, 0, 0, 0, 0)
    sums = builder.add(Opcode.CONV, [image], window, constants)
    declared = scaling.edge((1, size, rows, 1))
    scaled = builder.rescale(sums, layer.multipliers, layer.halves, declared, axis=1)
    columns = builder.add(Opcode.RESHAPE, [scaled], (size, rows))
    back = builder.add(Opcode.TRANSPOSE, [columns], (1, 0))
    return Written(builder.add(Opcode.RESHAPE, [back], shape), layer.scale)


def _exponentials(builder: TableBuilder, below: int, scale: float) -> int:
    """`exp(-x)` as int16, 32767 standing for 1."""
    edge = builder.type_of(below)
    entries = np.zeros(ENTRIES, np.int64)
    entries[: edge.high + 1] = _powers(edge.high, scale)
    declared = EdgeType(DType.INT16, edge.shape, 0, _EXPONENTIAL_HIGH)
    parameter = Parameter(ParameterKind.ENTRIES, entries)
    return builder.add(Opcode.TABLE, [below], (0,), [parameter], declared)


def _powers(last: int, scale: float) -> Integers:
    whole: Integers = np.rint(_EXPONENTIAL_HIGH * np.exp(-scale * np.arange(last + 1)))
    return whole.astype(np.int64)


def _squarable(size: int) -> int:
    """Largest magnitude of which `size` squares fit a sum."""
    return min(isqrt((SUM_LIMIT - 1) // size), _FINE)


def _centred(builder: TableBuilder, value: int, reach: int) -> Written:
    """`x - mean(x)` in steps so fine that it just stays within `reach`; its scale in steps of x."""
    edge = builder.type_of(value)
    size = edge.shape[-1]
    limit, halves = _factor_below(reach / max(edge.high - edge.low, 1))
    centring = _centring(size, limit, max(abs(edge.low), abs(edge.high)))
    total = builder.add(Opcode.ROW_SUM, [value], (size,))
    declared = centring.type_of_mean(builder, total)
    mean = builder.rescale(total, [centring.multiplier], centring.halves, declared)
    declared = EdgeType(DType.INT32, edge.shape, -reach, reach)
    signs = centring.own, -centring.mean
    centred = builder.add_rescaled((value, mean), signs, halves, declared)
    return Written(centred, 128.0**halves / centring.own)


def _factor_below(factor: float) -> tuple[int, int]:
    """Largest multiplier, and its halves, that is not above `factor`, nor above 64."""
    for halves in range(1, HALVES_HIGH + 1):
        multiplier = min(floor(factor * 128.0**halves), MULTIPLIER_HIGH)
        if multiplier >= PRECISE:
            return multiplier, halves
    raise InvalidModel(f"a rescale by {factor} needs more than {HALVES_HIGH} halves")


class _Centring(NamedTuple):
    """`own*x - mean*(sum rescaled by multiplier / 128**halves)` is `own` times the difference."""

    error: float
    own: int
    mean: int
    multiplier: int
    halves: int

    def type_of_mean(self, builder: TableBuilder, total: int) -> EdgeType:
        """Type of the rescaled sum, with just the range that it can have."""
        edge, places = builder.type_of(total), 7 * self.halves
        half = 1 << (places - 1)
        low, high = ((end * self.multiplier + half) >> places for end in (edge.low, edge.high))
        return EdgeType(DType.INT32, edge.shape, low, high)


def _centring(size: int, limit: int, reach: int) -> _Centring:
    """The multipliers that keep closest to the mean, that of `x` at or just below `limit`.

    A single multiplier may be off by a part in 128, which a mean as large as `reach` would turn
    into an offset; a coarse mean is off by half of its step.
    """
    owns = np.arange(limit, max(limit * 3 // 4, PRECISE) - 1, -1)[:, None]
    means = np.arange(PRECISE, 4 * PRECISE)[None, :]
    found = []
    for halves in range(1, HALVES_HIGH + 1):
        wanted = owns * 128.0**halves / (means * size)
        whole = np.rint(wanted)
        fits = (whole >= PRECISE) & (whole <= MULTIPLIER_HIGH)
        offsets = np.abs(whole / wanted - 1) * owns * reach + means / 2
        errors = np.where(fits, offsets, np.inf)
        row, column = np.unravel_index(np.argmin(errors), errors.shape)
        pair = int(owns[row, 0]), int(means[0, column])
        found.append(_Centring(errors[row, column], *pair, int(whole[row, column]), halves))
    best = min(found)
    if best.error == np.inf:
        raise InvalidModel(f"rows of {size} values cannot be centred")
    return best


def _normalised(
    builder: TableBuilder, fine: Written, coarse: Written, least: float, scaling: Scaling
) -> Written:
    """`fine` divided by the root of the mean square of `coarse`."""
    if least <= 0:
        raise InvalidModel(f"the smallest deviation must be positive, not {least}")
    shape = builder.type_of(fine.value).shape
    size = shape[-1]
    squares = _squares(builder, coarse.value)
    deviation = least / coarse.scale * sqrt(size)
    power = min(floor(2 * log2(deviation * 2**_ROOT_BITS)), POWER_HIGH)
    inverse = builder.add(Opcode.ROOT_SEARCH, [squares], (power, _ROOT_BITS))
    products = scaled(builder, fine.value, inverse)
    step = fine.scale * sqrt(size) / (coarse.scale * 2 ** (power / 2))
    multiplier, halves = quantise_factor(step / scaling.scale)
    declared = scaling.edge(shape)
    normal = builder.rescale(products, [multiplier], halves, declared)
    return Written(normal, step * 128.0**halves / multiplier)


def _squares(builder: TableBuilder, value: int) -> int:
    """Sum of the squares of every row, [rows, 1, 1]."""
    shape = builder.type_of(value).shape
    rows, size = prod(shape[:-1]), shape[-1]
    lying = builder.add(Opcode.RESHAPE, [value], (rows, 1, size))
    standing = builder.add(Opcode.RESHAPE, [value], (rows, size, 1))
    return builder.add(Opcode.MATMUL, [lying, standing], (1, size, 1))


def scaled(builder: TableBuilder, value: int, factors: int) -> int:
    """Every run of `value` times its factor; a run is a row or a number, as many as factors."""
    edge, count = builder.type_of(value), builder.type_of(factors).elements
    size = edge.elements // count
    standing = builder.add(Opcode.RESHAPE, [value], (count, size, 1))
    single = builder.add(Opcode.RESHAPE, [factors], (count, 1, 1))
    products = builder.add(Opcode.MATMUL, [standing, single], (size, 1, 1))
    return builder.add(Opcode.RESHAPE, [products], edge.shape)
