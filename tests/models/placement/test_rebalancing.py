"""Few moves to nearly the best seats, in an order that no shard is harmed by."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.placement.capacities import Link, Swarm
from nesa.models.placement.costs import OperatorCost
from nesa.models.placement.plan import Wish
from nesa.models.placement.rebalancing import Move, Rebalanced, _Table, order, rebalance
from nesa.models.placement.stages import Objective
from nesa.protocol.errors import ExhaustedResource, InvalidInput
from tests.models.placement.swarms import costs_of, miner

COSTS = costs_of([OperatorCost(10**6, 0)] * 2, [10, 10, 10], [100, 100], [10, 10])
CUTS = (1,)


def swarm(*rates: float, memory: dict[int, int] | None = None) -> Swarm:
    """Miners 0, 1, 2 .. with these rates; a rate of 0 is a miner that is gone."""
    sizes = memory or {}
    miners = tuple(
        miner(number, rate, sizes.get(number, 1 << 30)) for number, rate in enumerate(rates) if rate
    )
    return Swarm(miners, lambda *_: Link(1e-4, 1e9))


def names(*numbers: int) -> tuple[str, ...]:
    return tuple(f"miner {number}" for number in numbers)


def moved(seats, people: Swarm, wish: Wish | None = None, gap: float = 0.0) -> Rebalanced:
    return rebalance(COSTS, CUTS, seats, people, wish or Wish(Objective.LATENCY), gap)


def test_what_is_good_enough_stays():
    found = moved((names(0), names(1)), swarm(1e9, 1e9, 1.1e9), gap=0.2)
    assert found.moves == ()
    assert found.is_fewest
    assert found.before == found.value


def test_a_faster_newcomer_sits_down_before_the_slow_one_is_dropped():
    found = moved((names(0), names(1)), swarm(1e9, 1e8, 1e9))
    assert found.moves == (Move("miner 2", None, 1),)
    assert found.seats == (names(0), names(1, 2))
    assert found.value < found.before


def test_whoever_is_gone_is_replaced():
    found = moved((names(0), names(1)), swarm(1e9, 0, 1e9))
    assert found.before == np.inf
    assert found.moves == (Move("miner 2", None, 1),)


def test_a_miner_that_lost_its_memory_leaves_after_another_came():
    found = moved((names(0), names(1)), swarm(1e9, 1e9, 1e9, memory={1: 50}))
    assert found.moves == (Move("miner 2", None, 1), Move("miner 1", 1, None))


def test_a_spare_seat_elsewhere_is_moved():
    found = moved((names(0, 2), names(1)), swarm(1e9, 0, 1e9))
    assert [move.source for move in found.moves] == [0]
    assert [move.target for move in found.moves] == [1]


def test_without_anybody_to_spare_it_is_said():
    with pytest.raises(ExhaustedResource, match="no order of moves"):
        people = swarm(1e9, 1e9, memory={0: 110, 1: 1000})
        costs = costs_of([OperatorCost(10**6, 0)] * 2, [10] * 3, [100, 900], [10, 10])
        rebalance(costs, CUTS, (names(1), names(0)), people, Wish(), 0.0)


def test_a_swarm_that_cannot_hold_the_shards_is_said():
    with pytest.raises(InvalidInput, match="need 2 miners and there are 1"):
        moved((names(0), names(1)), swarm(1e9))


@pytest.mark.parametrize(
    ("seats", "cuts", "gap", "words"),
    [
        ((names(0), names(1)), (1,), -1.0, "a gap is 0 or more"),
        ((names(0), names(1)), (5,), 0.0, "cannot be cut at 5"),
        ((names(0),), (1,), 0.0, "seats are given for 1 shards"),
        ((names(0), names(0)), (1,), 0.0, "named twice"),
    ],
)
def test_seats_that_do_not_fit_are_refused(seats, cuts, gap, words):
    with pytest.raises(InvalidInput, match=words):
        rebalance(COSTS, cuts, seats, swarm(1e9, 1e9), Wish(), gap)


def replay(moves, counts: list[int], least: int) -> list[int]:
    """Seats after the moves; never fewer than `least`, or than before where there were fewer."""
    held = list(counts)
    for move in moves:
        if move.source is not None:
            held[move.source] -= 1
            assert held[move.source] >= least
        if move.target is not None:
            held[move.target] += 1
    return held


def in_some_order(moves, counts, least) -> bool:
    """Whether any order at all keeps every shard alive, by trying them all."""
    for line in permutations(moves):
        try:
            replay(line, counts, least)
        except AssertionError:
            continue
        return True
    return False


shards = st.integers(0, 2)
changes = st.lists(st.tuples(shards | st.none(), shards | st.none()), max_size=5)


@settings(max_examples=300, deadline=None)
@given(changes, st.lists(st.integers(0, 3), min_size=3, max_size=3), st.integers(1, 2))
def test_there_is_an_order_exactly_when_trying_all_finds_one(pairs, counts, least):
    moves = [Move(f"m{n}", *pair) for n, pair in enumerate(pairs) if pair[0] != pair[1]]
    found = order(moves, counts, least)
    assert (found is not None) == in_some_order(moves, counts, least)
    if found is not None:
        assert sorted(found, key=str) == sorted(moves, key=str)
        replay(found, counts, least)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1e8, 3e8, 1e9]), min_size=4, max_size=5),
    st.lists(st.integers(-1, 1), min_size=5, max_size=5),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from(list(Objective)),
)
def test_no_fewer_moves_do(rates, sits, gap, objective):
    people = swarm(*rates)
    seats = tuple(names(*(n for n in range(len(rates)) if sits[n] == s)) for s in range(2))
    wish = Wish(objective)
    if len(people.miners) < 2:
        return
    try:
        found = moved(seats, people, wish, gap)
    except ExhaustedResource:
        return
    assert found.is_fewest
    assert found.value <= found.best * (1 + gap) * (1 + 1e-9)
    present = {one.name for one in people.miners}
    now = {name: s for s, line in enumerate(seats) for name in line if name in present}
    replay(found.moves, [sum(s == one for one in now.values()) for s in range(2)], 1)
    table = _Table.of(COSTS, people, wish)
    for choice in product((0, 1, None), repeat=len(people.miners)):
        after = {n: s for n, s in zip(sorted(present), choice, strict=True) if s is not None}
        changed = [n for n in present if now.get(n) != after.get(n)]
        if len(changed) < len(found.moves) and table.value(after) <= found.best * (1 + gap):
            moves = [Move(n, now.get(n), after.get(n)) for n in changed]
            assert (
                order(moves, [sum(s == one for one in now.values()) for s in range(2)], 1) is None
            )


def test_many_miners_are_moved_one_after_the_other():
    rates = [1e8] * 40 + [1e9] * 40
    seats = (names(*range(20)), names(*range(20, 40)))
    found = moved(seats, swarm(*rates), Wish(Objective.LATENCY, replicas=4), gap=0.05)
    assert found.gap <= 0.05 + 1e-9
    assert 4 <= len(found.moves) <= 16
    replay(found.moves, [20, 20], 4)
