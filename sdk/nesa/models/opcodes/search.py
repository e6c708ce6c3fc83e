"""What DivideSearch and RootSearch share: the largest number whose product with x fits in 2**k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from onnx import TensorProto

from nesa.models.graph import Integers, Row
from nesa.models.opcodes.interface import NodeWriter, carrier, expect, expect_shape
from nesa.protocol.edges import DType, EdgeType

POWER_HIGH: Final = 52
BITS_HIGH: Final = 24

ROWS_PER_BIT: Final = 18
"""Measured rows of one step for one element, with four digits."""


class SearchAttributes(NamedTuple):
    """Attributes of a search row in their order: `k` of the limit 2**k, and bits of the result."""

    power: int
    bits: int

    @property
    def limit(self) -> int:
        """What the product may not exceed."""
        return 1 << self.power

    @property
    def largest(self) -> int:
        """The largest result, which is also that for every x <= 0."""
        return (1 << self.bits) - 1


def searched_type(
    row: Row, inputs: tuple[EdgeType, ...], find: Callable[[Integers], Integers]
) -> EdgeType:
    """int32 type with the results at both ends of the input's range, since `find` never rises.

    Raises:
        InvalidModel: attributes out of range.
    """
    expect_shape(row, inputs, arity=1, attributes=2, parameters=0)
    search, edge = SearchAttributes(*row.attributes), inputs[0]
    expect(0 <= search.power <= POWER_HIGH, row, f"k must be in [0, {POWER_HIGH}]")
    expect(1 <= search.bits <= BITS_HIGH, row, f"the bits must be in [1, {BITS_HIGH}]")
    low, high = find(np.array([edge.high, edge.low])).tolist()
    return EdgeType(DType.INT32, edge.shape, low, high)


def write_quotient(edge: EdgeType, name: str, limit: int, writer: NodeWriter) -> str:
    """Name of `floor(limit / max(x, 1))` in float64, for a limit of at most 2**52.

    IEEE 754 rounds the quotient once. A quotient that lies below a whole number n lies below it by
    1/x or more, and half a unit of its last place is at most `limit * 2**-53 / x`, which is less:
    it never rounds up to n.
    """
    operand = writer.cast(name, carrier(edge), TensorProto.DOUBLE)
    positive = writer.node("Clip", [operand, writer.constant(np.array(1.0))])
    return writer.node(
        "Floor", [writer.node("Div", [writer.constant(np.array(float(limit))), positive])]
    )


def write_found(row: Row, edge: EdgeType, name: str, found: str, writer: NodeWriter) -> str:
    """Name of the result: at most the largest, which it is for every input `name` below 1."""
    largest = writer.constant(np.array(float(SearchAttributes(*row.attributes).largest)))
    bounded = writer.node("Clip", [found, "", largest])
    if edge.low < 1:
        operand = writer.cast(name, carrier(edge), TensorProto.DOUBLE)
        below = writer.node("Less", [operand, writer.constant(np.array(1.0))])
        bounded = writer.node("Where", [below, largest, bounded])
    return writer.node("Cast", [bounded], to=TensorProto.FLOAT)


def write_search(
    row: Row,
    edge: EdgeType,
    name: str,
    writer: NodeWriter,
    product: Callable[[str, str], str],
) -> str:
    """Name of the result of a search, bit by bit from the highest.

    `product` writes the product of a trial with the input `name` of type `edge`. In float64 a
    product above 2**53 may round, but never across the limit, so every comparison is exact.
    """
    search = SearchAttributes(*row.attributes)
    operand = writer.cast(name, carrier(edge), TensorProto.DOUBLE)
    beyond = writer.constant(np.array(search.limit + 1.0))
    found = writer.node("Mul", [operand, writer.constant(np.array(0.0))])
    for bit in reversed(range(search.bits)):
        weight = writer.constant(np.array(2.0**bit))
        trial = writer.node("Add", [found, weight])
        fits = writer.node("Less", [product(trial, operand), beyond])
        found = writer.node("Where", [fits, trial, found])
    return writer.node("Cast", [found], to=TensorProto.FLOAT)
