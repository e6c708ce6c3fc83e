"""Products: the linear maps that groups apply to shares, as tables, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.graph import Held, Integers, Opcode, Parameter, ParameterKind, Row, Table
from nesa.models.opcodes.conv import ConvAttributes
from nesa.models.opcodes.dot_product import sum_range
from nesa.privacy.shared.digits import Bytes, Digits, digits_for
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from nesa.protocol.messages import MAX_TENSOR_BYTES

LEAST_OPERANDS: Final = 8
"""Of a dot product. A client that shares one adds up three digits from each of two groups, and
waits; up to here it multiplies as fast."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Accumulators of one row of the public table: the value that it writes, and how to get there.

    `biases` broadcast to `shape`; `low` is the lowest sum without them.
    """

    value: int
    shape: tuple[int, ...]
    biases: Integers
    low: int


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One linear map of the value with number `value`, for one or more rows that read it.

    A group runs `table`: one row, digits of a share in, sums of digits out, no biases.
    """

    value: int
    shape: tuple[int, ...]
    digits: Digits
    sums: tuple[Sums, ...]
    table: Table

    @property
    def row(self) -> Row:
        """The only row of the table."""
        return self.table.rows[0]

    @property
    def input_edge(self) -> EdgeType:
        """Type of a share's digits."""
        return self.table.inputs[0]

    @property
    def output_edge(self) -> EdgeType:
        """Type of the sums."""
        return self.row.output_type

    def combined(self, first: Held, second: Held) -> dict[int, Integers]:
        """Accumulators of the public table by the number of their value, from both groups' sums.

        Right where both are; nothing here notices a wrong one.
        """
        count, total = self.digits.count, first.astype(np.int64) + second
        if self.row.opcode is Opcode.CONV:
            channels = total.shape[1] // count
            joined = self.digits.join(total.reshape(count, 1, channels, *total.shape[2:]))
            return {sums.value: self._centred(joined, sums) for sums in self.sums}
        joined = self.digits.join(total.reshape(count, -1, *total.shape[1:]))
        ends = np.cumsum([sums.shape[-1] for sums in self.sums])[:-1]
        parts = np.split(joined, ends, axis=-1)
        pairs = zip(self.sums, parts, strict=True)
        return {sums.value: self._centred(part, sums) for sums, part in pairs}

    def _centred(self, residues: Integers, sums: Sums) -> Integers:
        return (residues - sums.low & self.digits.modulus - 1) + sums.low + sums.biases

    def digits_of(self, share: Bytes) -> Bytes:
        """Digits [count, ..] of a share in the shape in which a group takes them."""
        return share.reshape(self.input_edge.shape)


def is_shared(row: Row) -> bool:
    """Whether groups compute the row: it is linear, and long enough to be worth a round.

    Short ones are the constants of a table and per-channel factors.
    """
    if row.opcode not in (Opcode.LINEAR, Opcode.CONV):
        return False
    return row.held(ParameterKind.WEIGHTS).shape[1] >= LEAST_OPERANDS


def product_of(table: Table, value: int, indices: Sequence[int]) -> Product:
    """The product for the rows `indices` of the table, Linear ones or a single Conv, all of which
    read `value`.

    Raises:
        InvalidModel: a tensor of it is too long for one message.
    """
    rows, edge = [table.rows[index] for index in indices], table.type_of(value)
    reach = EdgeType(edge.dtype, edge.shape, min(edge.low, 0), max(edge.high, 0))
    ranges = [_unbiased(row, reach) for row in rows]
    weights = np.concatenate([row.parameter(ParameterKind.WEIGHTS) for row in rows])
    span = max(high - low for low, high in ranges)
    digits = digits_for(int(np.abs(weights).sum(axis=1).max()), span)
    sums = tuple(
        Sums(table.output_of(index), row.output_type.shape, _biases(row), low)
        for index, row, (low, _) in zip(indices, rows, ranges, strict=True)
    )
    made = _table(rows[0], weights, edge.shape, digits)
    product = Product(value, edge.shape, digits, sums, made)
    longest = max(product.input_edge.nbytes, product.output_edge.nbytes)
    if longest > MAX_TENSOR_BYTES:
        raise InvalidModel(
            f"row {indices[0]} takes {longest:,} bytes of shares and a message at most "
            f"{MAX_TENSOR_BYTES:,}; compile the model for shorter inputs"
        )
    return product


def _unbiased(row: Row, reach: EdgeType) -> tuple[int, int]:
    """Lowest and highest sum without the bias."""
    low, high = sum_range(row, reach)
    biases = row.parameter(ParameterKind.BIASES)
    return int((low - biases).min()), int((high - biases).max())


def _biases(row: Row) -> Integers:
    biases = row.parameter(ParameterKind.BIASES)
    return biases.reshape(-1, 1, 1) if row.opcode is Opcode.CONV else biases


def _table(row: Row, weights: Integers, shape: tuple[int, ...], digits: Digits) -> Table:
    """Digits lie behind each other: along the first axis, of an image along its channels."""
    count, image = digits.count, row.opcode is Opcode.CONV
    attributes: tuple[int, ...] = (weights.shape[1], weights.shape[0])
    stacked = (count * shape[0], *shape[1:])
    if image:
        window = ConvAttributes(*row.attributes)
        attributes = window._replace(channels=count * shape[1], groups=count * window.groups)
        stacked, weights = (1, count * shape[1], *shape[2:]), np.tile(weights, (count, 1))
    builder = TableBuilder([EdgeType(DType.UINT8, stacked, 0, (1 << digits.width) - 1)])
    constants = [
        Parameter(ParameterKind.WEIGHTS, weights.astype(np.int8)),
        Parameter(ParameterKind.BIASES, np.zeros(len(weights), np.int32)),
    ]
    return builder.table([builder.add(row.opcode, [0], attributes, constants)])
