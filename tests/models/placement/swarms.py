"""Random models and swarms, a slow search that cannot be wrong, and a swarm of round numbers."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
from hypothesis import strategies as st

from nesa.models.placement.capacities import Capacity, Link, Miner, Swarm
from nesa.models.placement.costs import Arithmetic, ModelCosts, OperatorCost, part_memory
from nesa.models.placement.stages import Objective

KINDS = tuple(Arithmetic)


def costs_of(operators, boundaries, weights, live) -> ModelCosts:
    """Costs of a model that can be cut in front of every operator."""
    places = tuple(range(len(operators) + 1))
    done = np.concatenate([[0], np.cumsum(weights)])
    memory = part_memory(places, done[None, :] - done[:, None], live)
    crossing = np.array(boundaries, np.int64)
    return ModelCosts(tuple(operators), places, len(places) - 2, crossing, memory, int(done[-1]))


def miner(number: int, rate: float = 1e9, memory: int = 1 << 30, site: str = "") -> Miner:
    rates = dict.fromkeys(KINDS, rate)
    return Miner(f"miner {number}", Capacity(rates, 1e10, 1e-6, memory), site)


@st.composite
def models(draw: st.DrawFn, least: int = 2, most: int = 6) -> ModelCosts:
    count = draw(st.integers(least, most))

    def numbers(high: int, length: int = count) -> list[int]:
        return draw(st.lists(st.integers(0, high), min_size=length, max_size=length))

    operators = [
        OperatorCost(products, moved, draw(st.sampled_from(KINDS)))
        for products, moved in zip(numbers(10**6), numbers(10**6), strict=True)
    ]
    return costs_of(operators, numbers(10**5, count + 1), numbers(1000), numbers(100))


@st.composite
def swarms(draw: st.DrawFn, least: int = 1, most: int = 5) -> Swarm:
    rates = st.floats(1e7, 1e10)
    people = tuple(
        Miner(
            f"miner {number}",
            Capacity(
                {kind: draw(rates) for kind in KINDS},
                draw(st.floats(1e8, 1e11)),
                draw(st.floats(0, 1e-4)),
                draw(st.integers(200, 4000)),
            ),
        )
        for number in range(draw(st.integers(least, most)))
    )
    links = {
        (a.name, b.name): Link(draw(st.floats(0, 1e-3)), draw(st.floats(1e6, 1e9)), 1e-5)
        for a in people
        for b in people
    }
    return Swarm(people, lambda a, b: links[a.name, b.name])


def brute_force(costs: ModelCosts, swarm: Swarm, replicas: int, counts, objective) -> float:
    """Best value over every cut and every assignment of groups, inf without any."""
    groups = list(combinations(range(len(swarm.miners)), replicas))
    ends = len(costs.places) - 1
    return min(
        (
            value_of(costs, swarm, (0, *cuts, ends), chosen, objective)
            for count in counts
            for cuts in combinations(range(1, ends), count - 1)
            for chosen in permutations(groups, count)
            if len({one for group in chosen for one in group}) == count * replicas
        ),
        default=np.inf,
    )


def value_of(costs, swarm, ends, chosen, objective) -> float:
    parts, ways = [], []
    for number, (first, end) in enumerate(pairwise(ends)):
        people = [swarm.miners[one] for one in chosen[number]]
        if any(costs.memory[first, end] > one.capacity.free_memory for one in people):
            return np.inf
        work = costs.operators[costs.places[first] : costs.places[end]]
        parts.append(max(sum(_seconds(one, cost) for cost in work) for one in people))
        if number:
            before = [swarm.miners[one] for one in chosen[number - 1]]
            crossing = int(costs.boundary_bytes[first])
            ways.append(_slowest(swarm, before, people, crossing))
    total = [*parts, *ways]
    return sum(total) if objective is Objective.LATENCY else max(total)


def _seconds(one: Miner, cost: OperatorCost) -> float:
    able = one.capacity
    products = cost.multiply_adds / able.rates[cost.arithmetic]
    return max(products, cost.moved_bytes / able.bandwidth) + able.overhead


def _slowest(swarm, before, people, crossing) -> float:
    links = [swarm.link(a, b) for a in before for b in people]
    delay = max(one.round_trip / 2 + one.hop for one in links)
    return delay + crossing * max(1 / one.bandwidth for one in links)
