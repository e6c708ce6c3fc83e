"""A plan: where a model is cut, who computes which shard, who stands by, and how good that is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nesa.models.placement import beam, exact
from nesa.models.placement.bounds import divisible_bound, relaxed_bound
from nesa.models.placement.capacities import MAX_MINERS, Swarm
from nesa.models.placement.costs import ModelCosts
from nesa.models.placement.spares import choose_spares
from nesa.models.placement.stages import Assignment, Objective, Stages, part_seconds, stages_of
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from nesa.protocol.versions import MAX_SHARDS

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What a plan is to be: `shards` of them, or as many as are best; `replicas` miners compute
    each shard and `spares` more hold it."""

    objective: Objective = Objective.LATENCY
    shards: int | None = None
    replicas: int = 1
    spares: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One shard: operators `first <= i < end`, the names of its miners, and what it costs.

    `seconds` is what the slowest of `miners` needs, `way_seconds` the slowest way from the shard in
    front, on which `boundary_bytes` cross. `memory` is the bytes that each miner and spare needs.
    """

    first: int
    end: int
    miners: tuple[str, ...]
    spares: tuple[str, ...]
    seconds: float
    way_seconds: float
    boundary_bytes: int
    memory: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A placement with the seconds that it needs and a bound that none can beat.

    `value` is the latency, or the time of the slowest stage. `optimal`: nothing better exists on
    the places looked at, of which there are `places` out of `legal`.
    """

    objective: Objective
    stages: tuple[Stage, ...]
    value: float
    bound: float
    optimal: bool
    places: int
    legal: int

    @property
    def cuts(self) -> tuple[int, ...]:
        """Operators in front of which a further shard begins."""
        return tuple(stage.first for stage in self.stages[1:])

    @property
    def gap(self) -> float:
        """By which part of the bound `value` is above it; 0 when nothing better can exist."""
        return 0.0 if self.value <= self.bound else self.value / self.bound - 1


def plan(costs: ModelCosts, swarm: Swarm, wish: Wish) -> Plan:
    """The best plan on small swarms, a good one on large ones, and its bound.

    Raises:
        InvalidInput: a wish that no swarm of this size can fulfil.
        ExhaustedResource: memory does not suffice.
    """
    counts = _counts(costs, swarm, wish)
    stages = stages_of(costs, swarm, wish.replicas, wish.objective)
    found = beam.search(stages, counts)
    optimal = exact.is_small(stages, len(swarm.miners), wish.replicas, counts[-1])
    if optimal:
        found = exact.search(stages, counts, np.inf if found is None else found.value)
    if found is None:
        raise ExhaustedResource(_lack(stages, swarm, counts, optimal=optimal))
    described = _described(stages, swarm, found, wish.spares)
    bound = found.value
    if not (optimal and stages.all_places):
        bound = divisible_bound(costs, swarm, wish.replicas, counts, wish.objective)
    if bound < found.value and len(costs.places) == costs.legal + 2:
        relaxed = relaxed_bound(stages, costs, swarm, wish.replicas, counts, found.value)
        bound = max(bound, relaxed)
    places = len(stages.costs.places) - 2
    return Plan(wish.objective, described, found.value, bound, optimal, places, costs.legal)


def _counts(costs: ModelCosts, swarm: Swarm, wish: Wish) -> range:
    """Counts of shards that the wish allows."""
    miners = len(swarm.miners)
    if not 1 <= miners <= MAX_MINERS:
        raise InvalidInput(f"a plan is made for 1 to {MAX_MINERS} miners, not {miners}")
    if wish.replicas < 1 or wish.spares < 0:
        raise InvalidInput("a shard needs at least 1 replica and no less than 0 spares")
    most = min(MAX_SHARDS, len(costs.places) - 1, miners // (wish.replicas + wish.spares))
    wanted = wish.shards or 1
    if wanted <= most:
        return range(wanted, (wish.shards or most) + 1)
    if not 1 <= wanted <= MAX_SHARDS:
        raise InvalidInput(f"a model is cut into 1 to {MAX_SHARDS} shards, not {wanted}")
    if wanted >= len(costs.places):
        raise InvalidInput(f"the model has {costs.legal} places to cut at, too few for {wanted}")
    needed = wanted * (wish.replicas + wish.spares)
    raise InvalidInput(
        f"{wanted} shards with {wish.replicas} replicas and {wish.spares} spares need {needed} "
        f"miners and there are {miners}; a miner holds one shard of a version; ask for less"
    )


def _described(stages: Stages, swarm: Swarm, found: Assignment, spares: int) -> tuple[Stage, ...]:
    ends = (0, *found.cuts, stages.ends)
    parts = list(itertools.pairwise(ends))
    taken = [stages.groups[group] for group in found.groups]
    standing_by = choose_spares(part_seconds(stages.costs, swarm), parts, taken, spares)
    described = []
    for number, ((first, end), group) in enumerate(zip(parts, found.groups, strict=True)):
        way = float(stages.way(found.groups[number - 1], group)[first]) if number else 0.0
        described.append(
            Stage(
                stages.costs.places[first],
                stages.costs.places[end],
                _names(swarm, stages.groups[group]),
                _names(swarm, standing_by[number]),
                float(stages.seconds[group, first, end]),
                way,
                int(stages.costs.boundary_bytes[first]),
                int(stages.costs.memory[first, end]),
            )
        )
    return tuple(described)


def _names(swarm: Swarm, members: Sequence[int]) -> tuple[str, ...]:
    return tuple(swarm.miners[member].name for member in members)


def _lack(stages: Stages, swarm: Swarm, counts: range, *, optimal: bool) -> str:
    """Why no placement was found, and what would help."""
    costs = stages.costs
    pieces = np.diagonal(costs.memory, 1)
    worst, largest = int(pieces.argmax()), max(one.capacity.free_memory for one in swarm.miners)
    if pieces[worst] > largest:
        return (
            f"operators {costs.places[worst]} to {costs.places[worst + 1]} cannot be cut and need "
            f"{_mebibytes(int(pieces[worst]))}, the largest miner has {_mebibytes(largest)}; "
            "add a miner with more memory"
        )
    sure = "no placement exists" if optimal else "no placement was found"
    total = sum(one.capacity.free_memory for one in swarm.miners)
    return (
        f"{sure} of {counts[0]} to {counts[-1]} shards in the miners' memory: the weights take "
        f"{_mebibytes(costs.weight_bytes)} for each replica, all miners together have "
        f"{_mebibytes(total)}; add miners or memory, or allow more shards or fewer replicas"
    )


def _mebibytes(count: int) -> str:
    return f"{count / MEBIBYTE:,.1f} MiB"
