"""Sums of every size at which a matrix or convolution kernel changes over to its remainder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.protocol.edges import EdgeType
from scripts.operator_cases import drawn, int8, signed, uint8


def linear(lines: int, size: int, channels: int, edge: Callable[..., EdgeType] = int8) -> Table:
    """A dense layer."""
    builder = TableBuilder([edge(1, lines, size)])
    constants = [
        Parameter(ParameterKind.WEIGHTS, signed((channels, size), size + channels)),
        Parameter(ParameterKind.BIASES, 9 * signed((channels,), channels)),
    ]
    return builder.table([builder.add(Opcode.LINEAR, [0], (size, channels), constants)])


def conv(channels: int, filters: int, groups: int, kernel: int) -> Table:
    """A square convolution that keeps the size of its 9 x 7 image."""
    builder = TableBuilder([int8(1, channels, 9, 7)])
    operands = channels // groups * kernel * kernel
    constants = [
        Parameter(ParameterKind.WEIGHTS, signed((filters, operands), filters + kernel)),
        Parameter(ParameterKind.BIASES, 7 * signed((filters,), channels)),
    ]
    pad = kernel // 2
    attributes = (channels, 9, 7, groups, kernel, kernel, 1, 1, pad, pad, pad, pad)
    return builder.table([builder.add(Opcode.CONV, [0], attributes, constants)])


def product(lines: int, size: int, columns: int) -> Table:
    """A product of two activations."""
    builder = TableBuilder([int8(2, lines, size), int8(2, size, columns)])
    return builder.table([builder.add(Opcode.MATMUL, [0, 1], (lines, size, columns))])


def inputs(table: Table, seed: int) -> tuple[bytes, ...]:
    """Drawn inputs, many of them at the ends of their ranges."""
    edges = enumerate(table.inputs)
    return tuple(edge.encode(drawn(edge, seed + place)) for place, edge in edges)


SIZES: dict[str, Callable[[], Table]] = {
    **{f"linear M={m} K=64 N=32": partial(linear, m, 64, 32) for m in (1, 2, 3, 5, 12, 17)},
    **{f"linear M=4 K={k} N=16": partial(linear, 4, k, 16) for k in (1, 3, 4, 7, 31, 129, 512)},
    **{f"linear M=3 K=20 N={n}": partial(linear, 3, 20, n) for n in (1, 7, 15, 17, 33, 65)},
    **{f"linear uint8 M=2 K={k} N=9": partial(linear, 2, k, 9, uint8) for k in (2, 63, 257)},
    **{f"conv C={c} N={n}": partial(conv, c, n, 1, 3) for c, n in ((1, 8), (3, 16), (16, 24))},
    **{f"conv depthwise C={c}": partial(conv, c, c, c, 3) for c in (4, 8, 16, 17)},
    "conv 1x1 C=32 N=32": partial(conv, 32, 32, 1, 1),
    "conv grouped C=16 N=32": partial(conv, 16, 32, 4, 3),
    **{f"mat_mul K={k}": partial(product, 5, k, 9) for k in (1, 2, 31, 64)},
}
