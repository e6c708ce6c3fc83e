"""T9 and T10: what lengths, repetition and time tell, and whether two requests belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.views import Floats, Items

Numbers = NDArray[np.int64]
Scores = NDArray[np.float64]

STRANGERS: Final = 4
"""Requests of others with which each one is compared; more would hardly lower what chance does."""


@dataclass(frozen=True, slots=True)
class Linkage:
    """In how many draws of one of `alike` linked pairs and one of `others` the linked one is more
    alike, and the deviation of that around a half where nothing tells."""

    area: float
    deviation: float
    alike: int
    others: int

    @property
    def told(self) -> float:
        """In how many draws the linked one is told by somebody who knows whether linked pairs are
        more alike or less, from 0.5."""
        return max(self.area, 1 - self.area)


def trailing(identifiers: Items) -> Numbers:
    """Places [n] in front of the run of equal identifiers at each request's end [n, places]."""
    differ = identifiers != identifiers[:, -1:]
    places = identifiers.shape[1]
    last = places - differ[:, ::-1].argmax(axis=1)
    return np.where(differ.any(axis=1), last, 0)


def told_by(numbers: NDArray[Any], sought: Numbers) -> float:
    """Share of requests of which the best single guess for each value of `numbers` [n] tells what
    is sought [n]: how long the text is, or which record.

    The attacker learns a table on the even requests and is asked about the odd ones, and the other
    way round; a value that it never met gets what is most frequent.
    """
    even = np.arange(len(sought)) % 2 == 0
    told = [_told(numbers, sought, lessons) for lessons in (even, ~even)]
    return float(np.concatenate(told).mean())


def _told(numbers: NDArray[Any], sought: Numbers, lessons: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the other requests are told by what the lessons [n] teach."""
    given, answers = numbers[lessons], sought[lessons]
    usual = most_frequent(answers)
    table = {number: most_frequent(answers[given == number]) for number in set(given.tolist())}
    guess = np.array([table.get(number, usual) for number in numbers[~lessons].tolist()])
    return np.asarray(guess == sought[~lessons])


def most_frequent(values: Numbers) -> int:
    """The smallest of the most frequent values."""
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def repeats_seen(
    identifiers: Items, items: Items, counted: NDArray[np.bool_]
) -> tuple[float, float, int]:
    """Of all pairs of equal tokens inside a request the share whose identifiers are equal too; the
    same of unequal tokens; and how many pairs of equal tokens there are."""
    equal, unequal = [], []
    for held, plain, counts in zip(identifiers, items, counted, strict=True):
        first, second = np.triu_indices(int(counts.sum()), 1)
        same = plain[counts][first] == plain[counts][second]
        seen = held[counts][first] == held[counts][second]
        equal.append(seen[same])
        unequal.append(seen[~same])
    rates = [np.concatenate(each) for each in (equal, unequal)]
    told, blind = (float(np.mean(each)) if len(each) else 0.0 for each in rates)
    return told, blind, len(rates[0])


def likeness(first: Floats, second: Floats) -> Scores:
    """How alike requests of two lists [n, places, width] are, one by one: the mean cosine of their
    rows, [n]. Rows have length 1."""
    cosines = np.einsum("npw,npw->n", first, second)
    return np.asarray(cosines / first.shape[1], np.float64)


def equality(first: NDArray[Any], second: NDArray[Any]) -> Scores:
    """Share of the numbers of requests of two lists [n, width] that are equal, [n]."""
    return np.asarray((first == second).mean(axis=1), np.float64)


Compare = Callable[[NDArray[Any], NDArray[Any]], Scores]
"""How alike requests of two lists are, one by one."""


def told_apart(requests: NDArray[Any], beginnings: Items, compare: Compare) -> Linkage | None:
    """How well linked requests 2i and 2i + 1 [n, ..], whose `beginnings` [n, places] are the same,
    are told from others that are compared; None where either are missing.

    Every request 2i is compared with its neighbour and with `STRANGERS` others.
    """
    linked = (beginnings[0::2] == beginnings[1::2]).all(axis=1)
    alike = compare(requests[0::2], requests[1::2])
    shifts = range(1, min(STRANGERS + 1, len(linked)))
    strangers = [_strangers(requests, beginnings, compare, shift) for shift in shifts]
    others = np.concatenate([alike[~linked], *strangers])
    return _ranked(alike[linked], others) if linked.any() and len(others) else None


def together(found: Sequence[Linkage]) -> Linkage:
    """The mean of what is found in several places of the same requests, which chance does not
    hang together."""
    area = float(np.mean([each.area for each in found]))
    deviation = float(np.linalg.norm([each.deviation for each in found])) / len(found)
    return Linkage(
        area, deviation, sum(each.alike for each in found), sum(each.others for each in found)
    )


def _strangers(requests: NDArray[Any], beginnings: Items, compare: Compare, shift: int) -> Scores:
    """How alike each request 2i and one of another pair are, where they begin differently."""
    theirs, apart = (np.roll(each[1::2], shift, axis=0) for each in (requests, beginnings))
    different = (beginnings[0::2] != apart).any(axis=1)
    alike: Scores = compare(requests[0::2], theirs)[different]
    return alike


def _ranked(alike: Scores, others: Scores) -> Linkage:
    """The area under the curve of both kinds of errors by ranks (Mann and Whitney), with what equal
    scores take from its deviation."""
    scores = np.concatenate([alike, others])
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts - 1) / 2
    some, rest, every = len(alike), len(others), len(scores)
    above = middles[places][:some].sum() - some * (some + 1) / 2
    area, repeated = above / (some * rest), counts.astype(np.float64)
    equal = float((repeated**3 - repeated).sum()) / (every * (every - 1))
    deviation = np.sqrt(max(0.0, every + 1 - equal) / (12 * some * rest))
    return Linkage(float(area), float(deviation), some, rest)
