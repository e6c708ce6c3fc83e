"""Small tables with chosen inputs, one operator in each: the corners where programs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.graph import Integers, Opcode, Parameter, ParameterKind, Table
from nesa.protocol.edges import DType, EdgeType

WEIGHTS, BIASES = ParameterKind.WEIGHTS, ParameterKind.BIASES
MULTIPLIERS, ENTRIES = ParameterKind.MULTIPLIERS, ParameterKind.ENTRIES
LARGEST: Final = 2**24 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A table and the inputs it is run with, as canonical bytes."""

    table: Table
    runs: tuple[tuple[bytes, ...], ...]


Constants = dict[ParameterKind, Integers | Sequence[int]]


def int8(*shape: int) -> EdgeType:
    """Signed bytes in [-127, 127]."""
    return EdgeType(DType.INT8, shape, -127, 127)


def uint8(*shape: int) -> EdgeType:
    """Unsigned bytes."""
    return EdgeType(DType.UINT8, shape, 0, 255)


def int16(*shape: int) -> EdgeType:
    """The whole of int16."""
    return EdgeType(DType.INT16, shape, -32768, 32767)


def int32(reach: int, *shape: int) -> EdgeType:
    """int32 in [-reach, reach]."""
    return EdgeType(DType.INT32, shape, -reach, reach)


def case(
    opcode: Opcode,
    inputs: Sequence[EdgeType],
    attributes: Sequence[int],
    constants: Constants,
    runs: Sequence[Sequence[object]],
    declared: EdgeType | None = None,
) -> Case:
    """One row that reads every input; each run names one array, or one number, for each input."""
    builder = TableBuilder(inputs)
    parameters = [Parameter(kind, np.array(values)) for kind, values in constants.items()]
    value = builder.add(opcode, range(len(inputs)), attributes, parameters, declared)
    return finished(builder, value, inputs, runs)


def finished(
    builder: TableBuilder, value: int, inputs: Sequence[EdgeType], runs: Sequence[Sequence[object]]
) -> Case:
    """The case whose output is `value`."""
    encoded = tuple(
        tuple(edge.encode(filled(edge, values)) for edge, values in zip(inputs, given, strict=True))
        for given in runs
    )
    return Case(builder.table([value]), encoded)


def filled(edge: EdgeType, values: object) -> Integers:
    """A tensor of type `edge` from a number for every place, or from all of its elements."""
    array = np.asarray(values, dtype=np.int64)
    if array.size == 1:
        return np.full(edge.shape, array.reshape(-1)[0])
    return array.reshape(edge.shape)


def drawn(edge: EdgeType, seed: int) -> Integers:
    """A tensor of type `edge` with every fourth element at an end of the range.

    A linear congruence rather than a library's generator, so that the file never changes.
    """
    state, values = seed * 2654435761 % 2**32, []
    for place in range(edge.elements):
        state = (1664525 * state + 1013904223) % 2**32
        span = edge.high - edge.low + 1
        ends = (edge.low, edge.high)
        values.append(ends[state >> 31] if place % 4 == 3 else edge.low + (state >> 4) % span)
    return np.array(values).reshape(edge.shape)


def signed(shape: Sequence[int], seed: int) -> Integers:
    """Weights in [-127, 127]."""
    return drawn(int8(*shape), seed)


def ends(*edges: EdgeType) -> list[list[object]]:
    """Every input at its lowest, at its highest, and twice mixed."""
    mixed: list[list[object]] = [
        [drawn(edge, seed + place) for place, edge in enumerate(edges)] for seed in (1, 20)
    ]
    return [[edge.low for edge in edges], [edge.high for edge in edges], *mixed]


def linear(edge: EdgeType, channels: int, reach: int, seed: int) -> Case:
    """Dense layer with weights drawn from `seed` and biases at both ends of `reach`."""
    size = edge.shape[-1]
    biases = [reach if channel % 2 else -reach for channel in range(channels)]
    constants: Constants = {WEIGHTS: signed((channels, size), seed), BIASES: biases}
    return case(Opcode.LINEAR, [edge], (size, channels), constants, ends(edge))


