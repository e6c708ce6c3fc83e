"""Small tables of every operator, drawn by hypothesis, and inputs at the ends of their ranges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.graph import Integers, Opcode, Parameter, ParameterKind, Table
from nesa.protocol.edges import DType, EdgeType

Draw = st.DrawFn

ACTIVATIONS = (
    (DType.INT8, -127, 127),
    (DType.INT8, -128, 127),
    (DType.UINT8, 0, 255),
    (DType.UINT8, 0, 16),
    (DType.INT16, -300, 200),
)
BYTES = ACTIVATIONS[:4]
FACTORS = (*ACTIVATIONS, (DType.INT16, -20000, 20000), (DType.INT32, 0, 20000))


def edges(shape: tuple[int, ...], kinds: tuple[tuple[DType, int, int], ...] = ACTIVATIONS):
    """Edge types of one shape."""
    return st.sampled_from(kinds).map(lambda kind: EdgeType(kind[0], shape, kind[1], kind[2]))


def numbers(low: int, high: int, shape: tuple[int, ...]):
    """Integer arrays, a third of them with nothing but the two ends."""

    def array(seed: int) -> Integers:
        generator = np.random.default_rng(seed)
        if seed % 3 == 0:
            return generator.choice(np.array([low, high]), shape)
        return generator.integers(low, high + 1, shape)

    return st.integers(0, 2**32 - 1).map(array)


def corners(edge: EdgeType):
    """Canonical bytes of tensors of type `edge`."""
    return numbers(edge.low, edge.high, edge.shape).map(edge.encode)


def weighted(draw: Draw, channels: int, operands: int) -> list[Parameter]:
    """Weights and biases."""
    weights = draw(numbers(-127, 127, (channels, operands)))
    biases = draw(numbers(-50000, 50000, (channels,)))
    return [Parameter(ParameterKind.WEIGHTS, weights), Parameter(ParameterKind.BIASES, biases)]


@st.composite
def linear(draw: Draw) -> Table:
    """One Linear row."""
    operands, channels = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    shape = (*draw(st.sampled_from([(1,), (1, 3)])), operands)
    builder = TableBuilder([draw(edges(shape))])
    parameters = weighted(draw, channels, operands)
    return builder.table([builder.add(Opcode.LINEAR, [0], (operands, channels), parameters)])


@st.composite
def conv(draw: Draw) -> Table:
    """One Conv row."""
    groups, each, out = (draw(st.integers(1, 3)) for _ in range(3))
    height, width = draw(st.integers(3, 7)), draw(st.integers(3, 7))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    strides = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    pads = [draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]
    builder = TableBuilder([draw(edges((1, groups * each, height, width)))])
    attributes = (groups * each, height, width, groups, *kernel, *strides, *pads)
    parameters = weighted(draw, groups * out, each * kernel[0] * kernel[1])
    return builder.table([builder.add(Opcode.CONV, [0], attributes, parameters)])


@st.composite
def rescale(draw: Draw) -> Table:
    """One Rescale row over accumulators as large as they may be."""
    shape = draw(st.sampled_from([(1, 8), (1, 3, 4), (1, 4, 2, 2)]))
    axis = draw(st.integers(-1, len(shape) - 1))
    size = 1 if axis < 0 else shape[axis]
    factors = Parameter(ParameterKind.MULTIPLIERS, draw(numbers(1, 8191, (size,))))
    reach = draw(st.sampled_from([2**9, 2**15, 2**24 - 1]))
    builder = TableBuilder([EdgeType(DType.INT32, shape, -reach, reach)])
    declared = draw(edges(shape))
    attributes = (draw(st.integers(1, 4)), axis)
    return builder.table([builder.add(Opcode.RESCALE, [0], attributes, [factors], declared)])


PAIRED_SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((1, 4, 2, 2), (1, 4, 2, 2)),
    ((1, 8), (1, 1)),
    ((1, 3, 1), (1, 3, 4)),
    ((3, 1), (1, 2)),
)


@st.composite
def add_rescale(draw: Draw) -> Table:
    """One AddRescale row over two tensors of any types, one of them perhaps in one column."""
    first, second = draw(st.sampled_from(PAIRED_SHAPES))
    signs = draw(numbers(0, 1, (2,))) * 2 - 1
    factors = Parameter(ParameterKind.MULTIPLIERS, signs * draw(numbers(1, 8191, (2,))))
    builder = TableBuilder([draw(edges(first)), draw(edges(second))])
    halves = draw(st.integers(1, 4))
    declared = draw(edges(first))
    return builder.table([builder.add(Opcode.ADD_RESCALE, [0, 1], (halves,), [factors], declared)])


@st.composite
def lookup(draw: Draw) -> Table:
    """One Table row."""
    edge = draw(edges((1, 9), BYTES))
    offset = -edge.dtype.bounds[0]
    entries = np.zeros(256, np.int64)
    reached = slice(edge.low + offset, edge.high + offset + 1)
    entries[reached] = draw(numbers(-32768, 32767, (256,)))[reached]
    parameter = Parameter(ParameterKind.ENTRIES, entries)
    builder = TableBuilder([edge])
    declared = EdgeType(DType.INT16, edge.shape, -32768, 32767)
    return builder.table([builder.add(Opcode.TABLE, [0], (offset,), [parameter], declared)])


@st.composite
def pool(draw: Draw, opcode: Opcode) -> Table:
    """One MaxPool or SumPool row."""
    channels, height, width = draw(st.integers(1, 3)), draw(st.integers(3, 6)), 5
    window = [draw(st.integers(1, 3)) for _ in range(4)]
    builder = TableBuilder([draw(edges((1, channels, height, width)))])
    return builder.table([builder.add(opcode, [0], (channels, height, width, *window))])


@st.composite
def arg_max(draw: Draw) -> Table:
    """One ArgMax row, its range narrow enough for ties."""
    size = draw(st.integers(1, 12))
    low = draw(st.integers(-300, 0))
    builder = TableBuilder([EdgeType(DType.INT16, (1, size), low, draw(st.integers(low, 1)))])
    return builder.table([builder.add(Opcode.ARG_MAX, [0], (size,))])


@st.composite
def mat_mul(draw: Draw) -> Table:
    """One MatMul row, its sums small or beyond 2**24, with a Rescale behind it."""
    batch = draw(st.sampled_from([(), (2,), (1, 2)]))
    height, operands, width = (draw(st.integers(1, 5)) for _ in range(3))
    shapes = (*batch, height, operands), (*batch, operands, width)
    builder = TableBuilder([draw(edges(shape, FACTORS)) for shape in shapes])
    product = builder.add(Opcode.MATMUL, [0, 1], (height, operands, width))
    return builder.table([rescaled(draw, builder, product)])


@st.composite
def row_sum(draw: Draw) -> Table:
    """One RowSum row, its sums small or beyond 2**24, with a Rescale behind it."""
    size = draw(st.integers(1, 20))
    shape = (*draw(st.sampled_from([(), (3,), (1, 2)])), size)
    builder = TableBuilder([draw(edges(shape, (*FACTORS, (DType.INT32, -(2**23), 2**24 - 1))))])
    return builder.table([rescaled(draw, builder, builder.add(Opcode.ROW_SUM, [0], (size,)))])


def rescaled(draw: Draw, builder: TableBuilder, value: int) -> int:
    """A Rescale row behind a value that may be too wide for an output."""
    factors = Parameter(ParameterKind.MULTIPLIERS, draw(numbers(1, 8191, (1,))))
    shape = builder.type_of(value).shape
    declared = EdgeType(DType.INT32, shape, -(2**24) + 1, 2**24 - 1)
    return builder.add(Opcode.RESCALE, [value], (draw(st.integers(2, 3)), -1), [factors], declared)


@st.composite
def row_max(draw: Draw) -> Table:
    """One RowMax row, its range narrow enough for ties or as wide as a byte."""
    size = draw(st.integers(1, 9))
    low = draw(st.sampled_from([-300, -128, -1]))
    shape = (*draw(st.sampled_from([(), (2,), (1, 3)])), size)
    builder = TableBuilder([EdgeType(DType.INT16, shape, low, draw(st.integers(low, 1)))])
    return builder.table([builder.add(Opcode.ROW_MAX, [0], (size,))])


@st.composite
def search(draw: Draw, opcode: Opcode) -> Table:
    """One DivideSearch or RootSearch row."""
    low, high = draw(st.sampled_from([(0, 3), (0, 255), (200, 3000), (1 - 2**24, 2**24 - 1)]))
    builder = TableBuilder([EdgeType(DType.INT32, (2, 2), low, high)])
    attributes = (draw(st.integers(0, 52)), draw(st.integers(1, 24)))
    return builder.table([builder.add(opcode, [0], attributes)])


@st.composite
def embedding(draw: Draw) -> Table:
    """One Embedding row."""
    entries, width = draw(st.integers(1, 300)), draw(st.integers(1, 5))
    shape = draw(st.sampled_from([(4,), (1, 3), (2, 1, 2)]))
    weights = Parameter(ParameterKind.WEIGHTS, draw(numbers(-127, 127, (entries, width))))
    builder = TableBuilder([EdgeType(DType.INT16, shape, 0, entries - 1)])
    return builder.table([builder.add(Opcode.EMBEDDING, [0], (entries, width), [weights])])


@st.composite
def view(draw: Draw) -> Table:
    """A Reshape, Transpose, Slice and Concat behind each other."""
    builder = TableBuilder([draw(edges((1, 4, 6)))])
    shape = draw(st.sampled_from([(1, 24), (2, 3, 4), (1, 4, 6), (1, 2, 3, 4)]))
    reshaped = builder.add(Opcode.RESHAPE, [0], shape)
    axes = draw(st.permutations(range(len(shape))))
    turned = builder.add(Opcode.TRANSPOSE, [reshaped], axes)
    axis = draw(st.integers(0, len(shape) - 1))
    size = builder.type_of(turned).shape[axis]
    start = draw(st.integers(0, size - 1))
    part = builder.add(Opcode.SLICE, [turned], (axis, start, draw(st.integers(start + 1, size))))
    return builder.table([builder.add(Opcode.CONCAT, [turned, part, turned], (axis,))])


@st.composite
def wide(draw: Draw) -> Table:
    """Views, maxima and differences of products beyond 2**24, joined with narrow values."""
    high = draw(st.sampled_from([130, 20000]))
    factor = EdgeType(DType.INT16, (1, 3, 1), -high, high)
    narrow = EdgeType(DType.INT32, (1, 3, 2), -(2**24) + 1, 2**24 - 1)
    builder = TableBuilder([factor, EdgeType(DType.INT16, (1, 1, 4), -high, high), narrow])
    product = builder.add(Opcode.MATMUL, [0, 1], (3, 1, 4))
    turned = builder.add(Opcode.TRANSPOSE, [product], (0, 2, 1))
    flat = builder.add(Opcode.RESHAPE, [turned], (1, 3, 4))
    part = builder.add(Opcode.SLICE, [flat], (2, 1, 3))
    joined = builder.add(Opcode.CONCAT, [part, 2], (2,))
    largest = builder.add(Opcode.ROW_MAX, [joined], (4,))
    factors = Parameter(ParameterKind.MULTIPLIERS, np.array([64, -64]))
    declared = EdgeType(DType.INT32, (1, 3, 4), 0, 2**24 - 1)
    halves = draw(st.integers(1, 2))
    below = builder.add(Opcode.ADD_RESCALE, [largest, joined], (halves,), [factors], declared)
    return builder.table([below, builder.add(Opcode.ARG_MAX, [joined], (4,))])


TABLES: dict[str, Callable[[], st.SearchStrategy[Table]]] = {
    "linear": linear,
    "conv": conv,
    "rescale": rescale,
    "add_rescale": add_rescale,
    "lookup": lookup,
    "max_pool": lambda: pool(Opcode.MAX_POOL),
    "sum_pool": lambda: pool(Opcode.SUM_POOL),
    "arg_max": arg_max,
    "mat_mul": mat_mul,
    "row_sum": row_sum,
    "row_max": row_max,
    "divide_search": lambda: search(Opcode.DIVIDE_SEARCH),
    "root_search": lambda: search(Opcode.ROOT_SEARCH),
    "embedding": embedding,
    "view": view,
    "wide": wide,
}


def small_network(seed: int = 0) -> Table:
    """Conv, rescale, pool, reshape, dense, rescale, table: nine rows, one input, one output."""
    generator = np.random.default_rng(seed)
    builder = TableBuilder([EdgeType(DType.INT8, (1, 1, 6, 6), -127, 127)])

    def constants(kind: ParameterKind, low: int, high: int, shape: tuple[int, ...]) -> Parameter:
        return Parameter(kind, generator.integers(low, high + 1, shape))

    def dense(opcode: Opcode, source: int, attributes: tuple[int, ...], shape: tuple[int, int]):
        weights = constants(ParameterKind.WEIGHTS, -127, 127, shape)
        biases = constants(ParameterKind.BIASES, -900, 900, shape[:1])
        return builder.add(opcode, [source], attributes, [weights, biases])

    def narrow(source: int, halves: int, axis: int, low: int, high: int, dtype: DType) -> int:
        shape = builder.type_of(source).shape
        factors = constants(ParameterKind.MULTIPLIERS, 64, 90, (shape[axis],))
        declared = EdgeType(dtype, shape, low, high)
        return builder.add(Opcode.RESCALE, [source], (halves, axis), [factors], declared)

    sums = dense(Opcode.CONV, 0, (1, 6, 6, 1, 3, 3, 1, 1, 0, 0, 0, 0), (3, 9))
    active = narrow(sums, 2, 1, 0, 255, DType.UINT8)
    pooled = builder.add(Opcode.MAX_POOL, [active], (3, 4, 4, 2, 2, 2, 2))
    flat = builder.add(Opcode.RESHAPE, [pooled], (1, 12))
    hidden = narrow(dense(Opcode.LINEAR, flat, (12, 8), (8, 12)), 2, 1, -127, 127, DType.INT8)
    entries = constants(ParameterKind.ENTRIES, -127, 127, (256,)).values
    entries[0] = 0
    table = [Parameter(ParameterKind.ENTRIES, entries)]
    declared = EdgeType(DType.INT8, (1, 8), -127, 127)
    bent = builder.add(Opcode.TABLE, [hidden], (128,), table, declared)
    logits = narrow(dense(Opcode.LINEAR, bent, (8, 4), (4, 8)), 1, 1, -32767, 32767, DType.INT16)
    return builder.table([logits])
