"""A good placement on a large swarm: the best few beginnings at every place, made longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nesa.models.placement.stages import Assignment, Stages

WIDTH: Final = 8
"""Beginnings that are kept at each place."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Groups that compute everything in front of `place`."""

    value: float
    place: int
    used: int
    group: int
    before: _Beginning | None

    def assignment(self) -> Assignment:
        """The placement that it is, once `place` is behind the last operator."""
        cuts, groups, one = list[int](), [self.group], self.before
        while one is not None:
            cuts.append(one.place)
            groups.append(one.group)
            one = one.before
        return Assignment(self.value, tuple(reversed(cuts)), tuple(reversed(groups)))


def search(stages: Stages, counts: range) -> Assignment | None:
    """The best placement found with as many shards as `counts` allows; None when none was."""
    layer = _best_few(_firsts(stages))
    found: list[_Beginning] = []
    for number in range(1, counts[-1] + 1):
        if number in counts:
            found += [one for one in layer if one.place == stages.ends]
        if number < counts[-1]:
            layer = _best_few(_longer(stages, layer))
    if not found:
        return None
    return min(found, key=lambda one: one.value).assignment()


def _firsts(stages: Stages) -> Iterator[_Beginning]:
    values = stages.seconds[:, 0]
    for place in range(1, stages.ends + 1):
        for group in _lowest(values[:, place]):
            mask = stages.masks[group]
            yield _Beginning(float(values[group, place]), place, mask, group, None)


def _longer(stages: Stages, layer: Sequence[_Beginning]) -> Iterator[_Beginning]:
    bytes_ = stages.costs.boundary_bytes
    for one in layer:
        if one.place == stages.ends:
            continue
        taken = np.array([bool(mask & one.used) for mask in stages.masks])
        way = stages.delays[one.group] + stages.byte_times[one.group] * bytes_[one.place]
        joined = stages.joined(np.array(one.value), way[:, None], stages.seconds[:, one.place])
        joined[taken] = np.inf
        for place in range(one.place + 1, stages.ends + 1):
            for group in _lowest(joined[:, place]):
                used = one.used | stages.masks[group]
                yield _Beginning(float(joined[group, place]), place, used, group, one)


def _lowest(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Iterable[int]:
    """Indices of the WIDTH lowest finite values."""
    few = np.argpartition(values, WIDTH)[:WIDTH] if len(values) > WIDTH else range(len(values))
    return [int(index) for index in few if values[index] < np.inf]


def _best_few(beginnings: Iterable[_Beginning]) -> list[_Beginning]:
    """The best for each place, of those with the same miners and the same end only the best."""
    best: dict[tuple[int, int, int], _Beginning] = {}
    for one in beginnings:
        key = (one.place, one.used, one.group)
        if key not in best or one.value < best[key].value:
            best[key] = one
    places: dict[int, list[_Beginning]] = {}
    for one in best.values():
        places.setdefault(one.place, []).append(one)
    return [
        one
        for at in places.values()
        for one in sorted(at, key=lambda beginning: beginning.value)[:WIDTH]
    ]
