"""An input at the edge of what a circuit can hold, for the one proof that registration checks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.proving.bounds import Interval, propagate
from nesa.models.proving.compiled import CompiledGraph
from nesa.protocol.circuits import ShownEdge
from nesa.protocol.edges import EdgeType

_RANDOM_STARTS: Final = 16
_SEED: Final = 0


def extreme_inputs(edge: EdgeType) -> list[NDArray[np.int64]]:
    """All elements lowest, all highest, and random mixtures of both; always the same ones."""
    random = np.random.default_rng(_SEED)
    ends = np.array([edge.low, edge.high], np.int64)
    plain = [np.full(edge.shape, end, np.int64) for end in ends]
    return plain + [ends[random.integers(0, 2, edge.shape)] for _ in range(_RANDOM_STARTS)]


def corner_input(graph: CompiledGraph, source: ShownEdge) -> list[int]:
    """An input of extreme elements for which the circuit splits the largest number into digits.

    The best of `extreme_inputs`, with single elements turned to their other end while that helps.
    A blind behind it is zero.
    """
    edge = source.edge
    blind = np.zeros(source.elements - edge.elements, np.int64)
    starts = [np.concatenate([start.reshape(-1), blind]) for start in extreme_inputs(edge)]
    best = max(starts, key=lambda values: _strain(graph, values))
    for place in range(edge.elements):
        other = best.copy()
        other[place] = edge.low + edge.high - best[place]
        best = max(best, other, key=lambda values: _strain(graph, values))
    return [int(value) for value in best]


def _strain(graph: CompiledGraph, values: NDArray[np.int64]) -> int:
    return propagate(graph, [Interval(values, values)]).decomposed
