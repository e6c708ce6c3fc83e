"""Random tables: any operators behind each other, whatever shapes they happen to have."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nesa.models.build import TableBuilder
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel

STEPS, MOST_ELEMENTS = 12, 600


class RandomTable:
    """Rows over int8 values, their constants and choices drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        words = bool(self.random.integers(2))
        shape = tuple(int(self.random.choice([1, 2, 3, 4, 6])) for _ in range(2))
        edge = EdgeType(DType.UINT8, shape, 0, 19) if words else self.bytes_of((*shape, 6))
        self.builder = TableBuilder([edge])
        first = 0
        if words:
            weights = self.random.integers(-99, 100, (20, 6))
            constants = [Parameter(ParameterKind.WEIGHTS, weights)]
            first = self.builder.add(Opcode.EMBEDDING, [0], (20, 6), constants)
        self.values = [first]

    def table(self) -> Table:
        """The table, with its last value and maybe another as outputs."""
        makers: list[Callable[[int], int]] = [
            *[self.dense, self.added, self.reshaped, self.turned, self.sliced, self.joined] * 2,
            *[self.summed, self.largest, self.gram, self.looked_up, self.convolved, self.pooled],
        ]
        while len(self.values) < STEPS:
            source = self.values[-1] if self.random.integers(4) else self.pick(self.values)
            try:
                made = makers[self.random.integers(len(makers))](source)
            except InvalidModel:
                continue  # its shape does not suit the operator
            if 1 < self.builder.type_of(made).elements <= MOST_ELEMENTS:
                self.values.append(made)
        outputs = {self.values[-1], self.pick(self.values[1:])}
        return self.builder.table(sorted(outputs))

    def bytes_of(self, shape: tuple[int, ...]) -> EdgeType:
        return EdgeType(DType.INT8, shape, -99, 99)

    def pick(self, values: list[int]) -> int:
        return values[self.random.integers(len(values))]

    def shape(self, value: int) -> tuple[int, ...]:
        return self.builder.type_of(value).shape

    def narrowed(self, value: int) -> int:
        """As int8 again, with a factor for the whole tensor or for each place of an axis."""
        shape = self.shape(value)
        axis = int(self.random.integers(-1, len(shape)))
        count = 1 if axis < 0 else shape[axis]
        factors = self.random.integers(1, 200, count)
        return self.builder.rescale(value, factors, 2, self.bytes_of(shape), axis)

    def dense(self, source: int) -> int:
        inner, outer = self.shape(source)[-1], int(self.random.choice([3, 4, 6, 12, 24]))
        constants = self.constants(outer, inner)
        return self.narrowed(self.builder.add(Opcode.LINEAR, [source], (inner, outer), constants))

    def constants(self, outer: int, inner: int) -> list[Parameter]:
        weights = self.random.integers(-99, 100, (outer, inner))
        # Rows without weights hold constants and read nothing.
        weights = weights * (self.random.integers(5) > 0)
        biases = self.random.integers(-5000, 5000, outer)
        kinds = (ParameterKind.WEIGHTS, ParameterKind.BIASES)
        return [Parameter(kind, one) for kind, one in zip(kinds, (weights, biases), strict=True)]

    def added(self, source: int) -> int:
        other = self.pick(self.values)
        pairs = zip(self.shape(source), self.shape(other), strict=False)
        joint = tuple(max(pair) for pair in pairs)
        factors = self.random.integers(1, 128, 2)
        return self.builder.add_rescaled((source, other), factors, 1, self.bytes_of(joint))

    def reshaped(self, source: int) -> int:
        sizes: list[int] = []
        left = self.builder.type_of(source).elements
        while left > 1 and len(sizes) < 3:
            fits = [size for size in range(2, left + 1) if left % size == 0]
            sizes.append(int(self.random.choice(fits)))
            left //= sizes[-1]
        shape = (*sizes, left) if left > 1 or not sizes else tuple(sizes)
        return self.builder.add(Opcode.RESHAPE, [source], shape)

    def turned(self, source: int) -> int:
        order = self.random.permutation(len(self.shape(source))).tolist()
        return self.builder.add(Opcode.TRANSPOSE, [source], order)

    def sliced(self, source: int) -> int:
        axis = int(self.random.integers(len(self.shape(source))))
        start, stop = sorted(self.random.integers(0, self.shape(source)[axis] + 1, 2).tolist())
        return self.builder.add(Opcode.SLICE, [source], (axis, start, stop))

    def joined(self, source: int) -> int:
        axis = int(self.random.integers(len(self.shape(source))))
        alike = [one for one in self.values if self.shape(one) == self.shape(source)]
        pair = [source, self.pick(alike)]
        return self.builder.add(Opcode.CONCAT, pair, (axis,))

    def summed(self, source: int) -> int:
        return self.narrowed(self.builder.add(Opcode.ROW_SUM, [source], (self.shape(source)[-1],)))

    def largest(self, source: int) -> int:
        opcode = Opcode.ROW_MAX if self.random.integers(3) else Opcode.ARG_MAX
        found = self.builder.add(opcode, [source], (self.shape(source)[-1],))
        return self.narrowed(found)

    def gram(self, source: int) -> int:
        """Products of all pairs of rows of one value: one axis in two places."""
        rank, shape = len(self.shape(source)), self.shape(source)
        if rank < 2:
            raise InvalidModel("no rows")
        order = (*range(rank - 2), rank - 1, rank - 2)
        turned = self.builder.add(Opcode.TRANSPOSE, [source], order)
        sizes = (shape[-2], shape[-1], shape[-2])
        return self.narrowed(self.builder.add(Opcode.MATMUL, [source, turned], sizes))

    def looked_up(self, source: int) -> int:
        edge = self.builder.type_of(source)
        entries = np.zeros(256, np.int64)
        count = edge.high - edge.low + 1
        entries[edge.low + 128 : edge.high + 129] = self.random.integers(-99, 100, count)
        constants = [Parameter(ParameterKind.ENTRIES, entries)]
        declared = self.bytes_of(edge.shape)
        return self.builder.add(Opcode.TABLE, [source], (128,), constants, declared)

    def image(self, source: int) -> tuple[int, tuple[int, int, int]]:
        """The value as [1, channels, height, width]."""
        size = self.builder.type_of(source).elements
        channels = int(self.random.choice([one for one in (1, 2, 4, 6) if size % one == 0]))
        tall = max(
            one for one in range(1, math.isqrt(size // channels) + 1) if size // channels % one == 0
        )
        shape = (channels, tall, size // channels // tall)
        return self.builder.reshaped(source, (1, *shape)), shape

    def convolved(self, source: int) -> int:
        image, (channels, tall, wide) = self.image(source)
        groups = int(self.random.choice([one for one in (1, 2) if channels % one == 0]))
        outer = 2 * groups
        constants = self.constants(outer, channels // groups * 3)
        attributes = (channels, tall, wide, groups, 1, 3, 1, 1, 0, 1, 0, 1)
        return self.narrowed(self.builder.add(Opcode.CONV, [image], attributes, constants))

    def pooled(self, source: int) -> int:
        image, shape = self.image(source)
        opcode = Opcode.MAX_POOL if self.random.integers(2) else Opcode.SUM_POOL
        return self.narrowed(self.builder.add(opcode, [image], (*shape, 1, 2, 1, 1)))
