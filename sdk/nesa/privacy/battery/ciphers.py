"""T4 and T5: a permuted vocabulary is a substitution cipher, and falls like one.

T4 knows nothing but text of the same language: tokens are ranked by how often they come, then
swapped as long as pairs of neighbours become more likely (hill climbing on bigrams). T5 knows what
some earlier requests said, a template or a question that everybody asks, and looks every later
state or identifier up in them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.nearest import nearest
from nesa.privacy.battery.views import Floats, Items

FREQUENT: Final = 800
"""Most frequent tokens whose neighbours are counted; rarer ones are ranked only."""
SMOOTHING: Final = 0.5
ROUNDS: Final = 400
LEAST_GAIN: Final = 1e-9
"""In natural logarithms; a swap that gains less is rounding."""
SWAPS: Final = 64
"""Most promising swaps that are tried in one round."""

Counts = NDArray[np.float64]


def by_rank(cipher: Items, text: Items, vocabulary: int) -> Items:
    """Guessed item of every identifier [vocabulary]: equally frequent ranks, among all tokens of
    the requests `cipher` [n, places] and of the attacker's `text` [m, places]."""
    guess = np.empty(vocabulary, np.int64)
    guess[_ranked(cipher, vocabulary)] = _ranked(text, vocabulary)
    return guess


def decipher(cipher: Items, text: Items, vocabulary: int, frequent: int = FREQUENT) -> Items:
    """Guessed item of every identifier [vocabulary], with bigrams on top of ranks.

    Steepest ascent on the likelihood of neighbours among the `frequent` most frequent tokens.
    """
    guess = by_rank(cipher, text, vocabulary)
    held, plain = (_ranked(each, vocabulary)[:frequent] for each in (cipher, text))
    seen, likely = (
        _bigrams(cipher, held, vocabulary),
        _likelihood(_bigrams(text, plain, vocabulary)),
    )
    guess[held] = plain[_climb(seen, likely)]
    return guess


def look_up(known: Floats, items: Items, rows: Floats) -> Items:
    """Guessed items [n] of rows [n, width]: those of the nearest of the rows `known` [m, width]."""
    if not len(known):
        return np.full(len(rows), -1, np.int64)
    found: Items = items[nearest(rows, known)[:, 0]]
    return found


def crib(known: Items, plain: Items, vocabulary: int) -> Items:
    """Item of every identifier [vocabulary] that is in requests `known`, whose items are `plain`
    (both [m, places]); -1 of all others."""
    table = np.full(vocabulary, -1, np.int64)
    table[known.reshape(-1)] = plain.reshape(-1)
    return table


def by_occurrence(known: Items, plain: Items, vocabulary: int) -> Items:
    """Item of every identifier [vocabulary] that occurs in requests `known` as often, request by
    request, as one item in `plain` and no other does (both [m, places]); -1 of all others.

    The order of places does not matter.
    """
    table = np.full(vocabulary, -1, np.int64)
    ours, theirs = (_by_counts(each) for each in (known, plain))
    for counts in ours.keys() & theirs.keys():
        if len(ours[counts]) == len(theirs[counts]) == 1:
            table[ours[counts][0]] = theirs[counts][0]
    return table


def in_places(known: Items, plain: Items, vocabulary: int) -> Items:
    """For each place of `plain` that of `known` [places], where places are in a secret order.

    Identifiers whose counts give them away vote; the pair of places with most votes is taken first.
    """
    told, places = by_occurrence(known, plain, vocabulary)[known], known.shape[1]
    votes = (told[:, None, :] == plain[:, :, None]).sum(0)
    order = np.full(places, -1, np.int64)
    taken = np.zeros(places, np.bool_)
    for pair in np.argsort(-votes, axis=None, kind="stable"):
        ours, held = divmod(int(pair), places)
        if order[ours] < 0 and not taken[held]:
            order[ours], taken[held] = held, True
    return order


def _by_counts(requests: Items) -> dict[bytes, list[int]]:
    """The items [k] that occur equally often in each request."""
    found = dict[bytes, list[int]]()
    for item in np.unique(requests).tolist():
        found.setdefault((requests == item).sum(1).tobytes(), []).append(item)
    return found


def _ranked(items: Items, vocabulary: int) -> Items:
    return np.argsort(-np.bincount(items.reshape(-1), minlength=vocabulary), kind="stable")


def _bigrams(items: Items, frequent: Items, vocabulary: int) -> Counts:
    """[k, k] how often one of the `frequent` items follows another."""
    number = np.full(vocabulary, -1, np.int64)
    number[frequent] = np.arange(len(frequent))
    first, second = number[items[:, :-1]].reshape(-1), number[items[:, 1:]].reshape(-1)
    both = (first >= 0) & (second >= 0)
    counts = np.zeros((len(frequent), len(frequent)))
    np.add.at(counts, (first[both], second[both]), 1.0)
    return counts


def _likelihood(counts: Counts) -> Counts:
    """Logarithms of smoothed shares of each pair."""
    smooth = counts + SMOOTHING
    return np.asarray(np.log(smooth / smooth.sum()))


def _climb(seen: Counts, likely: Counts) -> Items:
    """The assignment m [k] that maximises sum over i, j of seen[i, j] * likely[m[i], m[j]]."""
    mapping = np.arange(len(seen))
    for _ in range(ROUNDS):
        if not _swap(seen, likely, mapping):
            break
    return mapping


def _swap(seen: Counts, likely: Counts, mapping: Items) -> bool:
    """Does the swaps that promise most and keep it; whether any did."""
    gains = _promises(seen, likely[np.ix_(mapping, mapping)])
    best = np.argpartition(gains, -SWAPS, axis=None)[-SWAPS:]
    order = best[np.argsort(-gains.reshape(-1)[best], kind="stable")]
    touched: set[int] = set()
    for first, second in zip(*np.unravel_index(order, gains.shape), strict=True):
        pair = {int(first), int(second)}
        if pair & touched or gains[first, second] <= 0:
            continue
        if _gain(seen, likely, mapping, first, second) > LEAST_GAIN:
            mapping[[first, second]] = mapping[[second, first]]
            touched |= pair
    return bool(touched)


def _promises(seen: Counts, likely: Counts) -> Counts:
    """[k, k] what swapping i and j gains, but for the terms in which both stand."""
    out, into = seen @ likely.T, seen.T @ likely
    promise = np.zeros_like(seen)
    for terms in (out, into):
        own = np.diag(terms)
        promise += terms + terms.T - own[:, None] - own
    promise[np.tril_indices_from(promise)] = -np.inf
    return promise


def _gain(seen: Counts, likely: Counts, mapping: Items, first: int, second: int) -> float:
    """What the swap really gains."""
    pair = np.array([first, second])
    swapped = mapping.copy()
    swapped[pair] = mapping[pair[::-1]]
    return _touched(seen, likely, swapped, pair) - _touched(seen, likely, mapping, pair)


def _touched(seen: Counts, likely: Counts, mapping: Items, pair: Items) -> float:
    """The terms in which one of the pair stands."""
    rows = (seen[pair] * likely[np.ix_(mapping[pair], mapping)]).sum()
    others = (seen[:, pair] * likely[np.ix_(mapping, mapping[pair])]).sum()
    both = (seen[np.ix_(pair, pair)] * likely[np.ix_(mapping[pair], mapping[pair])]).sum()
    return float(rows + others - both)
