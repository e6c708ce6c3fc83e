"""Seeds: the first of the two shares of a value travels as 32 bytes, and no seed serves twice."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Final

from nesa.privacy.shared.digits import SEED_BYTES, Bytes, key_stream
from nesa.privacy.shared.products import Product
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage, ReusedRandomness

REMEMBERED: Final = 1 << 16
"""Seeds that a member remembers; a query of MiniLM takes 24."""


class ShareSeed:
    """What one share is expanded from, once: a second value under the same key stream would give
    the difference of both away.

    `data` is secret from the second group.
    """

    def __init__(self, data: bytes | None = None) -> None:
        self.data = secrets.token_bytes(SEED_BYTES) if data is None else data
        self._used = False

    def expand(self, product: Product) -> Bytes:
        """Digits [count, ..] of the first share of the value that `product` reads.

        Raises:
            ReusedRandomness: it was expanded before.
        """
        if self._used:
            raise ReusedRandomness("a seed hides one share; draw another for the next")
        self._used = True
        digits = expanded(self.data, product.input_edge)
        return digits.reshape(product.digits.count, *product.shape)


def expanded(seed: bytes, edge: EdgeType) -> Bytes:
    """The share that a group's member makes of a seed, in the type that its product reads."""
    return key_stream(seed, edge.elements, edge.high.bit_length()).reshape(edge.shape)


class SeenSeeds:
    """The last seeds that a member was sent: one that comes for another product is refused.

    A client that makes this mistake is told, and is better off without the answer.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._places: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def admit(self, seed: bytes, place: tuple[int, int]) -> None:
        """Remembers that a seed came for a place: a product's number and its round.

        Raises:
            ReusedRandomness: it came for another place before.
            InvalidMessage: it is none.
        """
        if len(seed) != SEED_BYTES:
            raise InvalidMessage(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        if self._places.setdefault(seed, place) != place:
            raise ReusedRandomness("this seed came before; draw another for every share")
        if len(self._places) > self._remembered:
            self._places.popitem(last=False)
