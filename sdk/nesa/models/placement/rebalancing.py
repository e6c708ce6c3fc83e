"""From the seats of today to nearly the best ones: few moves, in an order that keeps shards alive.

The cuts of a registered version stay, so only who sits where is looked at. An operator has one seat
a version: whoever changes shards leaves first and sits nowhere until the other seat is taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import comb
from typing import Final, TypeAlias

import numpy as np

from nesa.models.placement.capacities import Swarm
from nesa.models.placement.costs import ModelCosts, Seconds
from nesa.models.placement.plan import Plan, Wish, plan
from nesa.models.placement.stages import Objective, part_seconds
from nesa.protocol.errors import ExhaustedResource, InvalidInput

MOST_TRIED: Final = 60_000
"""Sets of moves of one size that are tried; beyond, moves are chosen one after the other."""

MOST_ORDERED: Final = 12
"""Moves between shards for which every order is looked at."""

Seats: TypeAlias = tuple[tuple[str, ...], ...]
"""Names of the miners that sit in each shard."""

_Where: TypeAlias = dict[str, int]
"""The shard of every miner that sits somewhere."""


@dataclass(frozen=True, slots=True)
class Move:
    """One miner's change of shards; None is no seat."""

    miner: str
    source: int | None
    target: int | None


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """Moves in their order and what they bring.

    `before` and `value` are latencies or times of the slowest stage in seconds, `before` inf where
    a shard lacked seats; `best` is what the best plan on the same cuts needs, counted alike.
    `is_fewest`: no fewer moves do.
    """

    moves: tuple[Move, ...]
    seats: Seats
    before: float
    value: float
    best: float
    is_fewest: bool

    @property
    def gap(self) -> float:
        """By which part `value` is above the best plan on these cuts."""
        return max(0.0, self.value / self.best - 1)


def rebalance(
    costs: ModelCosts, cuts: Sequence[int], seats: Seats, swarm: Swarm, wish: Wish, gap: float
) -> Rebalanced:
    """The fewest moves after which the seats are within `gap` of the best plan on the same cuts.

    `swarm` are the miners of now: who is not in it has lost its seat, who has no seat may take
    one. Every shard keeps `wish.replicas + wish.spares` seats while others move, or what it has.

    Raises:
        InvalidInput: seats or cuts that do not fit the model, or a gap below 0.
        ExhaustedResource: the miners of now cannot hold the shards, or no order of moves gets
            there without a shard losing a seat that it needs.
    """
    _require_fitting(costs, cuts, seats, gap)
    fixed = _at(costs, cuts)
    table = _Table.of(fixed, swarm, wish)
    target = _seated(plan(fixed, swarm, replace(wish, shards=len(cuts) + 1)))
    best = table.value(target)
    names = {one.name for one in swarm.miners}
    where = {name: shard for shard, line in enumerate(seats) for name in line if name in names}
    found, is_fewest = _fewest(table, where, best * (1 + gap), target)
    if found is None:
        raise ExhaustedResource(
            "no order of moves gets there while every shard keeps the seats it needs; "
            "add a miner, or allow a wider --gap"
        )
    moves = order(_moves(where, found), _counts(where, table.shards), table.least)
    assert moves is not None
    after = tuple(tuple(sorted(n for n in found if found[n] == s)) for s in range(table.shards))
    before, value = table.value(where), table.value(found)
    return Rebalanced(moves, after, before, value, best, is_fewest)


def order(moves: Sequence[Move], counts: Sequence[int], least: int) -> tuple[Move, ...] | None:
    """The moves in an order in which no shard falls below `least` seats; None where there is none.

    A shard that has fewer to begin with may not lose any. New seats come first, seats that are
    given up last.
    """
    joins = [one for one in moves if one.source is None]
    leaves = [one for one in moves if one.target is None]
    between = [one for one in moves if one.source is not None and one.target is not None]
    held = list(counts)
    for one in joins:
        assert one.target is not None
        held[one.target] += 1
    middle = _ordered(between, held, least)
    if middle is None:
        return None
    for one in between:
        assert one.source is not None
        assert one.target is not None
        held[one.source] -= 1
        held[one.target] += 1
    for one in leaves:
        assert one.source is not None
        held[one.source] -= 1
        if held[one.source] < least:
            return None
    return (*joins, *middle, *leaves)


