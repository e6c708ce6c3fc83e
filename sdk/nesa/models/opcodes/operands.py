"""Where one element of an output gets its operands from: what a judge must have opened.

The operands of an element form *columns*. The operators that add or compare many operands read the
columns in step: the k-th operand of one meets the k-th of the other. A column is a list of runs, so
that a long one is cut into leaves by arithmetic on the runs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from nesa.models.graph import Integers, ParameterKind

LEAF_OPERANDS: Final = 256
"""Operands of one column that a judge is given at once."""


class Fold(Enum):
    """How the judged leaves of one element make the element."""

    WHOLE = "whole"
    """They do not: the element is judged from all of its operands at once."""
    SUM = "sum"
    """It is their sum."""
    LARGEST = "largest"
    """It is the largest of them."""


Source = int | ParameterKind
"""Place of a tensor among the inputs of the row, or the kind of the row's constants."""


@dataclass(frozen=True, slots=True)
class Places:
    """`count` elements at `first`, `first + step`, .. of the flat (C order) tensor `source`.

    In weights [N, K] the flat index `n*K + k` is operand k of output channel n.
    """

    source: Source
    first: int
    step: int = 1
    count: int = 1


@dataclass(frozen=True, slots=True)
class Padding:
    """`count` zeros that stand for places outside a tensor; nobody opens them."""

    count: int


@dataclass(frozen=True, slots=True)
class Selected:
    """One constant, at `scale * x + offset` for `x` the only operand of the first column."""

    kind: ParameterKind
    scale: int
    offset: int

    @property
    def count(self) -> int:
        """One operand."""
        return 1


Run = Places | Padding | Selected
Column = tuple[Run, ...]


def part(column: Column, first: int, stop: int) -> Column:
    """Operands `first <= k < stop` of a column; fewer where it is shorter."""
    cut, start = [], 0
    for run in column:
        low, high = max(first - start, 0), min(stop - start, run.count)
        if low < high:
            cut.append(_shortened(run, low, high))
        start += run.count
    return tuple(cut)


def leaves(columns: Sequence[Column]) -> Iterator[tuple[Column, ...]]:
    """The columns cut in step into leaves of at most 256 operands each, in order."""
    longest = max(sum(run.count for run in column) for column in columns)
    for first in range(0, longest, LEAF_OPERANDS):
        yield tuple(part(column, first, first + LEAF_OPERANDS) for column in columns)


def opened(
    columns: Sequence[Column],
    tensors: Sequence[Integers],
    constants: Mapping[ParameterKind, Integers],
) -> tuple[tuple[int, ...], ...]:
    """The values of every column, read from the whole tensors and constants."""
    values: list[tuple[int, ...]] = []
    for column in columns:
        chosen = values[0] if values else ()
        places = (_values(run, chosen, tensors, constants) for run in column)
        values.append(tuple(value for found in places for value in found))
    return tuple(values)


def coordinates(shape: Sequence[int], place: int) -> tuple[int, ...]:
    """Coordinates of flat index `place` in C order."""
    found = []
    for size in reversed(shape):
        place, coordinate = divmod(place, size)
        found.append(coordinate)
    return tuple(reversed(found))


def flat_index(shape: Sequence[int], place: Sequence[int]) -> int:
    """Flat index of coordinates in C order."""
    index = 0
    for size, coordinate in zip(shape, place, strict=True):
        index = index * size + coordinate
    return index


def _shortened(run: Run, low: int, high: int) -> Run:
    match run:
        case Places(source, first, step, _):
            return Places(source, first + low * step, step, high - low)
        case Padding():
            return Padding(high - low)
        case Selected():
            return run
    assert_never(run)


def _values(
    run: Run,
    chosen: Sequence[int],
    tensors: Sequence[Integers],
    constants: Mapping[ParameterKind, Integers],
) -> tuple[int, ...]:
    match run:
        case Padding(count):
            return (0,) * count
        case Selected(kind, scale, offset):
            return (int(constants[kind].reshape(-1)[scale * chosen[0] + offset]),)
        case Places(source, first, step, count):
            held = constants[source] if isinstance(source, ParameterKind) else tensors[source]
            flat = held.reshape(-1)
            return tuple(int(flat[first + place * step]) for place in range(count))
    assert_never(run)
