"""Groups of replicas, and how long each takes for every part: what all searches search in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.placement.capacities import Swarm
from nesa.models.placement.costs import ModelCosts, Seconds

MAX_GROUPS: Final = 512
"""Most groups of replicas that are looked at; beyond, those of like and near miners are."""

MAX_CELLS: Final = 2**22
"""Most times that are held: groups times places squared."""

NEAR_BLOCKS: Final = 3
"""Groups that are made of the miners near each one."""

LEAST_PLACES: Final = 24


class Objective(Enum):
    """What a plan makes small: the sum over all stages, or the slowest stage."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, eq=False)
class Stages:
    """Times of every group for every part, and of the way from every group to every other.

    A group's part takes as long as its slowest replica, a way as long as the slowest pair.
    `seconds[g, a, b]` is inf where b <= a or a replica lacks memory. `delays` and `byte_times`
    are [groups, groups]. `all_groups` and `all_places` say whether none is left out.
    """

    objective: Objective
    groups: tuple[tuple[int, ...], ...]
    costs: ModelCosts
    seconds: Seconds
    delays: Seconds
    byte_times: Seconds
    all_groups: bool
    all_places: bool

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """The members of each group as bits of an integer."""
        return tuple(sum(1 << member for member in group) for group in self.groups)

    @property
    def ends(self) -> int:
        """Number of the place behind the last operator."""
        return len(self.costs.places) - 1

    def way(self, source: int, target: int) -> Seconds:
        """Seconds from one group to another across each place."""
        found: Seconds = (
            self.delays[source, target]
            + self.byte_times[source, target] * self.costs.boundary_bytes
        )
        return found

    def joined(self, before: Seconds, way: Seconds, part: Seconds) -> Seconds:
        """The objective with one more stage; arguments broadcast.

        A stage computes one query while the next is on its way, so the slower of both counts for
        throughput.
        """
        if self.objective is Objective.LATENCY:
            return before + way + part
        return np.maximum(np.maximum(before, way), part)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A placement inside Stages: `cuts` are indices of places, `groups` of groups, in order."""

    value: float
    cuts: tuple[int, ...]
    groups: tuple[int, ...]


def stages_of(costs: ModelCosts, swarm: Swarm, replicas: int, objective: Objective) -> Stages:
    """The stages that groups of `replicas` miners of the swarm can be."""
    groups = _groups(swarm, costs, replicas)
    most = max(LEAST_PLACES, int((MAX_CELLS / len(groups)) ** 0.5))
    thin = costs.thinned(most)
    members = np.array(groups)
    every = part_seconds(thin, swarm)
    seconds = every[members[:, 0]].copy()
    for column in members.T[1:]:
        np.maximum(seconds, every[column], out=seconds)
    delays, byte_times = (_slowest_pairs(one, members) for one in (swarm.delays, swarm.byte_times))
    all_groups = len(groups) == comb(len(swarm.miners), replicas)
    all_places = len(thin.places) == costs.legal + 2
    return Stages(objective, groups, thin, seconds, delays, byte_times, all_groups, all_places)


def part_seconds(costs: ModelCosts, swarm: Swarm) -> Seconds:
    """Seconds of every miner for every part, [miners, places, places]; inf where it cannot."""
    found = np.full((len(swarm.miners), *costs.memory.shape), np.inf)
    for number, miner in enumerate(swarm.miners):
        done = np.concatenate([[0.0], np.cumsum(miner.capacity.seconds(costs.operators))])
        at = done[list(costs.places)]
        fits = np.triu(costs.memory <= miner.capacity.free_memory, 1)
        found[number][fits] = (at[None, :] - at[:, None])[fits]
    return found


def _groups(swarm: Swarm, costs: ModelCosts, replicas: int) -> tuple[tuple[int, ...], ...]:
    count = len(swarm.miners)
    if replicas == 1 or comb(count, replicas) <= MAX_GROUPS:
        return tuple(combinations(range(count), replicas))
    totals = np.array([one.capacity.seconds(costs.operators).sum() for one in swarm.miners])
    ranked = [int(number) for number in np.argsort(totals, kind="stable")]
    like = {_ordered(ranked[first : first + replicas]) for first in range(count - replicas + 1)}
    blocks = max(1, min(NEAR_BLOCKS, 2 * MAX_GROUPS // count))
    near = {
        _ordered(block)
        for number in ranked
        for block in _nearest(swarm, totals, number, replicas, blocks)
    }
    memory = [-one.capacity.free_memory for one in swarm.miners]
    roomy = [int(number) for number in np.argsort(memory, kind="stable")]
    large = {_ordered(roomy[first : first + replicas]) for first in range(0, count, replicas)}
    return tuple(sorted(one for one in like | near | large if len(one) == replicas))


def _nearest(
    swarm: Swarm, totals: Seconds, number: int, replicas: int, blocks: int
) -> Iterator[list[int]]:
    """Groups that do not overlap: the miner with those that are quickest to reach from it, then
    those behind them, the fastest of equals first."""
    others = [int(one) for one in np.lexsort((totals, swarm.delays[number])) if one != number]
    ranked = [number, *others]
    for first in range(0, blocks * replicas, replicas):
        yield ranked[first : first + replicas]


def _ordered(members: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(members))


def _slowest_pairs(matrix: Seconds, members: NDArray[np.int64]) -> Seconds:
    found = np.zeros((len(members), len(members)))
    for source in members.T:
        for target in members.T:
            np.maximum(found, matrix[np.ix_(source, target)], out=found)
    return found
