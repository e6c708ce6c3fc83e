"""The best placement of all: a dynamic programme over places and sets of miners.

`best[used, last][p]` is the best objective of everything in front of place `p` when the miners
`used` compute it and the group `last` the end of it. The last group is part of the state because
ways differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.placement.costs import Seconds
from nesa.models.placement.stages import Assignment, Stages

MAX_WORK: Final = 2**31
"""Most times that the dynamic programme compares; about ten seconds on one core."""

LEAST_STEP: Final = 2**14
"""Comparisons that take as long as one step on a model with few places."""

State = tuple[int, int]
"""Bits of the miners that are used, and the number of the last group."""


@dataclass(slots=True)
class _Best:
    """Best objective for each place, with the place and the group that it came from."""

    value: Seconds
    place: NDArray[np.int64]
    group: NDArray[np.int64]


def is_small(stages: Stages, miners: int, replicas: int, most: int) -> bool:
    """Whether `search` compares no more than MAX_WORK times for up to `most` shards."""
    if not stages.all_groups:
        return False
    steps = sum(
        comb(miners, used) * comb(used, replicas) * comb(miners - used, replicas)
        for used in range(replicas, replicas * most, replicas)
    )
    return steps * max((stages.ends + 1) ** 2, LEAST_STEP) <= MAX_WORK


def search(stages: Stages, counts: range, limit: float = np.inf) -> Assignment | None:
    """The best placement with as many shards as `counts` allows; None where there is none.

    Placements that are worse than `limit` are not looked for.
    """
    layers: list[dict[State, _Best]] = [_first(stages, limit)]
    for _ in range(1, counts[-1]):
        layers.append(_next(stages, layers[-1], limit))
    ends = [
        (best.value[stages.ends], number, state)
        for number in counts
        for state, best in layers[number - 1].items()
        if best.value[stages.ends] < np.inf
    ]
    if not ends:
        return None
    value, number, state = min(ends)
    return _traced(stages, layers[:number], state, float(value))


def _first(stages: Stages, limit: float) -> dict[State, _Best]:
    nobody = np.full(stages.ends + 1, -1)
    return {
        (mask, group): _Best(value, nobody, nobody)
        for group, mask in enumerate(stages.masks)
        if (value := _within(stages.seconds[group, 0], limit)).min() < np.inf
    }


def _next(stages: Stages, layer: dict[State, _Best], limit: float) -> dict[State, _Best]:
    found: dict[State, _Best] = {}
    for (used, last), best in layer.items():
        for group, mask in _free(stages, used):
            way = stages.way(last, group)
            times = stages.joined(best.value[:, None], way[:, None], stages.seconds[group])
            place = times.argmin(axis=0)
            value = _within(times[place, np.arange(times.shape[1])], limit)
            if value.min() < np.inf:
                _keep(found, (used | mask, group), _Best(value, place, np.full(len(place), last)))
    return found


def _keep(found: dict[State, _Best], state: State, new: _Best) -> None:
    old = found.setdefault(state, new)
    better = new.value < old.value
    if old is not new and better.any():
        for name in ("value", "place", "group"):
            setattr(old, name, np.where(better, getattr(new, name), getattr(old, name)))


def _within(value: Seconds, limit: float) -> Seconds:
    # A hair above the limit, so that the placement that gave the limit is found again.
    return np.where(value <= limit * (1 + 1e-12), value, np.inf)


def _free(stages: Stages, used: int) -> Iterator[tuple[int, int]]:
    return ((group, mask) for group, mask in enumerate(stages.masks) if not mask & used)


def _traced(
    stages: Stages, layers: list[dict[State, _Best]], state: State, value: float
) -> Assignment:
    place, cuts, groups = stages.ends, list[int](), [state[1]]
    for layer in reversed(layers[1:]):
        best = layer[state]
        place, last = int(best.place[place]), int(best.group[place])
        state = (state[0] & ~stages.masks[state[1]], last)
        cuts.append(place)
        groups.append(last)
    return Assignment(value, tuple(reversed(cuts)), tuple(reversed(groups)))
