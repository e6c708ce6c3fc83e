"""Draws the transforms of a key and applies them to arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.equivariant.conditions import PERMUTATION, Conditions
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Joined, Layout, Leaf, elements
from nesa.privacy.streams import Matrix, Places, Stream

Array: TypeAlias = NDArray[Any]

LEAST_SCALE: Final = 0.5
MOST_SCALE: Final = 2.0
"""Scales of a diagonal; wider ones would cost precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Permuted:
    """Place `x` of an axis goes to `places[.., x]`, its number times `scales[.., x]`. Axes in front
    are those of the parents."""

    places: Places
    scales: Matrix | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """An axis is multiplied by `matrices` [.., n, n]; axes in front are those of the parents."""

    matrices: Matrix
    inverses: Matrix


Move: TypeAlias = Permuted | Mixed


@dataclass(slots=True)
class Mover:
    """The transforms of one key; each is drawn when it is first needed."""

    key: EquivariantKey
    _moves: dict[int, Move] = field(default_factory=dict)

    def move(self, array: Array, layout: Layout) -> Array:
        """The array in the frame of the key."""
        return self._transformed(array, layout, back=False)

    def back(self, array: Array, layout: Layout) -> Array:
        """What `move` took, from what it gave."""
        return self._transformed(array, layout, back=True)

    def of(self, leaf: Leaf) -> Move:
        """The transform of one part of an axis."""
        if leaf.label not in self._moves:
            self._moves[leaf.label] = draw(leaf, self.key.stream(leaf.label))
        return self._moves[leaf.label]

    def _transformed(self, array: Array, layout: Layout, *, back: bool) -> Array:
        if elements(layout) != array.size:
            raise ValueError(f"an array of {array.size} elements under a layout of others")
        moved: Array = self._blocks(array.reshape(-1), layout, back).reshape(array.shape)
        return moved

    def _blocks(self, flat: Array, layout: Layout, back: bool) -> Array:
        """The flat array, each choice of segments by itself."""
        for index, place in enumerate(layout):
            if isinstance(place, Joined):
                return self._segments(flat, layout, index, back)
        leaves = tuple(place for place in layout if isinstance(place, Leaf))
        return self._product(flat, leaves, back)

    def _segments(self, flat: Array, layout: Layout, index: int, back: bool) -> Array:
        joined = layout[index]
        assert isinstance(joined, Joined)
        before, after = layout[:index], layout[index + 1 :]
        lines = flat.reshape(elements(before), joined.size, elements(after))
        ends = accumulate(map(elements, joined.segments), initial=0)
        parts = [
            self._blocks(lines[:, start:end].reshape(-1), (*before, *segment, *after), back)
            for segment, (start, end) in zip(joined.segments, pairwise(ends), strict=True)
        ]
        shape = (elements(before), -1, elements(after))
        whole: Array = np.concatenate([part.reshape(shape) for part in parts], axis=1)
        return whole.reshape(-1)

    def _product(self, flat: Array, leaves: tuple[Leaf, ...], back: bool) -> Array:
        """Children first, whose transforms depend on where their parents were; back, last."""
        array = flat.reshape([leaf.size for leaf in leaves] or [1])
        axes = [axis for axis, leaf in enumerate(leaves) if not leaf.stays]
        axes.sort(key=lambda axis: leaves[axis].label, reverse=not back)
        labels = [leaf.label for leaf in leaves]
        for axis in axes:
            leaf = leaves[axis]
            parents = [labels.index(label) for label, _ in leaf.parents]
            match self.of(leaf):
                case Permuted() as move:
                    array = _permuted(array, axis, parents, move, leaf.dual, back)
                case Mixed() as move:
                    array = _mixed(array, axis, parents, move, leaf.dual, back)
        return array.reshape(-1)


def draw(leaf: Leaf, stream: Stream) -> Move:
    """A transform of a part of an axis, for every place of its parents, from a secret stream."""
    shape = tuple(size for _, size in leaf.parents)
    count, size, rules = math.prod(shape), leaf.size, leaf.rules
    if PERMUTATION in rules and Conditions.PLANES not in rules:
        places = np.stack([stream.permutation(size) for _ in range(count)])
        return Permuted(places.reshape(*shape, size))
    if Conditions.SPARSE in rules and Conditions.PLANES not in rules:
        places = np.stack([stream.permutation(size) for _ in range(count)])
        scales = _scales(stream, count * size)
        return Permuted(places.reshape(*shape, size), scales.reshape(*shape, size))
    pairs = [_matrix(size, rules, stream) for _ in range(count)]
    matrices, inverses = (
        np.stack(side).reshape(*shape, size, size) for side in zip(*pairs, strict=True)
    )
    return Mixed(matrices, inverses)


