"""What no placement can beat: relaxations that are solved exactly, for the gap of every plan."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.placement.capacities import Swarm
from nesa.models.placement.costs import ModelCosts, Seconds
from nesa.models.placement.stages import Objective, Stages, part_seconds

MAX_BOUND_CELLS: Final = 2**22
"""Most times that a bound holds at once: miners times places squared."""

ROUNDS: Final = 60
"""Steps of the subgradient method."""


def divisible_bound(
    costs: ModelCosts, swarm: Swarm, replicas: int, counts: range, objective: Objective
) -> float:
    """Seconds that no placement beats, wherever the model is cut.

    A stage is as slow as the mean of its members at least, so the operators together take at
    least the mean of the `replicas` fastest miners for each. A pipeline is as slow as its slowest
    operator, which one member of its stage runs no faster than the `replicas`-th fastest miner
    for it, and as the mean of its stages. What crosses is left out of that, and for latency every
    boundary costs at least the shortest way of the fewest bytes.
    """
    times = np.array([one.capacity.seconds(costs.operators) for one in swarm.miners])
    fastest = np.sort(times, axis=0)[:replicas]
    total = fastest.mean(axis=0).sum()
    if objective is Objective.THROUGHPUT:
        return float(max(total / counts[-1], fastest[-1].max()))
    return float(total) + (counts[0] - 1) * _shortest_way(costs, swarm)


def relaxed_bound(
    stages: Stages, costs: ModelCosts, swarm: Swarm, replicas: int, counts: range, value: float
) -> float:
    """Seconds that no placement on the places of `costs` beats; `value` is one that is known.

    0 where `costs` has too many places for that many miners.
    """
    if stages.all_groups and stages.objective is Objective.LATENCY and stages.all_places:
        return _lagrangian_bound(stages, swarm, counts, value)
    if len(swarm.miners) * len(costs.places) ** 2 > MAX_BOUND_CELLS:
        return 0.0
    lone = _lone_bound(stages, costs, swarm, replicas, counts)
    if stages.objective is Objective.LATENCY:
        return lone
    return max(lone, _coverage_bound(costs, swarm, replicas, counts[-1]))


def _lone_bound(
    stages: Stages, costs: ModelCosts, swarm: Swarm, replicas: int, counts: range
) -> float:
    """Value when every part may have the `replicas` fastest miners for it, again and again."""
    times = np.partition(part_seconds(costs, swarm), replicas - 1, axis=0)[replicas - 1]
    way = np.full((len(times), 1), _shortest_way(costs, swarm))
    way[0] = 0.0
    parts = stages.joined(np.zeros(1), way, times)
    join = np.add if stages.objective is Objective.LATENCY else np.maximum
    return min(_chain(parts, counts, join)[0].values(), default=np.inf)


def _lagrangian_bound(stages: Stages, swarm: Swarm, counts: range, value: float) -> float:
    """Latency when a miner may sit in several shards but pays a price for each seat.

    For prices >= 0 the cheapest chain less all prices is a bound; the subgradient method raises
    the prices of miners that are wanted more than once (Polyak's step towards `value`).
    """
    members = np.zeros((len(stages.groups), len(swarm.miners)))
    for number, group in enumerate(stages.groups):
        members[number, list(group)] = 1
    entered = stages.seconds + _entries(stages)[:, :, None]
    prices, best = np.zeros(len(swarm.miners)), 0.0
    for _ in range(ROUNDS):
        priced = entered + (members @ prices)[:, None, None]
        chosen = priced.argmin(axis=0)
        ends, parts = _chain(np.take_along_axis(priced, chosen[None], axis=0)[0], counts)
        count = min(ends, key=lambda number: ends[number], default=0)
        if not count:
            return np.inf
        bound = ends[count] - prices.sum()
        best = max(best, bound)
        uses = sum(members[chosen[part]] for part in parts[count])
        slope = uses - 1
        moving = np.where((prices > 0) | (slope > 0), slope, 0)
        if not moving.any() or best >= value:
            break
        prices = np.maximum(0, prices + (value - bound) / (moving @ moving) * moving)
    return float(best)


def _entries(stages: Stages) -> Seconds:
    """Least seconds to reach each group across each place, [groups, places]; 0 at the start."""
    apart = ~np.eye(len(stages.groups), dtype=bool)
    delays = stages.delays.min(axis=0, where=apart, initial=np.inf)
    byte_times = stages.byte_times.min(axis=0, where=apart, initial=np.inf)
    if len(stages.groups) == 1:
        delays = byte_times = np.zeros(1)
    found: Seconds = delays[:, None] + byte_times[:, None] * stages.costs.boundary_bytes[None, :]
    found[:, 0] = 0.0
    return found


def _chain(
    parts: Seconds, counts: range, join: np.ufunc = np.add
) -> tuple[dict[int, float], dict[int, list[tuple[int, int]]]]:
    """Least value of a chain of parts from the first place to the last, for each count of parts.

    Returned beside the values are the parts themselves. `join` adds a part to a chain.
    """
    value, came = parts[0], list[NDArray[np.int64]]()
    ends: dict[int, float] = {}
    paths: dict[int, list[tuple[int, int]]] = {}
    for number in range(1, counts[-1] + 1):
        if number > 1:
            longer = join(value[:, None], parts)
            came.append(longer.argmin(axis=0))
            value = longer.min(axis=0)
        if number in counts and value[-1] < np.inf:
            ends[number], paths[number] = float(value[-1]), _path(came, len(value) - 1)
    return ends, paths


def _path(came: list[NDArray[np.int64]], end: int) -> list[tuple[int, int]]:
    parts = []
    for places in reversed(came):
        first = int(places[end])
        parts.append((first, end))
        end = first
    return [*reversed(parts), (0, end)][::-1]


def _coverage_bound(costs: ModelCosts, swarm: Swarm, replicas: int, shards: int) -> float:
    """Least time in which the parts that fit it add up to the model.

    In a time B a miner covers at most some share of the work with one part; of `shards` disjoint
    groups the g-th largest share is at most that of the (g * replicas)-th best miner. Where the
    shares do not add up to 1, no pipeline has a stage time of B.
    """
    times = part_seconds(costs, swarm)
    work = _work(costs, swarm)
    shares = np.triu(work[None, :] - work[:, None], 1)
    shortest = _shortest_way(costs, swarm)
    times[:, 1:] = np.maximum(times[:, 1:], shortest)
    candidates = np.unique(times[times < np.inf])
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        covered = np.where(times <= candidates[middle], shares, 0).max(axis=(1, 2))
        ranked = np.sort(covered)[::-1][replicas - 1 :: replicas][:shards]
        if ranked.sum() >= 1 - 1e-12:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low]) if low < len(candidates) else np.inf


def _work(costs: ModelCosts, swarm: Swarm) -> Seconds:
    """Share of the work in front of each place, by the mean time of all miners."""
    total = sum(one.capacity.seconds(costs.operators) for one in swarm.miners)
    done = np.concatenate([[0.0], np.cumsum(total)])
    if not done[-1]:
        return np.linspace(0.0, 1.0, len(costs.places))
    found: Seconds = done[list(costs.places)] / done[-1]
    return found


def _shortest_way(costs: ModelCosts, swarm: Swarm) -> float:
    """Least seconds that crossing any boundary takes between any two miners."""
    count = len(swarm.miners)
    if count == 1 or len(costs.places) == 2:
        return 0.0
    apart = ~np.eye(count, dtype=bool)
    least = int(costs.boundary_bytes[1:-1].min())
    return float((swarm.delays + swarm.byte_times * least)[apart].min())