def _ordered(moves: Sequence[Move], counts: Sequence[int], least: int) -> tuple[Move, ...] | None:
    """Moves between shards, each out of a shard that has a seat to spare."""
    if len(moves) > MOST_ORDERED:
        return _ordered_greedily(moves, counts, least)

    @cache
    def rest(done: frozenset[int]) -> tuple[int, ...] | None:
        if len(done) == len(moves):
            return ()
        held = list(counts)
        for number in done:
            _apply(held, moves[number])
        for number, one in enumerate(moves):
            if number in done or held[one.source or 0] <= least:
                continue
            behind = rest(done | {number})
            if behind is not None:
                return (number, *behind)
        return None

    found = rest(frozenset())
    return None if found is None else tuple(moves[number] for number in found)


def _ordered_greedily(
    moves: Sequence[Move], counts: Sequence[int], least: int
) -> tuple[Move, ...] | None:
    held, left, made = list(counts), list(moves), list[Move]()
    while left:
        able = [one for one in left if held[one.source or 0] > least]
        if not able:
            return None
        one = min(able, key=lambda move: held[move.target or 0])
        left.remove(one)
        made.append(one)
        _apply(held, one)
    return tuple(made)


def _apply(held: list[int], move: Move) -> None:
    if move.source is not None:
        held[move.source] -= 1
    if move.target is not None:
        held[move.target] += 1


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """What an assignment is worth: `seconds` [miners, shards], inf without memory; ways between
    shards by `delays` and `byte_times` [miners, miners] and the bytes in front of each shard."""

    names: Mapping[str, int]
    seconds: Seconds
    delays: Seconds
    byte_times: Seconds
    boundary_bytes: Sequence[int]
    replicas: int
    least: int
    objective: Objective

    @classmethod
    def of(cls, costs: ModelCosts, swarm: Swarm, wish: Wish) -> _Table:
        every = part_seconds(costs, swarm)
        shards = len(costs.places) - 1
        seconds = np.stack([every[:, one, one + 1] for one in range(shards)], axis=1)
        names = {one.name: number for number, one in enumerate(swarm.miners)}
        bytes_ = [int(one) for one in costs.boundary_bytes]
        least = wish.replicas + wish.spares
        ways = swarm.delays, swarm.byte_times
        return cls(names, seconds, *ways, bytes_, wish.replicas, least, wish.objective)

    @property
    def shards(self) -> int:
        return int(self.seconds.shape[1])

    def value(self, where: _Where) -> float:
        """Seconds that the seats need; inf where one cannot serve or a shard lacks some.

        As in a plan the fastest `replicas` of a shard count, the slowest pair between two shards.
        """
        lines: list[list[int]] = [[] for _ in range(self.shards)]
        for name, shard in where.items():
            lines[shard].append(self.names[name])
        total, before = 0.0, list[int]()
        for shard, line in enumerate(lines):
            if len(line) < self.least or max(self.seconds[line, shard]) == np.inf:
                return float("inf")
            line.sort(key=lambda one: (self.seconds[one, shard], one))
            members = line[: self.replicas]
            part = float(self.seconds[members[-1], shard])
            way = self._way(before, members, self.boundary_bytes[shard]) if shard else 0.0
            summed = self.objective is Objective.LATENCY
            total = total + part + way if summed else max(total, part, way)
            before = members
        return total

    def _way(self, sources: Sequence[int], targets: Sequence[int], size: int) -> float:
        return max(
            float(self.delays[one, other]) + float(self.byte_times[one, other]) * size
            for one in sources
            for other in targets
        )


