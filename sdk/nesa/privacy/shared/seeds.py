"""Seeds of shares: one of the two shares of a value travels as 32 bytes, and each seed only once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from nesa.privacy.shared.digits import SEED_BYTES, Bytes, Digits
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, ReusedRandomness

MAX_SEEN: Final = 1 << 16
"""Most seeds that a member remembers in one session; a query of MiniLM takes 24."""


class ShareSeed:
    """What one share is expanded from, once: a second value under the same key stream would give
    the difference of both away."""

    def __init__(self, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.data = draw(SEED_BYTES)
        self._used = False

    def expand(self, digits: Digits, shape: tuple[int, ...]) -> Bytes:
        """The share's digits [count, *shape].

        Raises:
            ReusedRandomness: it was expanded before.
        """
        if self._used:
            raise ReusedRandomness("a seed hides one share; draw another for the next")
        self._used = True
        return digits.expand(self.data, shape)


class SeenSeeds:
    """The seeds that a member was sent in one session: whoever sends one twice is refused."""

    def __init__(self, most: int = MAX_SEEN) -> None:
        self._most = most
        self._seen: set[bytes] = set()

    def admit(self, seed: bytes) -> None:
        """Remembers a seed.

        Raises:
            ReusedRandomness: it was sent before.
            ExhaustedResource: too many were; the client has to open another session.
            InvalidMessage: it is none.
        """
        if len(seed) != SEED_BYTES:
            raise InvalidMessage(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        if seed in self._seen:
            raise ReusedRandomness("this seed was used before; draw another for every share")
        if len(self._seen) == self._most:
            raise ExhaustedResource(f"{self._most} seeds in one session; open another")
        self._seen.add(seed)
