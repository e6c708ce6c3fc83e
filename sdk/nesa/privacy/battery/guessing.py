"""Guessing what a digest is of: what whoever reads the chain could do if digests were not blinded.

A classifier of two labels answers with two numbers that are near a line, and the public model says
which. The pairs near that line, within the range of public answers, are few enough to hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.ids import Digest

MARGIN: Final = 4
"""So many standard deviations around the line are tried, and around the range of answers."""


def likely_pairs(known: NDArray[np.signedinteger[Any]]) -> Iterator[tuple[int, int]]:
    """Pairs of answers near those of public rows `known` [n, 2], nearest to their line first."""
    first, second = known[:, 0].astype(np.float64), known[:, 1].astype(np.float64)
    slope, start = np.polyfit(first, second, 1)
    width = int(np.ceil(MARGIN * np.std(second - slope * first - start))) + 1
    each = range(int(first.min()) - width, int(first.max()) + width + 1)
    for distance in sorted(range(-width, width + 1), key=abs):
        for one in each:
            yield one, round(slope * one + start) + distance


def guess(
    digest: bytes, edge: EdgeType, known: NDArray[np.signedinteger[Any]]
) -> tuple[tuple[int, int] | None, int]:
    """The pair [1, 2] of type `edge` whose boundary digest this is, None where no likely pair has
    it, and how many were tried."""
    tried = 0
    for tried, pair in enumerate(likely_pairs(known), 1):
        if digest_of(pair, edge) == digest:
            return pair, tried
    return None, tried


def digest_of(pair: tuple[int, int], edge: EdgeType) -> Digest:
    """The digest that a query which is not sealed shows of two numbers."""
    return boundary_digest((edge,), (np.array([pair], edge.dtype.numpy).tobytes(),))