def _fewest(
    table: _Table, where: _Where, limit: float, target: _Where
) -> tuple[_Where | None, bool]:
    """Seats within the limit that the fewest moves lead to, and whether no fewer moves do."""
    choices = [
        Move(name, where.get(name), shard)
        for name in table.names
        for shard in (*range(table.shards), None)
        if shard != where.get(name)
    ]
    counts = _counts(where, table.shards)
    if table.value(where) <= limit * (1 + 1e-12):
        return where, True
    for number in range(1, len(table.names) + 1):
        if comb(len(choices), number) > MOST_TRIED:
            break
        found = [
            (value, made)
            for moves in itertools.combinations(choices, number)
            if len({one.miner for one in moves}) == number
            for made in [_after(where, moves)]
            if (value := table.value(made)) <= limit * (1 + 1e-12)
            and order(moves, counts, table.least) is not None
        ]
        if found:
            return min(found, key=lambda pair: pair[0])[1], True
    for made in (*_steps(table, where, choices), _kept(table, where, target), target):
        is_good = table.value(made) <= limit * (1 + 1e-12)
        if is_good and order(_moves(where, made), counts, table.least) is not None:
            return made, False
    return None, False


def _kept(table: _Table, where: _Where, target: _Where) -> _Where:
    """The target without giving up seats that are of use: slower ones do not count."""
    useful = {n: s for n, s in where.items() if table.seconds[table.names[n], s] < np.inf}
    return useful | target


def _steps(table: _Table, where: _Where, choices: Sequence[Move]) -> Iterator[_Where]:
    """Seats after one move more each time, always the one that helps most."""
    now, rank = where, _rank(table, where)
    for _ in table.names:
        made = min((_after(now, (one,)) for one in choices), key=lambda one: _rank(table, one))
        if _rank(table, made) >= rank:
            return
        now, rank = made, _rank(table, made)
        yield now


def _rank(table: _Table, where: _Where) -> tuple[int, float, float]:
    """How many seats are missing or of no use, the value, and the time of all who count: one fast
    miner among slow ones changes nothing yet."""
    lines: list[list[float]] = [[] for _ in range(table.shards)]
    for name, shard in where.items():
        lines[shard].append(float(table.seconds[table.names[name], shard]))
    useful = [sorted(time for time in line if time < np.inf) for line in lines]
    wrong = len(where) - sum(map(len, useful))
    missing = sum(max(0, table.least - len(line)) for line in useful)
    spent = sum(sum(line[: table.replicas]) for line in useful)
    return missing + wrong, table.value(where), spent


def _after(where: _Where, moves: Sequence[Move]) -> _Where:
    made = dict(where)
    for one in moves:
        if one.target is None:
            made.pop(one.miner, None)
        else:
            made[one.miner] = one.target
    return made


def _moves(before: _Where, after: _Where) -> tuple[Move, ...]:
    names = sorted({*before, *after})
    changes = (Move(name, before.get(name), after.get(name)) for name in names)
    return tuple(one for one in changes if one.source != one.target)


def _counts(where: _Where, shards: int) -> list[int]:
    return [sum(one == shard for one in where.values()) for shard in range(shards)]


def _seated(best: Plan) -> _Where:
    return {
        name: shard
        for shard, stage in enumerate(best.stages)
        for name in (*stage.miners, *stage.spares)
    }


def _at(costs: ModelCosts, cuts: Sequence[int]) -> ModelCosts:
    """The same with no places but the cuts, which are all that is legal."""
    wanted = (0, *cuts, len(costs.operators))
    kept = [costs.places.index(place) for place in wanted]
    return replace(
        costs,
        places=tuple(wanted),
        legal=len(cuts),
        boundary_bytes=costs.boundary_bytes[kept],
        memory=costs.memory[np.ix_(kept, kept)],
    )


def _require_fitting(costs: ModelCosts, cuts: Sequence[int], seats: Seats, gap: float) -> None:
    if not 0 <= gap < float("inf"):
        raise InvalidInput(f"a gap is 0 or more, not {gap}")
    strange = [place for place in cuts if place not in costs.places[1:-1]]
    if strange or list(cuts) != sorted(set(cuts)):
        raise InvalidInput(f"the model cannot be cut at {', '.join(map(str, strange or cuts))}")
    if len(seats) != len(cuts) + 1:
        raise InvalidInput(f"seats are given for {len(seats)} shards and there are {len(cuts) + 1}")
    every = [name for line in seats for name in line]
    if len(set(every)) < len(every):
        raise InvalidInput("a miner holds one shard of a version; one is named twice")
