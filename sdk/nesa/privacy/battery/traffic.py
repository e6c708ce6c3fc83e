"""T9 and T10: what lengths, repetition and time tell, and whether two requests belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.nearest import directions
from nesa.privacy.battery.views import Floats, Items

Numbers = NDArray[np.int64]


def trailing(identifiers: Items) -> Numbers:
    """Places [n] in front of the run of equal identifiers at each request's end [n, places]."""
    differ = identifiers != identifiers[:, -1:]
    places = identifiers.shape[1]
    last = places - differ[:, ::-1].argmax(axis=1)
    return np.where(differ.any(axis=1), last, 0)


def told_by(numbers: NDArray[Any], sought: Numbers) -> float:
    """Share of requests of which the best single guess for each value of `numbers` [n] tells what
    is sought [n]: how long the text is, or which record.

    The attacker learns the table on the even requests and is asked about the odd ones; a value
    that it never met gets what is most frequent.
    """
    usual = most_frequent(sought[::2])
    table = {
        number: most_frequent(sought[::2][numbers[::2] == number])
        for number in set(numbers[::2].tolist())
    }
    told = np.array([table.get(number, usual) for number in numbers[1::2].tolist()])
    return float((told == sought[1::2]).mean())


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


def likeness(rows: Floats, alike: int) -> NDArray[np.float64]:
    """How alike each two requests 2i and 2i + 1 of rows [n, places, width] begin: the mean cosine
    of their first `alike` rows, [n / 2]."""
    units = directions(rows[:, :alike])
    cosines = np.einsum("npw,npw->n", units[0::2], units[1::2])
    return np.asarray(cosines / alike, np.float64)


def equal_starts(identifiers: NDArray[Any], alike: int) -> NDArray[np.float64]:
    """Share of the first `alike` identifiers that are equal in requests 2i and 2i + 1, [n / 2]."""
    same = identifiers[0::2, :alike] == identifiers[1::2, :alike]
    return np.asarray(same.mean(axis=1))


def told_apart(scores: NDArray[np.float64], linked: NDArray[np.bool_]) -> float:
    """Share of the odd pairs [n] that the best threshold of the even ones tells apart."""
    tried = np.concatenate([scores[::2], [np.inf]])
    right = [((scores[::2] >= one) == linked[::2]).mean() for one in tried]
    threshold = tried[int(np.argmax(right))]
    return float(((scores[1::2] >= threshold) == linked[1::2]).mean())
