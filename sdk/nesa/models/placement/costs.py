"""What the parts of a model cost, whatever the model is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Bytes = NDArray[np.int64]

MAX_PLACES: Final = 256
"""Most places that a search looks at."""


class Arithmetic(Enum):
    """Element type that a matrix product is computed in."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """What one operator does: multiply-adds in `arithmetic`, and bytes read and written.

    `nodes` is how many nodes of an ONNX graph it is.
    """

    multiply_adds: int
    moved_bytes: int
    arithmetic: Arithmetic = Arithmetic.FLOAT32
    nodes: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class ModelCosts:
    """Costs of a model between the places where it may be cut.

    `operators` are the costs of all operators in order. `places` are numbers of operators in front
    of which a part may begin, ascending from 0 to their count; of `legal` places between the ends
    some may be left out. `boundary_bytes[p]` crosses in front of `places[p]`; `memory[a, b]` bytes
    hold the weights and the largest activations of the part between `places[a]` and `places[b]`,
    0 where b <= a. The weights of all parts together are at least `weight_bytes`.
    """

    operators: tuple[OperatorCost, ...]
    places: tuple[int, ...]
    legal: int
    boundary_bytes: Bytes
    memory: Bytes
    weight_bytes: int

    def thinned(self, most: int) -> ModelCosts:
        """The same with at most `most` places."""
        kept = cheapest_places(self.places, self.operators, self.boundary_bytes, most)
        return replace(
            self,
            places=tuple(self.places[place] for place in kept),
            boundary_bytes=self.boundary_bytes[kept],
            memory=self.memory[np.ix_(kept, kept)],
        )


def cheapest_places(
    places: Sequence[int],
    operators: Sequence[OperatorCost],
    boundary_bytes: Sequence[int] | Bytes,
    most: int,
) -> list[int]:
    """Indices of at most `most` places: of each stretch of work that where fewest bytes cross.

    Both ends stay, and so does the place where fewest bytes cross of all.
    """
    if len(places) <= most:
        return list(range(len(places)))
    work = [0, *accumulate(one.multiply_adds + one.moved_bytes for one in operators)]
    kept: dict[int, int] = {}
    for index in range(1, len(places) - 1):
        stretch = (most - 2) * work[places[index]] // (work[-1] + 1)
        best = kept.setdefault(stretch, index)
        if boundary_bytes[index] < boundary_bytes[best]:
            kept[stretch] = index
    return [0, *sorted(kept.values()), len(places) - 1]


def part_memory(places: Sequence[int], weight_bytes: Bytes, live_bytes: Sequence[int]) -> Bytes:
    """`memory` of ModelCosts, from the weights of all parts [places, places] and what is alive.

    `live_bytes[i]` are the activations that exist while operator `i` runs.
    """
    peaks = [max(live_bytes[first:end]) for first, end in pairwise(places)]
    memory = np.triu(weight_bytes, 1)
    for first in range(len(peaks)):
        memory[first, first + 1 :] += np.maximum.accumulate(peaks[first:])
    return memory
