"""Random float graphs: any operators behind each other, whatever shapes they happen to have."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto

from tests.privacy.equivariant.float_graphs import GraphBuilder

STEPS, MOST_ELEMENTS = 10, 400
POINTWISE = ("Tanh", "Relu", "Sigmoid", "Gelu", "Neg", "LeakyRelu", "Identity", "Abs")


class Unsuitable(Exception):
    """An operator does not suit a shape."""


class RandomGraph:
    """Nodes over float64 tensors, their constants and choices drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.made = GraphBuilder(seed)
        self.random = self.made.random
        self.given = tuple(int(size) for size in self.random.choice([1, 2, 3, 4, 6], 3))
        self.shapes = {"x": self.given}

    def model(self) -> onnx.ModelProto:
        """The graph, with its last tensor and maybe another as outputs."""
        makers: list[Callable[[str], tuple[str, tuple[int, ...]]]] = [
            *[self.dense, self.bent, self.added, self.reshaped, self.turned, self.normal] * 2,
            *[self.sliced, self.joined, self.gram, self.shares, self.scaled, self.averaged],
            *[self.split, self.convolved, self.product, self.repeated],
        ]
        while len(self.shapes) < STEPS:
            names = list(self.shapes)
            source = names[-1] if self.random.integers(4) else self.pick(names)
            try:
                name, shape = makers[self.random.integers(len(makers))](source)
            except Unsuitable:
                continue
            if 1 < math.prod(shape) <= MOST_ELEMENTS:
                self.shapes[name] = shape
        names = list(self.shapes)
        outputs = dict.fromkeys([names[-1], self.pick(names[1:])])
        return self.made.model([("x", self.given, TensorProto.DOUBLE)], list(outputs))

    def pick(self, names: list[str]) -> str:
        return names[self.random.integers(len(names))]

    def dense(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape, outer = self.shapes[source], int(self.random.choice([3, 4, 6, 12]))
        product = self.made.add("MatMul", source, self.made.weights(shape[-1], outer))
        if self.random.integers(2):
            product = self.made.add("Add", product, self.made.vector(outer))
        return product, (*shape[:-1], outer)

    def bent(self, source: str) -> tuple[str, tuple[int, ...]]:
        return self.made.add(str(self.random.choice(POINTWISE)), source), self.shapes[source]

    def added(self, source: str) -> tuple[str, tuple[int, ...]]:
        """A sum that broadcasts."""
        other = self.pick(list(self.shapes))
        try:
            shape = np.broadcast_shapes(self.shapes[source], self.shapes[other])
        except ValueError as error:
            raise Unsuitable from error
        return self.made.add("Add", source, other), shape

    def product(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = self.shapes[source]
        alike = [name for name, one in self.shapes.items() if one == shape]
        return self.made.add("Mul", source, self.made.add("Tanh", self.pick(alike))), shape

    def reshaped(self, source: str) -> tuple[str, tuple[int, ...]]:
        sizes: list[int] = []
        left = math.prod(self.shapes[source])
        while left > 1 and len(sizes) < 3:
            fits = [size for size in range(2, left + 1) if left % size == 0]
            sizes.append(int(self.random.choice(fits)))
            left //= sizes[-1]
        shape = (*sizes, left) if left > 1 else tuple(sizes)
        return self.made.reshape(source, *shape), shape

    def turned(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = self.shapes[source]
        order = self.random.permutation(len(shape)).tolist()
        return self.made.add("Transpose", source, perm=order), tuple(shape[i] for i in order)

    def normal(self, source: str) -> tuple[str, tuple[int, ...]]:
        """RMSNorm or LayerNorm as one node, followed by a dense layer or not."""
        made, size = self.made, self.shapes[source][-1]
        if size < 2:
            raise Unsuitable
        centred = bool(self.random.integers(2))
        affine = [made.vector(size), *([made.vector(size)] if centred else [])]
        if centred:
            name = made.add("LayerNormalization", source, *affine, axis=-1, epsilon=0.1)
        else:
            squares = made.add("Mul", source, source)
            mean = made.add("ReduceMean", squares, made.whole(-1), keepdims=1)
            root = made.add("Sqrt", made.add("Add", mean, made.constant(0.1)))
            name = made.add("Mul", made.add("Div", source, root), *affine)
        self.shapes[name] = self.shapes[source]
        return self.dense(name) if self.random.integers(2) else (name, self.shapes.pop(name))

    def sliced(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = list(self.shapes[source])
        axis = int(self.random.integers(len(shape)))
        start, stop = sorted(self.random.integers(0, shape[axis] + 1, 2).tolist())
        if start == stop:
            raise Unsuitable
        shape[axis] = stop - start
        bounds = [self.made.whole(one) for one in (start, stop, axis)]
        return self.made.add("Slice", source, *bounds), tuple(shape)

    def split(self, source: str) -> tuple[str, tuple[int, ...]]:
        """Half of an axis, turned around another half."""
        shape = list(self.shapes[source])
        if shape[-1] % 2:
            raise Unsuitable
        half = self.made.whole(shape[-1] // 2, shape[-1] // 2)
        first, second = self.made.add("Split", source, half, outputs=2, axis=-1)
        return self.made.add("Concat", self.made.add("Neg", second), first, axis=-1), tuple(shape)

    def joined(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = list(self.shapes[source])
        axis = int(self.random.integers(len(shape)))
        alike = [name for name, one in self.shapes.items() if one == tuple(shape)]
        shape[axis] *= 2
        return self.made.add("Concat", source, self.pick(alike), axis=axis), tuple(shape)

    def gram(self, source: str) -> tuple[str, tuple[int, ...]]:
        """Products of all pairs of rows."""
        shape = self.shapes[source]
        if len(shape) < 2:
            raise Unsuitable
        order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        turned = self.made.add("Transpose", source, perm=order)
        product = self.made.add("MatMul", source, turned)
        return self.made.add("Tanh", product), (*shape[:-1], shape[-2])

    def shares(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = self.shapes[source]
        axis = int(self.random.integers(len(shape)))
        return self.made.add("Softmax", source, axis=axis), shape

    def scaled(self, source: str) -> tuple[str, tuple[int, ...]]:
        factor = self.made.constant(self.random.uniform(0.5, 2))
        return self.made.add("Mul", source, factor), self.shapes[source]

    def averaged(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = list(self.shapes[source])
        axis = int(self.random.integers(len(shape)))
        shape[axis] = 1
        found = self.made.add("ReduceMean", source, self.made.whole(axis), keepdims=1)
        return found, tuple(shape)

    def repeated(self, source: str) -> tuple[str, tuple[int, ...]]:
        shape = self.shapes[source]
        if len(shape) > 3:
            raise Unsuitable
        alone = self.made.add("Unsqueeze", source, self.made.whole(0))
        return self.made.add("Expand", alone, self.made.whole(2, *shape)), (2, *shape)

    def convolved(self, source: str) -> tuple[str, tuple[int, ...]]:
        size = math.prod(self.shapes[source])
        channels = int(self.random.choice([one for one in (1, 2, 4, 6) if size % one == 0]))
        groups = int(self.random.choice([one for one in (1, 2) if channels % one == 0]))
        image = self.made.reshape(source, 1, channels, 1, size // channels)
        kernel = self.random.normal(size=(2 * groups, channels // groups, 1, 3)) / 2
        pads = [0, 1, 0, 1]
        found = self.made.add("Conv", image, self.made.constant(kernel), group=groups, pads=pads)
        return found, (1, 2 * groups, 1, size // channels)
