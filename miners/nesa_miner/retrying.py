"""Work that is tried until the chain says that it is done, with growing pauses."""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from nesa.protocol.errors import NesaError
from nesa_miner.log_format import origin_of

Key = TypeVar("Key", bound=Hashable)

FIRST_PAUSE: Final = 0.5

Told = Callable[[Key, float, Exception], None]
"""Hears of a failed try: what it was for, seconds until the next, and the error."""


@dataclass(slots=True)
class Retries(Generic[Key]):
    """Tries by what they are for. After a failure there is a pause, in seconds, that doubles up to
    `longest`; after a success `rest`, for the chain may not tell of it yet.
    """

    spawn: Callable[[Coroutine[Any, Any, None]], object]
    clock: Callable[[], float]
    told: Told[Key]
    rest: float
    longest: float
    _busy: set[Key] = field(default_factory=set)
    _pauses: dict[Key, float] = field(default_factory=dict)
    _retry_at: dict[Key, float] = field(default_factory=dict)

    def may_start(self, key: Key) -> bool:
        """Whether nothing is under way for `key` and no pause is."""
        return key not in self._busy and self._retry_at.get(key, 0.0) <= self.clock()

    def start(self, key: Key, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a try if it may start."""
        if self.may_start(key):
            self._busy.add(key)
            self.spawn(self._try(key, work))

    def put_off(self, key: Key, seconds: float) -> None:
        """Start nothing for `key` for a while, or for longer where that was said before."""
        self._retry_at[key] = max(self._retry_at.get(key, 0.0), self.clock() + seconds)

    def keep_only(self, due: Container[Key]) -> None:
        """Forget the pauses of everything that is not due any more."""
        for kept in (self._pauses, self._retry_at):
            for key in [key for key in kept if key not in due]:
                del kept[key]

    async def _try(self, key: Key, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:
            pause = self._pauses.get(key, FIRST_PAUSE)
            self._pauses[key] = min(2 * pause, self.longest)
            self.put_off(key, pause)
            self.told(key, pause, error)
        else:
            self._pauses.pop(key, None)
            self.put_off(key, self.rest)
        finally:
            self._busy.discard(key)


def reason_of(error: Exception) -> dict[str, object]:
    """What a log says of a failed try: our own errors in words, a fault of ours by its place."""
    if isinstance(error, NesaError):
        return {"reason": str(error)}
    return dict(origin_of(error))
