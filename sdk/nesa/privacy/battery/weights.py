"""T3: match the weights that a node holds with those that are published.

A permuted embedding keeps the contents of its rows, a rotated one their moments; so do the weights
of every later layer. What comes out is the secret itself: which identifier stands for which token,
and how channels were moved. Neither rounding of the table to float16 nor to int8 changes that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.nearest import nearest
from nesa.privacy.battery.rotation import basis_of_clouds, procrustes
from nesa.privacy.battery.views import Floats, Hidden, Items, Public, Weights

COLUMNS_BY: Final = 4096
"""Rows by which columns are told apart; more would say the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What an attacker believes: `items` [held items] are the public items that they stand for, -1
    where it did not ask; and held rows times `basis` [held width, public width] are public rows."""

    items: Items
    basis: NDArray[np.float64]

    def undo(self, states: Floats) -> Floats:
        """States [.., width] as the public model has them."""
        return (states @ self.basis).astype(np.float32)


def match_table(public: Floats, held: Weights, hidden: Hidden, wanted: Items) -> Key:
    """The key behind an embedding `held` [V, width] of which `public` [V, width] is the original,
    for the `wanted` held items.

    Rows of `held` are compared with the public ones up to one scale for all of them, so that a
    table may be rounded or stored as integers.
    """
    rows = _scaled_like(np.asarray(held, np.float64), np.asarray(public, np.float64))
    match hidden:
        case Hidden.NOTHING:
            return Key(_items(rows, public, wanted), np.eye(public.shape[1]))
        case Hidden.CHANNELS:
            items = _items(np.sort(rows, axis=1), np.sort(public, axis=1), wanted)
            order = columns(public[items[wanted[:COLUMNS_BY]]], rows[wanted[:COLUMNS_BY]])
            return Key(items, np.eye(public.shape[1])[order])
        case Hidden.BASIS:
            basis = basis_of_clouds(public, rows)
            return Key(_items(rows @ basis.T, public, wanted), basis.T)


def match_places(
    public: Public, key: Key, hidden: Hidden, identifiers: Items, states: Floats
) -> Items:
    """For each public place the held one [places], by requests whose tokens the key reads.

    `identifiers` [n, places] and `states` [n, places, width] of depth 0 lie in the held order. Each
    row is compared with its own token at every place, channels sorted or the basis undone; most
    votes win. The held order stays where states do not depend on places.
    """
    count = identifiers.shape[1]
    tokens = key.items[identifiers].reshape(-1, 1)
    tried = public.states(np.repeat(tokens, count, axis=1), 0)
    seen = (key.undo(states) if hidden is Hidden.BASIS else states).reshape(-1, 1, states.shape[-1])
    if hidden is Hidden.CHANNELS:
        tried, seen = (np.sort(each, axis=-1) for each in (tried, seen))
    votes = np.zeros((count, count))
    held = np.tile(np.arange(count), len(identifiers))
    np.add.at(votes, (np.square(tried - seen).sum(-1).argmin(1), held), 1)
    order: Items = votes.argmax(axis=1)
    return order if len(set(order.tolist())) == count else np.arange(count)


def match_layer(public: Weights, held: Weights, hidden: Hidden) -> NDArray[np.float64]:
    """The basis (see `Key`) of what enters a dense layer `held` [out, in], a secret version of
    `public` whose output channels are permuted as well.

    Sorted rows pair the output channels where inputs are permuted, lengths of rows where they are
    rotated.
    """
    open_, secret = (np.asarray(each, np.float64) for each in (public, held))
    match hidden:
        case Hidden.NOTHING:
            return np.eye(open_.shape[1])
        case Hidden.CHANNELS:
            rows = nearest(np.sort(secret, axis=1), np.sort(open_, axis=1))[:, 0]
            return np.eye(open_.shape[1])[columns(open_[rows], secret)]
        case Hidden.BASIS:
            lengths = (np.linalg.norm(each, axis=1) for each in (open_, secret))
            ours, theirs = (np.argsort(each, kind="stable") for each in lengths)
            return procrustes(open_[ours], secret[theirs]).T


def columns(public: Weights, held: Weights) -> Items:
    """For each column of `held` [n, width] the nearest column of `public` [n, width]."""
    return nearest(np.asarray(held).T, np.asarray(public).T)[:, 0]


def _items(rows: NDArray[Any], public: NDArray[Any], wanted: Items) -> Items:
    """For each held item the nearest public one, -1 where it is not wanted."""
    items = np.full(len(rows), -1, np.int64)
    items[wanted] = nearest(rows[wanted], public)[:, 0]
    return items


def _scaled_like(held: NDArray[Any], public: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(held), np.linalg.norm(public)
    return held * (lengths[1] / lengths[0]) if lengths[0] else held