def next_to_the_bound() -> Case:
    """Sums as large as the bound allows: 127 * 127 * 1040 + 3000 is below 2**24 by 3056."""
    edge = int8(1, 1040)
    constants: Constants = {WEIGHTS: np.full((2, 1040), 127), BIASES: [3000, -3000]}
    alternate = np.where(np.arange(1040) % 2, 127, -127)
    runs: list[list[object]] = [[127], [-127], [alternate]]
    return case(Opcode.LINEAR, [edge], (1040, 2), constants, runs)


def conv(edge: EdgeType, channels: int, window: Sequence[int], seed: int) -> Case:
    """`window`: groups, kernel, strides, then pads at top, left, bottom, right."""
    groups, height, width = window[:3]
    operands = edge.shape[1] // groups * height * width
    biases = [700 * (channel - 1) for channel in range(channels)]
    constants: Constants = {WEIGHTS: signed((channels, operands), seed), BIASES: biases}
    return case(Opcode.CONV, [edge], (*edge.shape[1:], *window), constants, ends(edge))


def around(points: Sequence[int], reach: int) -> list[int]:
    """Each point and its two neighbours, within the reach."""
    near = {point + step for point in points for step in (-1, 0, 1)}
    return sorted(value for value in near if abs(value) <= reach)


def rescale_corners(factor: int, halves: int, declared_dtype: DType, low: int, high: int) -> Case:
    """Accumulators around every tie and both clip bounds, and at both ends of their range."""
    whole, reach = 128**halves, LARGEST
    ties = [(2 * step + 1) * whole // (2 * factor) for step in (-3, -2, -1, 0, 1, 2)]
    bounds = [
        (2 * bound + side) * whole // (2 * factor) for bound in (low, high) for side in (-1, 1)
    ]
    points = [*around([0, *ties, *bounds], reach), -reach, reach]
    edge = int32(reach, 1, len(points))
    declared = EdgeType(declared_dtype, edge.shape, low, high)
    constants: Constants = {MULTIPLIERS: [factor]}
    return case(Opcode.RESCALE, [edge], (halves, -1), constants, [[points]], declared)


def rescale_by_channel() -> Case:
    """Three multipliers along the middle axis, the smallest and largest among them."""
    edge = int32(2**20, 1, 3, 4)
    declared = EdgeType(DType.INT16, edge.shape, -32768, 32767)
    constants: Constants = {MULTIPLIERS: [64, 1000, 8191]}
    return case(Opcode.RESCALE, [edge], (2, 1), constants, ends(edge), declared)


def add_rescale(first: EdgeType, second: EdgeType, factors: Sequence[int], halves: int) -> Case:
    """Two inputs to int8; the ties of their sum lie half-way."""
    shape = tuple(map(max, zip(first.shape, second.shape, strict=True)))
    declared = EdgeType(DType.INT8, shape, -127, 127)
    constants: Constants = {MULTIPLIERS: factors}
    corners: list[list[object]] = [[1, 0], [-1, 0], [first.low, second.high]]
    runs = [*ends(first, second), *corners]
    return case(Opcode.ADD_RESCALE, [first, second], (halves,), constants, runs, declared)


def lookup(edge: EdgeType) -> Case:
    """A table with the ends of int16 in it, read at every index there is."""
    offset = -edge.dtype.bounds[0]
    indices = np.arange(edge.low, edge.high + 1)
    entries = np.zeros(256, np.int64)
    entries[indices + offset] = (indices * 771) % 65536 - 32768
    declared = int16(*edge.shape)
    return case(Opcode.TABLE, [edge], (offset,), {ENTRIES: entries}, [[indices]], declared)


def mat_mul(first: EdgeType, second: EdgeType) -> Case:
    """A product of two activations that stays below 2**24."""
    attributes = (*first.shape[-2:], second.shape[-1])
    inputs = [first, second]
    return case(Opcode.MATMUL, inputs, attributes, {}, [*ends(*inputs), [first.low, second.high]])


def wide_product() -> Case:
    """Products next to 2**31, which float32 would round, less a multiple of 2**21."""
    edges = [int32(46340, 1, 1), int32(46340, 1, 3)]
    builder = TableBuilder(edges)
    product = builder.add(Opcode.MATMUL, [0, 1], (1, 1, 3))
    base = builder.add(Opcode.SLICE, [product], (1, 0, 1))
    factors = [Parameter(MULTIPLIERS, np.array([64, -64]))]
    declared = int32(LARGEST, 1, 3)
    value = builder.add(Opcode.ADD_RESCALE, [product, base], (1,), factors, declared)
    runs: list[list[object]] = [
        [46340, [46339, 46340, 46337]],
        [-46340, [46340, 46339, -46339]],
    ]
    return finished(builder, value, edges, runs)


def wide_row_sum() -> Case:
    """A sum beyond 2**24, narrowed again so that it can leave the table."""
    edge = int32(LARGEST, 1, 100)
    builder = TableBuilder([edge])
    total = builder.add(Opcode.ROW_SUM, [0], (100,))
    factors = [Parameter(MULTIPLIERS, np.array([127]))]
    value = builder.add(Opcode.RESCALE, [total], (2, -1), factors, int32(LARGEST, 1, 1))
    return finished(builder, value, [edge], ends(edge))


def pool(opcode: Opcode, edge: EdgeType, window: Sequence[int]) -> Case:
    """`window`: kernel and strides."""
    return case(opcode, [edge], (*edge.shape[1:], *window), {}, ends(edge))


def row(opcode: Opcode, edge: EdgeType, runs: Sequence[object] = ()) -> Case:
    """An operator over the last axis."""
    chosen = [*ends(edge), *([run] for run in runs)]
    return case(opcode, [edge], (edge.shape[-1],), {}, chosen)


def search(opcode: Opcode, power: int, bits: int) -> Case:
    """Values at both ends, about 0, and where the result changes."""
    limit, largest = 1 << power, (1 << bits) - 1
    results = [1, 2, 3, largest // 2, largest - 1, largest]
    degree = 1 if opcode is Opcode.DIVIDE_SEARCH else 2
    turns = [limit // result**degree for result in results if result > 0]
    points = [*around([0, *turns], LARGEST), -LARGEST, LARGEST]
    edge = int32(LARGEST, 1, len(points))
    return case(opcode, [edge], (power, bits), {}, [[points]])


def embedding(entries: int, width: int) -> Case:
    """First and last row, and some between."""
    edge = EdgeType(DType.INT16, (1, 5), 0, entries - 1)
    constants: Constants = {WEIGHTS: signed((entries, width), entries)}
    return case(Opcode.EMBEDDING, [edge], (entries, width), constants, ends(edge))


def view(opcode: Opcode, edges: Sequence[EdgeType], attributes: Sequence[int]) -> Case:
    """An operator that moves elements only."""
    return case(
        opcode, edges, attributes, {}, [[drawn(edge, place) for place, edge in enumerate(edges)]]
    )


def _searches(opcode: Opcode) -> dict[str, Case]:
    name = opcode.name.lower()
    sizes = ((0, 1), (10, 8), (24, 16), (31, 24), (52, 24), (52, 1))
    return {f"{name} k={power} bits={bits}": search(opcode, power, bits) for power, bits in sizes}


def _rescales() -> dict[str, Case]:
    ranges = {"int8": (DType.INT8, -127, 127), "uint8": (DType.UINT8, 0, 255)}
    return {
        f"rescale m={factor} h={halves} {name}": rescale_corners(factor, halves, *kind)
        for factor in (64, 127, 8191)
        for halves in (1, 2, 3, 4)
        for name, kind in ranges.items()
    }


CASES: Final[dict[str, Case]] = {
    "linear K=1": linear(int8(1, 1), 2, 0, 1),
    "linear K=33": linear(int8(1, 33), 5, 50_000, 2),
    "linear uint8 rows": linear(uint8(1, 3, 17), 4, 999, 3),
    "linear int16": linear(int16(1, 3), 2, 10, 4),
    "linear next to 2**24": next_to_the_bound(),
    "conv 1x1": conv(int8(1, 3, 4, 4), 2, (1, 1, 1, 1, 1, 0, 0, 0, 0), 5),
    "conv 3x3 padded": conv(int8(1, 2, 5, 5), 3, (1, 3, 3, 1, 1, 1, 1, 1, 1), 6),
    "conv strided, uneven pads": conv(uint8(1, 2, 6, 5), 4, (1, 3, 2, 2, 3, 2, 0, 1, 1), 7),
    "conv grouped": conv(int8(1, 4, 4, 4), 6, (2, 2, 2, 1, 1, 0, 1, 1, 0), 8),
    "conv depthwise": conv(int8(1, 5, 4, 4), 5, (5, 3, 3, 1, 1, 1, 1, 1, 1), 9),
    "conv of one place": conv(int8(1, 1, 1, 1), 1, (1, 3, 3, 1, 1, 2, 2, 2, 2), 10),
    "conv blocked": conv(int8(1, 16, 4, 4), 16, (1, 3, 3, 1, 1, 1, 1, 1, 1), 11),
    "mat_mul": mat_mul(int8(3, 5), int8(5, 4)),
    "mat_mul batches": mat_mul(int8(2, 2, 3), uint8(2, 3, 2)),
    "mat_mul K=1": mat_mul(int8(1, 3, 1), int16(1, 1, 4)),
    "mat_mul next to 2**31": wide_product(),
    **_rescales(),
    "rescale by channel": rescale_by_channel(),
    "add_rescale": add_rescale(int8(1, 6), int8(1, 6), (64, 64), 1),
    "add_rescale difference": add_rescale(int16(2, 3), int16(2, 1), (8191, -8191), 3),
    "add_rescale of a row": add_rescale(int8(1, 4), uint8(3, 1), (93, -117), 1),
    "add_rescale h=4": add_rescale(int32(LARGEST, 1, 4), int8(1, 4), (-64, 8191), 4),
    "table int8": lookup(int8(1, 255)),
    "table int8 with -128": lookup(EdgeType(DType.INT8, (1, 256), -128, 127)),
    "table uint8": lookup(uint8(1, 256)),
    "table uint8 in part": lookup(EdgeType(DType.UINT8, (1, 17), 0, 16)),
    "max_pool": pool(Opcode.MAX_POOL, int8(1, 2, 5, 4), (2, 2, 2, 2)),
    "max_pool overlapping": pool(Opcode.MAX_POOL, int16(1, 1, 4, 5), (3, 2, 1, 3)),
    "sum_pool": pool(Opcode.SUM_POOL, uint8(1, 2, 4, 4), (2, 2, 2, 2)),
    "sum_pool overlapping": pool(Opcode.SUM_POOL, int8(1, 1, 5, 5), (3, 3, 1, 2)),
    "row_sum": row(Opcode.ROW_SUM, int8(2, 7)),
    "row_sum beyond 2**24": wide_row_sum(),
    "row_max": row(Opcode.ROW_MAX, int16(2, 6)),
    "row_max N=1": row(Opcode.ROW_MAX, int8(2, 1)),
    **_searches(Opcode.DIVIDE_SEARCH),
    **_searches(Opcode.ROOT_SEARCH),
    "embedding": embedding(40, 6),
    "embedding of one row": embedding(1, 1),
    "arg_max ties": row(Opcode.ARG_MAX, int8(1, 5), [[3, 9, 9, -1, 9], [-5, -5, -5, -6, -5]]),
    "arg_max N=1": row(Opcode.ARG_MAX, int8(3, 1)),
    "reshape": view(Opcode.RESHAPE, [int8(1, 4, 6)], (2, 3, 4)),
    "transpose": view(Opcode.TRANSPOSE, [int16(2, 3, 4)], (2, 0, 1)),
    "transpose rank 4": view(Opcode.TRANSPOSE, [int8(1, 2, 3, 4)], (0, 2, 3, 1)),
    "concat": view(Opcode.CONCAT, [int8(2, 1, 3), int8(2, 4, 3), int8(2, 2, 3)], (1,)),
    "slice": view(Opcode.SLICE, [int8(2, 5, 3)], (1, 1, 4)),
    "slice of one place": view(Opcode.SLICE, [int8(3, 4)], (1, 3, 4)),
}
