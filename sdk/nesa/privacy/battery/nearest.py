"""Nearest rows by Euclidean distance, many at a time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.views import Floats, Items

BLOCK: Final = 2048
"""Rows that are compared at once; bounds memory, changes no result."""


class Nearest:
    """The nearest of many candidates to each of some rows; candidates are shown block by block.

    `rows` is [n, width]. `distances` and `places` [n, most] are squared distances and numbers of
    the nearest candidates so far, ascending.
    """

    def __init__(self, rows: NDArray[Any], most: int = 1) -> None:
        self._rows = np.asarray(rows, np.float32)
        self._norms = np.einsum("ij,ij->i", self._rows, self._rows, dtype=np.float64)
        self._most = most
        self.distances = np.full((len(rows), most), np.inf)
        self.places: Items = np.full((len(rows), most), -1, np.int64)

    def show(self, candidates: NDArray[Any], first: int = 0) -> None:
        """Compare with candidates [m, width], whose numbers count from `first`."""
        for start in range(0, len(candidates), BLOCK):
            self._show(np.asarray(candidates[start : start + BLOCK], np.float32), first + start)

    def _show(self, block: Floats, first: int) -> None:
        norms = np.einsum("ij,ij->i", block, block, dtype=np.float64)
        found = self._norms[:, None] + norms - 2.0 * (self._rows @ block.T)
        numbers = np.broadcast_to(np.arange(first, first + len(block)), found.shape)
        if found.shape[1] > self._most:
            near = np.argpartition(found, self._most - 1, axis=1)[:, : self._most]
            found, numbers = (np.take_along_axis(each, near, 1) for each in (found, numbers))
        distances = np.concatenate([self.distances, found], axis=1)
        places = np.concatenate([self.places, numbers], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, : self._most]
        self.distances = np.take_along_axis(distances, order, 1)
        self.places = np.take_along_axis(places, order, 1)


def nearest(rows: NDArray[Any], candidates: NDArray[Any], most: int = 1) -> Items:
    """Numbers of the `most` nearest candidates [m, width] to each row [n, width], nearest first."""
    search = Nearest(rows, most)
    search.show(candidates)
    return search.places


def directions(rows: NDArray[Any]) -> Floats:
    """Rows of length one; rows of zeros stay."""
    values = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    units: Floats = values / np.where(lengths > 0, lengths, 1)
    return units
