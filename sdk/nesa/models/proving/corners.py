"""An input at the edge of what a circuit can hold, for the one proof that registration checks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.proving.bounds import Interval, propagate
from nesa.models.proving.compiled import CompiledGraph
from nesa.protocol.edges import EdgeType

_RANDOM_STARTS: Final = 16
_SEED: Final = 0


def extreme_inputs(edge: EdgeType) -> list[NDArray[np.int64]]:
    """All elements lowest, all highest, and random mixtures of both; always the same ones."""
    random = np.random.default_rng(_SEED)
    ends = np.array([edge.low, edge.high], np.int64)
    plain = [np.full(edge.shape, end, np.int64) for end in ends]
    return plain + [ends[random.integers(0, 2, edge.shape)] for _ in range(_RANDOM_STARTS)]


def corner_input(graph: CompiledGraph, edge: EdgeType) -> NDArray[np.int64]:
    """An input of extreme elements for which the circuit splits the largest number into digits.

    The best of `extreme_inputs`, with single elements turned to their other end while that helps.
    """
    best = max(extreme_inputs(edge), key=lambda tensor: _strain(graph, tensor)).reshape(-1)
    for place in range(best.size):
        other = best.copy()
        other[place] = edge.low + edge.high - best[place]
        best = max(best, other, key=lambda tensor: _strain(graph, tensor))
    return best.reshape(edge.shape)


def _strain(graph: CompiledGraph, tensor: NDArray[np.int64]) -> int:
    return propagate(graph, [Interval(tensor, tensor)]).decomposed
