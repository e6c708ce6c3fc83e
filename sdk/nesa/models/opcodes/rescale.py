"""Rescale: `y = clip(floor((x*m + 2**(7h-1)) / 128**h), low, high)`, a product with a fraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto, helper

from nesa.models.graph import Integers, Opcode, ParameterKind, Row, is_narrow
from nesa.models.opcodes.interface import (
    EXACT_FLOAT64,
    Floored,
    NodeWriter,
    carrier,
    expect,
    expect_shape,
    largest_magnitude,
)
from nesa.models.opcodes.operands import Column, Fold, Places, coordinates
from nesa.protocol.edges import EdgeType

MULTIPLIER_LOW: Final = 1
MULTIPLIER_HIGH: Final = 8191
HALVES_HIGH: Final = 4
WHOLE_TENSOR: Final = -1

MANY_ELEMENTS: Final = 4096
"""Smaller tensors gain nothing from other forms than those of files already published."""

CIRCUIT_ROWS: Final = {1: 125, 2: 185, 3: 280, 4: 400}
"""About how many rows of a circuit one element takes, by halves."""


class Rescale:
    """Brings accumulators to a narrower type by the factor `m / 128**h`, rounding half up.

    Multipliers int32 in [1, 8191], [1] for the whole tensor or [C] along an axis. Attributes
    (h, axis) with h in [1, 4] and axis -1 for the whole tensor. `low` and `high` are those of the
    declared output type; the shape stays.

    Bound: `max|x| * max(m) + 2**(7h-1) < 2**53`, so every step is exact in float64.
    """

    code = Opcode.RESCALE
    unprovable = ""
    fold = Fold.WHOLE

    def infer(self, row: Row, inputs: tuple[EdgeType, ...]) -> EdgeType:
        """The declared type; see `Operator.infer`."""
        expect_shape(row, inputs, arity=1, attributes=2, parameters=1)
        halves, axis = row.attributes
        factors, shape = row.parameter(ParameterKind.MULTIPLIERS), inputs[0].shape
        expect(1 <= halves <= HALVES_HIGH, row, f"h must be in [1, {HALVES_HIGH}]")
        within = factors.min() >= MULTIPLIER_LOW and factors.max() <= MULTIPLIER_HIGH
        expect(bool(within), row, f"multipliers must be in [{MULTIPLIER_LOW}, {MULTIPLIER_HIGH}]")
        expect(WHOLE_TENSOR <= axis < len(shape), row, f"axis {axis} does not exist")
        size = 1 if axis == WHOLE_TENSOR else shape[axis]
        expect(factors.shape == (size,), row, f"{size} multipliers are needed")
        worst = self.largest_decomposed(row, inputs)
        expect(worst < EXACT_FLOAT64, row, f"worst-case product {worst} is not below 2**53")
        declared = row.output_type
        return EdgeType(declared.dtype, shape, declared.low, declared.high)

    def reference(self, row: Row, tensors: tuple[Integers, ...]) -> Integers:
        """See the head of the module."""
        halves, _ = row.attributes
        rounded = (tensors[0] * _aligned(row) + (1 << (7 * halves - 1))) >> (7 * halves)
        return np.clip(rounded, row.output_type.low, row.output_type.high)

    def lower_ort(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """`Floor(x * (m / 128**h) + 0.5)`: the same integer, since no step rounds where it matters.

        A product is a multiple of `128**-h`. Float32 holds it below `2**(24 - 7h)`; where the
        declared range ends before, a product that rounds lies outside and is clipped. A factor of
        1 leaves nothing but the Clip, and one factor for all takes no notice of views.
        """
        if row.output_type.elements < MANY_ELEMENTS:
            return _published_form(row, inputs, names, writer)
        halves, axis = row.attributes
        if not (row.parameter(ParameterKind.MULTIPLIERS) != 128**halves).any():
            return clipped(
                row, names[0], writer, carrier(inputs[0]), (inputs[0].low, inputs[0].high)
            )
        source = writer.source(names[0]) if axis == WHOLE_TENSOR else names[0]
        kind = TensorProto.FLOAT if _fits_float32(row, inputs[0]) else TensorProto.DOUBLE
        product = _product(row, inputs[0], source, writer, kind)
        result = floored(row, product, 0.5, writer, kind, _span(row, inputs[0]))
        return result if source == names[0] else writer.reshape(result, row.output_type.shape)

    def lower_ezkl(
        self, row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
    ) -> str:
        """h times Div by 128 with a Floor right behind it: the only division ezkl gets right."""
        halves, _ = row.attributes
        wide = writer.cast(names[0], carrier(inputs[0]), TensorProto.DOUBLE)
        factors = writer.constant(_aligned(row).astype(np.float64))
        product = writer.node("Mul", [wide, factors])
        return clipped(row, floor_by_halves(product, halves, writer), writer)

    def largest_decomposed(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """`max|x| * max(m)` and the half that is added."""
        halves, _ = row.attributes
        factor = int(row.parameter(ParameterKind.MULTIPLIERS).max())
        return int(largest_magnitude(inputs[0]) * factor + (1 << (7 * halves - 1)))

    def circuit_rows(self, row: Row, inputs: tuple[EdgeType, ...]) -> int:
        """Measured rows of one element with four digits, times the elements."""
        return row.output_type.elements * CIRCUIT_ROWS[row.attributes[0]]

    def operands(self, row: Row, inputs: tuple[EdgeType, ...], element: int) -> tuple[Column, ...]:
        """The accumulator and its multiplier."""
        _, axis = row.attributes
        whole = axis == WHOLE_TENSOR
        channel = 0 if whole else coordinates(row.output_type.shape, element)[axis]
        return (Places(0, element),), (Places(ParameterKind.MULTIPLIERS, channel),)

    def judge(self, row: Row, columns: Sequence[Sequence[int]]) -> int:
        """The product, halved `7h` times with half added once, within the declared range."""
        (value,), (factor,) = columns
        return within_range(row, rounded(value * factor, row.attributes[0]))


def _fits_float32(row: Row, edge: EdgeType) -> bool:
    """Whether a product in float32 is exact wherever the result lies inside the declared range."""
    reach = max(abs(row.output_type.low), abs(row.output_type.high)) + 1
    exact: int = 2 ** (24 - 7 * row.attributes[0]) if row.attributes[0] < 4 else 0
    return is_narrow(edge) and reach < exact


def _published_form(
    row: Row, inputs: tuple[EdgeType, ...], names: Sequence[str], writer: NodeWriter
) -> str:
    """In float64 throughout, as in the files of models that are published already."""
    wide = writer.cast(names[0], carrier(inputs[0]), TensorProto.DOUBLE)
    factors = writer.constant(_aligned(row).astype(np.float64) / 128.0 ** row.attributes[0])
    product = writer.node("Mul", [wide, factors])
    shifted = writer.node("Add", [product, writer.constant(np.array(0.5))])
    return clipped(row, writer.node("Floor", [shifted]), writer)


def _product(row: Row, edge: EdgeType, source: str, writer: NodeWriter, kind: int) -> str:
    """`source`, a tensor of type `edge` or what it is a view of, times `m / 128**h`.

    What is a product itself takes the factor on its smaller side: `|x| * m < 2**53` holds for the
    product of all three, and so for that of two.
    """
    halves, axis = row.attributes
    scales = _aligned(row) / 128.0**halves
    if axis == WHOLE_TENSOR:
        scales = scales.reshape(())
    factors = writer.constant(scales.astype(helper.tensor_dtype_to_np_dtype(kind)))
    if source in writer.products and kind == carrier(edge) == TensorProto.DOUBLE:
        large, small = writer.products[source]
        return writer.node("Mul", [large, writer.node("Mul", [small, factors])])
    return writer.node("Mul", [writer.cast(source, carrier(edge), kind), factors])


def _span(row: Row, edge: EdgeType) -> tuple[int, int]:
    """Least and largest result before it is clipped."""
    factors = row.parameter(ParameterKind.MULTIPLIERS)
    ends = [
        rounded(end * int(factor), row.attributes[0])
        for end in (edge.low, edge.high)
        for factor in (factors.min(), factors.max())
    ]
    return min(ends), max(ends)


def _aligned(row: Row) -> Integers:
    """Multipliers in a shape that broadcasts along the row's axis."""
    _, axis = row.attributes
    factors = row.parameter(ParameterKind.MULTIPLIERS)
    rank = len(row.output_type.shape)
    if axis == WHOLE_TENSOR:
        return factors.reshape((1,) * rank)
    return factors.reshape([-1 if place == axis else 1 for place in range(rank)])


