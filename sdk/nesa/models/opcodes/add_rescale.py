"""AddRescale: `y = clip(floor((a*m0 + b*m1 + 2**(7h-1)) / 128**h), low, high)`, two branches."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

import numpy as np
from onnx import TensorProto, helper

from nesa.models.graph import EXACT_FLOAT32, Integers, Opcode, ParameterKind, Row
from nesa.models.opcodes.interface import (
    EXACT_FLOAT64,
    NodeWriter,
    carrier,
    expect,
    expect_shape,
    largest_magnitude,
)
from nesa.models.opcodes.operands import Column, Fold, Places, coordinates, flat_index
from nesa.models.opcodes.rescale import (
    CIRCUIT_ROWS,
    HALVES_HIGH,
    MULTIPLIER_HIGH,
    MULTIPLIER_LOW,
    clipped,
    floor_by_halves,
    remember,
    rounded,
    within_range,
)
from nesa.protocol.edges import EdgeType


class AddRescale:
    """Brings two tensors to a common scale and adds or subtracts them, rounding once.

    Multipliers int32 [2], one for each input, of either sign and with a magnitude in [1, 8191].
    Attributes (h) with h in [1, 4]. Both inputs have one rank, and every axis one size or, in one
    of them, size 1, which then counts for every place of the other. `low` and `high` are those of
    the declared output type.

    Bound: `max|a| * |m0| + max|b| * |m1| + 2**(7h-1) < 2**53`, so every step is exact in float64.
    """

    code = Opcode.ADD_RESCALE
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The declared type; see `Operator.infer`."""
        expect_shape(row, inputs, arity=2, attributes=1, parameters=1)
        factors = row.parameter(ParameterKind.MULTIPLIERS)
        expect(1 <= row.attributes[0] <= HALVES_HIGH, row, f"h must be in [1, {HALVES_HIGH}]")
        expect(factors.shape == (2,), row, "2 multipliers are needed")
        sizes = np.abs(factors)
        within = sizes.min() >= MULTIPLIER_LOW and sizes.max() <= MULTIPLIER_HIGH
        rule = f"magnitudes of multipliers must be in [{MULTIPLIER_LOW}, {MULTIPLIER_HIGH}]"
        expect(bool(within), row, rule)
        worst = self.largest_decomposed(row, inputs)
        expect(worst < EXACT_FLOAT64, row, f"worst-case sum {worst} is not below 2**53")
        declared = row.output_type
        return EdgeType(declared.dtype, _joint_shape(row, inputs), declared.low, declared.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        first, second = row.parameter(ParameterKind.MULTIPLIERS)
        places = 7 * row.attributes[0]
        total = tensors[0] * first + tensors[1] * second + (1 << (places - 1))
        result: Integers = np.clip(total >> places, row.output_type.low, row.output_type.high)
        return result

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Products by `m / 128**h`, their sum and a half, Floor: no step rounds.

        The half goes to the smaller side, where the first is whole its Floor too. Every step is a
        multiple of the greatest common divisor of multipliers and half, and float32 holds it below
        `2**24` of those.
        """
        kind = TensorProto.FLOAT if self._is_narrow(row, inputs) else TensorProto.DOUBLE
        scale: int = 128 ** row.attributes[0]
        large, small = _sides(row, inputs, names, scale)
        second = small.scaled(scale, kind, writer)
        if large.fraction or small.fraction:
            half = writer.constant(np.array(0.5, helper.tensor_dtype_to_np_dtype(kind)))
            second = writer.node("Add", [second, half])
        if small.fraction and not large.fraction:
            second = writer.node("Floor", [second])
        if large.factor == -scale:
            held = writer.cast(large.name, carrier(large.edge), kind)
            total = writer.node("Sub", [second, held])
        else:
            total = writer.node("Add", [large.scaled(scale, kind, writer), second])
        whole = total if not large.fraction else writer.node("Floor", [total])
        result = clipped(row, whole, writer, kind, _span(row, inputs))
        remember(row, total, 0.0, result, writer, kind)
        return result

    def _is_narrow(self, row: Row, inputs: tuple[EdgeType, ...]) -> bool:
        half = 1 << (7 * row.attributes[0] - 1)
        unit = gcd(half, *row.parameter(ParameterKind.MULTIPLIERS).tolist())
        return self.largest_decomposed(row, inputs) < EXACT_FLOAT32 * unit

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """Whole products, their sum and the half, then h times Div by 128 and Floor."""
        total = _weighted_sum(row, inputs, names, writer)
        return clipped(row, floor_by_halves(total, row.attributes[0], writer), writer)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """The worst-case sum of the two products and the half that is added."""
        factors = row.parameter(ParameterKind.MULTIPLIERS)
        pairs = zip(inputs, factors, strict=True)
        reach = sum(largest_magnitude(edge) * abs(int(factor)) for edge, factor in pairs)
        return reach + (1 << (7 * row.attributes[0] - 1))

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Those of a Rescale and three for the products and their sum."""
        return row.output_type.elements * (CIRCUIT_ROWS[row.attributes[0]] + 3)

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """One element of each input, and both multipliers."""
        place = coordinates(row.output_type.shape, element)
        first, second = (_repeated(edge.shape, place) for edge in inputs)
        factors = Places(ParameterKind.MULTIPLIERS, 0, 1, 2)
        return (Places(0, first),), (Places(1, second),), (factors,)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The sum of both products, rounded once, within the declared range."""
        (first,), (second,), factors = columns
        total = first * factors[0] + second * factors[1]
        return within_range(row, rounded(total, row.attributes[0]))


def _joint_shape(row: Row, inputs: tuple[EdgeType, ...]) -> tuple[int, ...]:
    first, second = (edge.shape for edge in inputs)
    expect(len(first) == len(second), row, "both inputs must have one rank")
    pairs = list(zip(first, second, strict=True))
    fits = all(one == other or min(one, other) == 1 for one, other in pairs)
    expect(fits, row, f"shapes {first} and {second} do not fit each other")
    return tuple(max(pair) for pair in pairs)


def _repeated(shape: tuple[int, ...], place: tuple[int, ...]) -> int:
    """Flat index in an input whose axes of size 1 count for every place of the output."""
    pairs = zip(place, shape, strict=True)
    return flat_index(shape, [coordinate if size > 1 else 0 for coordinate, size in pairs])


class _Side(NamedTuple):
    """One of the two inputs, its multiplier, and whether that leaves fractions."""

    name: str
    edge: EdgeType
    factor: int
    fraction: bool

    def scaled(self, scale: int, kind: int, writer: NodeWriter) -> str:
        """`x * factor / scale` in `kind`."""
        held = writer.cast(self.name, carrier(self.edge), kind)
        if self.factor == scale:
            return held
        factor = np.array(self.factor / scale, helper.tensor_dtype_to_np_dtype(kind))
        return writer.node("Mul", [held, writer.constant(factor)])


def _sides(
    row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], scale: int
) -> tuple[_Side, _Side]:
    """The larger input first; of two that are equally large, the one without fractions."""
    factors = row.parameter(ParameterKind.MULTIPLIERS).tolist()
    first, second = (
        _Side(name, edge, factor, factor % scale != 0)
        for name, edge, factor in zip(names, inputs, factors, strict=True)
    )
    ahead = (first.edge.elements, not first.fraction) >= (second.edge.elements, not second.fraction)
    return (first, second) if ahead else (second, first)


def _span(row: Row, inputs: tuple[EdgeType, ...]) -> tuple[int, int]:
    """Least and largest result before it is clipped."""
    factors = row.parameter(ParameterKind.MULTIPLIERS).tolist()
    ends = [
        sorted((edge.low * factor, edge.high * factor))
        for edge, factor in zip(inputs, factors, strict=True)
    ]
    low, high = (rounded(sum(totals), row.attributes[0]) for totals in zip(*ends, strict=True))
    return low, high


def _weighted_sum(
    row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
) -> str:
    """Both whole products and their sum, in float64."""
    products = []
    factors = row.parameter(ParameterKind.MULTIPLIERS)
    for name, edge, factor in zip(names, inputs, factors, strict=True):
        wide = writer.cast(name, carrier(edge), TensorProto.DOUBLE)
        products.append(writer.node("Mul", [wide, writer.constant(np.array(float(factor)))]))
    return writer.node("Add", products)
