"""A good placement on a large swarm: the best few beginnings at every place, made longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.placement.costs import Seconds
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
    layer = _firsts(stages)
    found: list[_Beginning] = []
    for number in range(1, counts[-1] + 1):
        if number in counts:
            found += [one for one in layer if one.place == stages.ends]
        if number < counts[-1]:
            layer = _longer(stages, layer)
    if not found:
        return None
    return min(found, key=lambda one: one.value).assignment()


def _firsts(stages: Stages) -> list[_Beginning]:
    return _best_few(stages, [None], stages.seconds[None, :, 0])


def _longer(stages: Stages, layer: Sequence[_Beginning]) -> list[_Beginning]:
    """The best few of all beginnings that are one stage longer than those of `layer`."""
    bytes_ = stages.costs.boundary_bytes
    masks = np.array(stages.masks, dtype=object)
    going = [one for one in layer if one.place < stages.ends]
    values = []
    for one in going:
        way = stages.delays[one.group] + stages.byte_times[one.group] * bytes_[one.place]
        joined = stages.joined(np.array(one.value), way[:, None], stages.seconds[:, one.place])
        joined[(masks & one.used).astype(bool)] = np.inf
        few = _lowest(joined, WIDTH)
        kept = np.full_like(joined, np.inf)
        np.put_along_axis(kept, few, np.take_along_axis(joined, few, axis=0), axis=0)
        values.append(kept)
    return _best_few(stages, going, np.array(values)) if going else []


def _best_few(
    stages: Stages, before: Sequence[_Beginning | None], values: Seconds
) -> list[_Beginning]:
    """The best WIDTH for each place from `values` [before, groups, places].

    Of those with the same miners and the same end only the best counts.
    """
    found: list[_Beginning] = []
    flat = values.reshape(-1, values.shape[-1])
    ranked = np.sort(_lowest(flat, WIDTH * WIDTH), axis=0)
    for place in range(1, stages.ends + 1):
        seen: dict[tuple[int, int], _Beginning] = {}
        column = flat[ranked[:, place], place]
        for rank in np.argsort(column, kind="stable"):
            if column[rank] == np.inf or len(seen) == WIDTH:
                break
            number, group = divmod(int(ranked[rank, place]), values.shape[1])
            parent = before[number]
            used = stages.masks[group] | (parent.used if parent else 0)
            one = _Beginning(float(column[rank]), place, used, group, parent)
            seen.setdefault((used, group), one)
        found += seen.values()
    return found


def _lowest(values: Seconds, few: int) -> NDArray[np.int64]:
    """Rows of the `few` lowest values of each column, [few, columns]."""
    if len(values) <= few:
        return np.repeat(np.arange(len(values))[:, None], values.shape[1], axis=1)
    found: NDArray[np.int64] = np.argpartition(values, few, axis=0)[:few]
    return found
