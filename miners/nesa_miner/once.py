"""Values that are made when they are first asked for, by whoever asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Once(Generic[_K, _V]):
    """Values that are made when they are first asked for; what failed is tried again."""

    def __init__(self) -> None:
        self._values: dict[_K, _V] = {}
        self._locks: dict[_K, asyncio.Lock] = {}

    async def get(self, key: _K, make: Callable[[], Awaitable[_V]]) -> _V:
        """The value of `key`, made by the first caller while the others wait."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._values:
                self._values[key] = await make()
            return self._values[key]

    def forget(self, is_over: Callable[[_K], bool]) -> None:
        """Let go of the values of some keys; who has one may go on with it."""
        for key in [key for key in self._values if is_over(key)]:
            del self._values[key]
