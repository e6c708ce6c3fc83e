"""Plans are the best there are on small swarms, legal on large ones, and never beat their bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.placement import beam, exact
from nesa.models.placement.bounds import divisible_bound, relaxed_bound
from nesa.models.placement.capacities import Capacity, Link, Miner, Swarm
from nesa.models.placement.costs import Arithmetic, OperatorCost
from nesa.models.placement.plan import Wish, plan
from nesa.models.placement.stages import Objective, stages_of
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from tests.models.placement.swarms import brute_force, costs_of, miner, models, swarms

objectives = st.sampled_from(list(Objective))
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(models(), swarms(), objectives, st.integers(1, 2))
def test_exact_search_finds_what_trying_everything_finds(costs, swarm, objective, replicas):
    most = min(len(swarm.miners) // replicas, len(costs.places) - 1)
    if most == 0:
        return
    counts = range(1, most + 1)
    best = brute_force(costs, swarm, replicas, counts, objective)
    found = exact.search(stages_of(costs, swarm, replicas, objective), counts)
    assert (np.inf if found is None else found.value) == pytest.approx(best)


@QUICK
@given(models(), swarms(), objectives, st.integers(1, 2), st.booleans())
def test_no_placement_beats_a_bound(costs, swarm, objective, replicas, fixed):
    most = min(len(swarm.miners) // replicas, len(costs.places) - 1)
    if most == 0:
        return
    counts = range(most if fixed else 1, most + 1)
    best = brute_force(costs, swarm, replicas, counts, objective)
    stages = stages_of(costs, swarm, replicas, objective)
    known = best if best < np.inf else 1.0
    slack = 1 + 1e-9
    assert divisible_bound(costs, swarm, replicas, counts, objective) <= best * slack
    assert relaxed_bound(stages, costs, swarm, replicas, counts, known) <= best * slack


def test_a_bound_allows_each_member_to_be_slow_at_another_operator():
    costs = costs_of(
        [OperatorCost(1, 0, Arithmetic.FLOAT64), OperatorCost(1, 0, Arithmetic.INT8)],
        [0, 0, 0],
        [0, 0],
        [0, 0],
    )
    slow, fast = 1e7, 1.1e7
    swarm = Swarm(
        tuple(
            Miner(
                str(number),
                Capacity({Arithmetic.FLOAT64: first, Arithmetic.INT8: second}, 1e8, 0.0, 200),
            )
            for number, (first, second) in enumerate([(slow, slow), (fast, slow), (slow, fast)])
        ),
        lambda _a, _b: Link(0.0, 1e8, 1e-5),
    )
    best = brute_force(costs, swarm, 2, range(1, 2), Objective.LATENCY)
    assert best == pytest.approx(1 / slow + 1 / fast)
    for objective in Objective:
        assert divisible_bound(costs, swarm, 2, range(1, 2), objective) <= best


@QUICK
@given(models(), swarms(), objectives)
def test_beam_is_a_placement_no_better_than_the_best(costs, swarm, objective):
    most = min(len(swarm.miners), len(costs.places) - 1)
    stages = stages_of(costs, swarm, 1, objective)
    best = exact.search(stages, range(1, most + 1))
    found = beam.search(stages, range(1, most + 1))
    assert (found is None) >= (best is None)
    if found is not None and best is not None:
        assert found.value >= best.value * (1 - 1e-9)
        used = [one for group in found.groups for one in stages.groups[group]]
        assert len(used) == len(set(used))


@QUICK
@given(models(), swarms(most=5), objectives, st.integers(1, 2), st.integers(0, 1))
def test_a_miner_holds_one_shard_that_fits_its_memory(costs, swarm, objective, replicas, spares):
    try:
        made = plan(costs, swarm, Wish(objective, None, replicas, spares))
    except (ExhaustedResource, InvalidInput):
        return
    memory = {one.name: one.capacity.free_memory for one in swarm.miners}
    names = [name for stage in made.stages for name in (*stage.miners, *stage.spares)]
    assert len(names) == len(set(names)) == len(made.stages) * (replicas + spares)
    for stage in made.stages:
        assert all(stage.memory <= memory[name] for name in (*stage.miners, *stage.spares))
    assert made.optimal
    assert made.gap == pytest.approx(0)


def uniform(operators: int, weights: int = 10, products: int = 10**7):
    crossing = [100] * (operators + 1)
    work = [OperatorCost(products, 0)] * operators
    return costs_of(work, crossing, [weights] * operators, [0] * operators)


def swarm_of(*people) -> Swarm:
    return Swarm(people, lambda a, b: Link(2e-3, 1e9))


def test_latency_stays_on_the_fastest_miner_and_throughput_spreads():
    swarm = swarm_of(miner(0, 1e9), miner(1, 2e9), miner(2, 1e9))
    quick = plan(uniform(8), swarm, Wish(Objective.LATENCY))
    assert [stage.miners for stage in quick.stages] == [("miner 1",)]
    wide = plan(uniform(8), swarm, Wish(Objective.THROUGHPUT))
    shares = {stage.miners[0]: stage.end - stage.first for stage in wide.stages}
    assert shares == {"miner 0": 2, "miner 1": 4, "miner 2": 2}


def test_memory_forces_a_cut():
    swarm = swarm_of(miner(0, 1e9, memory=50), miner(1, 1e9, memory=40))
    made = plan(uniform(8), swarm, Wish(Objective.LATENCY))
    assert sorted(stage.memory for stage in made.stages) in ([30, 50], [40, 40])


def test_memory_that_lacks_is_told():
    with pytest.raises(ExhaustedResource, match="the largest miner has"):
        plan(uniform(4), swarm_of(miner(0, memory=5), miner(1, memory=5)), Wish())
    with pytest.raises(ExhaustedResource, match="no placement exists"):
        plan(uniform(8), swarm_of(miner(0, memory=20), miner(1, memory=20)), Wish())
    one_large = swarm_of(miner(0, memory=100), miner(1, memory=5))
    with pytest.raises(ExhaustedResource, match="as its spare"):
        plan(uniform(8), one_large, Wish(shards=1, spares=1))


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(shards=9), "1 to 8 shards"),
        (Wish(shards=5), "places to cut at"),
        (Wish(shards=3), "need 3 miners and there are 2"),
        (Wish(replicas=0), "at least 1 replica"),
        (Wish(replicas=3), "need 3 miners"),
    ],
)
def test_wishes_that_cannot_be_fulfilled_are_refused(wish, words):
    with pytest.raises(InvalidInput, match=words):
        plan(uniform(4), swarm_of(miner(0), miner(1)), wish)


def test_a_large_swarm_gets_a_plan_near_its_bound():
    people = [miner(number, 1e9 * (1 + number % 7)) for number in range(200)]
    made = plan(uniform(60), swarm_of(*people), Wish(Objective.THROUGHPUT, replicas=4, spares=2))
    assert not made.optimal
    assert len(made.stages) == 8
    assert 0 <= made.gap < 0.2
