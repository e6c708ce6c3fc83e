"""T1: run every token of the vocabulary through the public model and see which one fits.

The attack of "Hidden No More" (arXiv 2505.18332). A state that no other prompt has names its
prompt; sorting a state's channels takes a secret order of channels out of the comparison. A causal
model is searched from left to right; in an encoder, where a state depends on both sides, each
token's mean state in random contexts gives a first guess and a shortlist, and the guess is then
improved place by place with the model itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from nesa.privacy.battery.nearest import Nearest
from nesa.privacy.battery.views import Floats, Hidden, Items, Public

CHUNK: Final = 512
"""Requests that the attacker runs at once."""
KEPT: Final = 8
"""Depths and models whose mean states are kept."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard an attacker of deeper layers tries.

    `contexts` in which each token is seen, `shortlist` of the tokens tried at a place, `sweeps`
    over all places.
    """

    contexts: int = 1
    shortlist: int = 4
    sweeps: int = 1
    seed: int = 1


def match(
    public: Public, observed: Floats, depth: int, hidden: Hidden, *, effort: Effort, scattered: bool
) -> Items:
    """Guessed items [n, places] of observed states [n, places, width] at `depth`.

    `hidden` channels are met by sorting; a hidden basis is not, see `rotation`. `scattered` says
    that the places of each request lie in an unknown order too.
    """
    seen = _comparable(observed, hidden)
    if public.causal:
        return _from_left(public, seen, depth, hidden, scattered=scattered)
    if depth == 0 or public.places == 1:
        return _by_place(public, seen, depth, hidden, scattered=scattered)
    return _by_context(public, seen, depth, hidden, effort)


def _comparable(states: Floats, hidden: Hidden) -> Floats:
    return states if hidden is Hidden.NOTHING else np.sort(states, axis=-1)


def _by_place(
    public: Public, seen: Floats, depth: int, hidden: Hidden, *, scattered: bool
) -> Items:
    """A state depends on its own item and place only: try every item at every place."""
    shape = seen.shape[:2]
    if scattered:
        return _scattered(public, seen, depth, hidden)
    searches = [Nearest(seen[:, place]) for place in range(shape[1])]
    for first in range(0, public.vocabulary, CHUNK):
        tried = _comparable(everywhere(public, first, depth), hidden)
        for place, search in enumerate(searches):
            search.show(tried[:, place], first)
    return np.stack([search.places[:, 0] for search in searches], axis=1)


def _scattered(public: Public, seen: Floats, depth: int, hidden: Hidden) -> Items:
    """Which row stands where is part of the guess: the better fit takes a place."""
    shape = seen.shape[:2]
    search = Nearest(seen.reshape(-1, seen.shape[-1]))
    for first in range(0, public.vocabulary, CHUNK):
        tried = _comparable(everywhere(public, first, depth), hidden)
        search.show(tried.reshape(-1, tried.shape[-1]), first * shape[1])
    items, places = np.divmod(search.places[:, 0], shape[1])
    guess = np.full(shape, -1, np.int64)
    requests = np.repeat(np.arange(shape[0]), shape[1])
    for row in np.argsort(search.distances[:, 0])[::-1]:
        guess[requests[row], places[row]] = items[row]
    return guess


def everywhere(public: Public, first: int, depth: int) -> Floats:
    """States of items `first` to `first + CHUNK`, each at all places of a request of its own."""
    numbers = np.arange(first, min(first + CHUNK, public.vocabulary))
    return public.states(np.repeat(numbers[:, None], public.places, axis=1), depth)


def _from_left(
    public: Public, seen: Floats, depth: int, hidden: Hidden, *, scattered: bool
) -> Items:
    """Place by place: every item behind what has been read so far (the paper's own attack)."""
    guess = np.zeros(seen.shape[:2], np.int64)
    for request, rows in enumerate(seen):
        free = np.ones(len(rows), bool)
        for place in range(len(rows)):
            tried = np.repeat(guess[request][None], public.vocabulary, axis=0)
            tried[:, place] = np.arange(public.vocabulary)
            states = _comparable(public.states(tried, depth)[:, place], hidden)
            wanted = np.flatnonzero(free) if scattered else np.array([place])
            gaps = np.abs(states[:, None] - rows[wanted]).sum(-1)
            item, row = np.unravel_index(gaps.argmin(), gaps.shape)
            guess[request, place], free[wanted[row]] = item, False
    return guess


def _by_context(public: Public, seen: Floats, depth: int, hidden: Hidden, effort: Effort) -> Items:
    shortlist = _shortlist(public, seen, depth, hidden, effort)
    guess = shortlist[:, :, 0].copy()
    for _ in range(effort.sweeps):
        for request, rows in enumerate(seen):
            _improve(public, guess[request], shortlist[request], rows, depth, hidden)
    return guess


def _shortlist(public: Public, seen: Floats, depth: int, hidden: Hidden, effort: Effort) -> Items:
    """[n, places, shortlist] items whose mean state comes nearest, nearest first."""
    search = Nearest(seen.reshape(-1, seen.shape[-1]), effort.shortlist)
    search.show(_comparable(mean_states(public, depth, effort), hidden))
    return search.places.reshape(*seen.shape[:2], effort.shortlist)


@lru_cache(KEPT)
def mean_states(public: Public, depth: int, effort: Effort) -> Floats:
    """Mean state [vocabulary, width] of every item in contexts and at places drawn at random.

    Kept, as it costs most and is the same for every view of one public model.
    """
    draws, free = np.random.default_rng(effort.seed), np.flatnonzero(public.known < 0)
    total: Floats | None = None
    for _ in range(effort.contexts):
        order = draws.permutation(public.vocabulary)
        padded = np.resize(order, -(-order.size // free.size) * free.size)
        rows = np.repeat(np.maximum(public.known, 0)[None], padded.size // free.size, axis=0)
        rows[:, free] = padded.reshape(-1, free.size)
        parts = -(-len(rows) // CHUNK)
        states = np.concatenate(
            [public.states(part, depth)[:, free] for part in np.array_split(rows, parts)]
        )
        ordered = np.empty((public.vocabulary, states.shape[-1]), np.float32)
        ordered[padded] = states.reshape(-1, states.shape[-1])
        total = ordered if total is None else total + ordered
    assert total is not None
    return total / effort.contexts


def _improve(
    public: Public, guess: Items, shortlist: Items, rows: Floats, depth: int, hidden: Hidden
) -> None:
    """Takes at each place the item of its shortlist under which the model comes nearest.

    Places that seem to be padding are left at that.
    """
    for place in np.flatnonzero((public.known < 0) & ~np.isin(guess, list(public.common))):
        tried = np.repeat(guess[None], shortlist.shape[1], axis=0)
        tried[:, place] = shortlist[place]
        states = _comparable(public.states(tried, depth), hidden)
        guess[place] = shortlist[place, np.abs(states - rows).sum((1, 2)).argmin()]
