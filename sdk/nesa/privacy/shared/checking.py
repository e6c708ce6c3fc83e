"""Freivalds' check: whether sums are those of a share, in time linear in what comes and goes.

Freivalds, "Probabilistic machines can use less running time", 1977. For a product A = X W^T and a
secret random vector r the client compares A r with X (W^T r). A group's claims are integers of a
declared type, so an error is below 2**25 in every element; r is uniform modulo 2**64, and of its
2**64 values for the place of a wrong element at most 2**24 hide it. One line of sums with any error
in it passes with a chance of at most 2**-40.
"""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nesa.models.graph import Held, Opcode, ParameterKind
from nesa.models.opcodes.conv import ConvAttributes, patches_of
from nesa.privacy.shared.products import Product

Words = NDArray[np.uint64]
"""Numbers modulo 2**64."""

MISSED: Final = 2.0**-40
"""Most that the chance is to take wrong sums for right ones."""


class Check:
    """A secret random combination of one product's outputs; groups must never learn it."""

    def __init__(self, product: Product) -> None:
        self._product = product
        weights = product.row.held(ParameterKind.WEIGHTS)
        channels = len(weights)
        self._random = np.frombuffer(secrets.token_bytes(8 * channels), np.uint64)
        groups = 1
        if product.row.opcode is Opcode.CONV:
            groups = ConvAttributes(*product.row.attributes).groups
        factors = self._random.reshape(groups, channels // groups)
        grouped = _modulo(weights).reshape(groups, channels // groups, -1)
        self._combined: Words = np.einsum("gn,gnk->gk", factors, grouped)

    def accepts(self, digits: Held, sums: Held) -> bool:
        """Whether `sums` are those of `digits`, both in the shapes of the product's edges."""
        if self._product.row.opcode is Opcode.CONV:
            window = ConvAttributes(*self._product.row.attributes)
            patches = _modulo(patches_of(digits[0].astype(np.int64), window))
            expected = np.einsum("gk,gkp->p", self._combined, patches)
            found = self._random @ _modulo(sums).reshape(len(self._random), -1)
        else:
            expected = _modulo(digits) @ self._combined[0]
            found = _modulo(sums) @ self._random
        return bool(np.array_equal(expected, found))


def _modulo(values: Held) -> Words:
    return values.astype(np.int64).view(np.uint64)