def floor_by_halves(name: str, halves: int, writer: NodeWriter) -> str:
    """Half of `128**halves` added once, then that many times Div by 128 and Floor behind it."""
    half = writer.constant(np.array(2.0 ** (7 * halves - 1)))
    current = writer.node("Add", [name, half])
    divisor = writer.constant(np.array(128.0))
    for _ in range(halves):
        current = writer.node("Floor", [writer.node("Div", [current, divisor])])
    return current


def floored(
    row: Row, unrounded: str, lift: float, writer: NodeWriter, kind: int, span: tuple[int, int]
) -> str:
    """The floor of `unrounded`, held in `kind`, and `lift`, clipped; `span` as in `clipped`."""
    shifted = unrounded
    if lift:
        constant = np.array(lift, helper.tensor_dtype_to_np_dtype(kind))
        shifted = writer.node("Add", [unrounded, writer.constant(constant)])
    result = clipped(row, writer.node("Floor", [shifted]), writer, kind, span)
    remember(row, unrounded, lift, result, writer, kind)
    return result


def remember(
    row: Row, unrounded: str, lift: float, result: str, writer: NodeWriter, kind: int
) -> None:
    """Lets bytes be made of `unrounded` without a detour, where float32 holds their fractions."""
    edge = row.output_type
    if kind == TensorProto.FLOAT and row.attributes[0] <= 2 and result != unrounded:
        writer.floored[result] = Floored(unrounded, lift, edge.low, edge.high)


def clipped(
    row: Row,
    name: str,
    writer: NodeWriter,
    held_kind: int = TensorProto.DOUBLE,
    span: tuple[int, int] | None = None,
) -> str:
    """`name`, held in `held_kind`, in the element type of the output and in the declared range.

    The cast may round a value beyond 2**24, but never across a bound of the range. An end of the
    range that `span`, the least and the largest value, does not pass is left out.
    """
    kind, edge = carrier(row.output_type), row.output_type
    held = writer.cast(name, held_kind, kind)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    below, above = (True, True) if span is None else (span[0] < edge.low, span[1] > edge.high)
    if not (below or above):
        return held
    low = writer.constant(np.array(edge.low).astype(dtype)) if below else ""
    high = [writer.constant(np.array(edge.high).astype(dtype))] if above else []
    return writer.node("Clip", [held, low, *high])


def rounded(total: int, halves: int) -> int:
    """`total / 128**halves` to the nearest integer, half up."""
    return (total + (1 << (7 * halves - 1))) >> (7 * halves)


def within_range(row: Row, value: int) -> int:
    """`value`, or the end of the row's declared range that it lies beyond."""
    return min(max(value, row.output_type.low), row.output_type.high)