def _matrix(size: int, rules: Conditions, stream: Stream) -> tuple[Matrix, Matrix]:
    """A matrix that keeps the rules, and its inverse."""
    if Conditions.PLANES in rules:
        if rules & (Conditions.SPARSE | Conditions.FIXING_ONES):
            return np.eye(size), np.eye(size)
        return _planes(size, stream, scaled=Conditions.ORTHOGONAL not in rules)
    if Conditions.FIXING_ONES in rules:
        q = _fixing_ones(size, stream)
        return q, q.T
    first = stream.orthogonal(size)
    if Conditions.ORTHOGONAL in rules:
        return first, first.T
    scales, second = _scales(stream, size), stream.orthogonal(size)
    return first * scales @ second, second.T / scales @ first.T


def _planes(size: int, stream: Stream, *, scaled: bool) -> tuple[Matrix, Matrix]:
    """`r [[c, -s], [s, c]]` in the plane of coordinates i and i + n/2, and the inverse."""
    half = size // 2
    angles = 2 * np.pi * stream.uniform(half)
    scales = _scales(stream, half) if scaled else np.ones(half)
    cosines, sines = np.diag(np.cos(angles)), np.diag(np.sin(angles))
    turn = np.block([[cosines, -sines], [sines, cosines]])
    twice = np.concatenate([scales, scales])
    return turn * twice, turn.T / twice[:, None]


def _fixing_ones(size: int, stream: Stream) -> Matrix:
    """Orthogonal on what is orthogonal to the ones-vector, 1 along it."""
    if size == 1:
        return np.eye(1)
    start = np.column_stack([np.ones(size), np.eye(size)[:, 1:]])
    basis, _ = np.linalg.qr(start)
    inner = np.eye(size)
    inner[1:, 1:] = stream.orthogonal(size - 1)
    turned: Matrix = basis @ inner @ basis.T
    return turned


def _scales(stream: Stream, count: int) -> Matrix:
    """Positive numbers, as often below 1 as above."""
    span = math.log(MOST_SCALE / LEAST_SCALE)
    scales: Matrix = LEAST_SCALE * np.exp(span * stream.uniform(count))
    return scales


def _permuted(
    array: Array, axis: int, parents: list[int], move: Permuted, dual: bool, back: bool
) -> Array:
    places = _aligned(move.places, array.ndim, axis, parents)
    scales = None if move.scales is None else _aligned(move.scales, array.ndim, axis, parents)
    if scales is not None and dual:
        scales = 1 / scales
    if back:
        moved = _along(array, places, axis)
        return moved if scales is None else moved / scales
    if scales is not None:
        array = array * scales
    return _along(array, np.argsort(places, axis=axis), axis)


def _along(array: Array, places: Places, axis: int) -> Array:
    if places.size == array.shape[axis]:
        taken: Array = np.take(array, places.reshape(-1), axis)
        return taken
    return np.take_along_axis(array, places, axis)


def _aligned(family: Array, rank: int, axis: int, parents: list[int]) -> Array:
    """A family [parents.., n] so that it broadcasts against an array of `rank` axes."""
    axes = [*parents, axis]
    order = np.argsort(axes)
    shape = [1] * rank
    for place, size in zip(axes, family.shape, strict=True):
        shape[place] = size
    aligned: Array = family.transpose(order).reshape(shape)
    return aligned


def _mixed(
    array: Array, axis: int, parents: list[int], move: Mixed, dual: bool, back: bool
) -> Array:
    forward, inverse = move.matrices, move.inverses
    if dual:
        forward, inverse = inverse.swapaxes(-1, -2), forward.swapaxes(-1, -2)
    chosen = inverse if back else forward
    front = [*parents, axis]
    rest = [other for other in range(array.ndim) if other not in front]
    turned = array.transpose(*front, *rest)
    size = array.shape[axis]
    lines = turned.reshape(-1, size, math.prod(array.shape[other] for other in rest))
    mixed: Array = (chosen.reshape(-1, size, size) @ lines).reshape(turned.shape)
    return mixed.transpose(np.argsort([*front, *rest]))
