"""T2: what no rotation hides. Inner products of rows stay, and with them the rows themselves.

Rows x' = Q x under one secret orthogonal Q have the same lengths, inner products and moments as x.
Three attackers use that: one matches inner products with rows that it knows or has read before; one
solves for Q where enough rows are known (Procrustes, Schoenemann 1966); one turns both clouds of
rows to their principal axes, which needs no known row at all.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.nearest import Nearest, nearest
from nesa.privacy.battery.views import Floats, Hidden, Items, Public
from nesa.privacy.battery.vocabulary import CHUNK, Effort, everywhere, match

ROUNDS: Final = 8
"""Rounds of matching rows and solving for the basis; all runs here settled in fewer."""
MATCHED_BY: Final = 8
"""Rows for each channel from which a basis is solved."""


def procrustes(public: NDArray[Any], held: NDArray[Any]) -> NDArray[np.float64]:
    """The orthogonal Q [width, width] that brings `public @ Q` nearest to `held`, both [n, width].

    Directions that the rows do not span are turned arbitrarily.
    """
    product = np.asarray(public, np.float64).T @ np.asarray(held, np.float64)
    left, _, right = np.linalg.svd(product)
    return np.asarray(left @ right)


def axes(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Principal axes [width, width] of rows [n, width] as columns, each pointing where the third
    moment of the rows is positive: any rotation of the rows rotates them alike."""
    values = np.asarray(rows, np.float64)
    _, vectors = np.linalg.eigh(values.T @ values)
    signs = np.sign(((values @ vectors) ** 3).sum(axis=0))
    return np.asarray(vectors * np.where(signs == 0, 1, signs))


def basis_of_clouds(public: NDArray[Any], held: NDArray[Any]) -> NDArray[np.float64]:
    """Q [width, width] with `held` about `public @ Q` up to the order of the rows.

    Principal axes first, then rounds of nearest rows and Procrustes.
    """
    basis = axes(public) @ axes(held).T
    some = np.random.default_rng(0).permutation(len(held))[: MATCHED_BY * held.shape[1]]
    matched = np.empty(0, np.int64)
    for _ in range(ROUNDS):
        found = nearest(held[some] @ basis.T, public)[:, 0]
        if np.array_equal(found, matched):
            break
        matched = found
        basis = procrustes(public[matched], held[some])
    return basis


def match_products(public: Public, observed: Floats, depth: int) -> Items:
    """Guessed items [n, places] of rotated states [n, places, width] from inner products alone.

    A causal model is read from left to right, each place by its products with all rows read before.
    At depth 0 of any model rows at known places serve first; then what was read so far gives the
    basis, and with it every row is compared whole.
    """
    if public.causal:
        return np.stack([_from_left(public, rows, depth) for rows in observed])
    guess = _by_known_places(public, observed, depth)
    width = observed.shape[-1]
    read = public.states(guess, depth).reshape(-1, width)
    basis = procrustes(read, observed.reshape(-1, width))
    turned = (observed @ basis.T).astype(np.float32)
    return match(public, turned, depth, Hidden.NOTHING, effort=Effort(), scattered=False)


def _from_left(public: Public, rows: Floats, depth: int) -> Items:
    guess = np.zeros(len(rows), np.int64)
    for place in range(len(rows)):
        tried = np.repeat(guess[None], public.vocabulary, axis=0)
        tried[:, place] = np.arange(public.vocabulary)
        states = public.states(tried, depth)[:, : place + 1].astype(np.float64)
        found = np.einsum("vaw,vw->va", states, states[:, place])
        wanted = rows[: place + 1].astype(np.float64) @ rows[place].astype(np.float64)
        guess[place] = np.abs(found - wanted).sum(1).argmin()
    return guess


def _by_known_places(public: Public, observed: Floats, depth: int) -> Items:
    """Each row's own length and its products with the rows at known places."""
    known = np.flatnonzero(public.known >= 0)
    anchors = public.states(np.maximum(public.known, 0)[None], depth)[0, known]
    shape = observed.shape[:2]
    held = np.einsum("npw,nkw->npk", observed, observed[:, known])
    searches = [Nearest(_features(held[:, place], observed[:, place])) for place in range(shape[1])]
    for first in range(0, public.vocabulary, CHUNK):
        tried = everywhere(public, first, depth)
        products = tried @ anchors.T
        for place, search in enumerate(searches):
            search.show(_features(products[:, place], tried[:, place]), first)
    return np.stack([search.places[:, 0] for search in searches], axis=1)


def _features(products: Floats, rows: Floats) -> Floats:
    return np.column_stack([products, np.einsum("nw,nw->n", rows, rows)]).astype(np.float32)
