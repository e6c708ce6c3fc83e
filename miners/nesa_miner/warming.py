"""Loads the shards of held seats ahead of queries; those that fail keep nobody else waiting.

Seats come and go while the miner runs: a new one is loaded, of one that was released the memory is
freed as soon as no query that drew it is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from nesa.protocol.errors import NesaError, Unavailable
from nesa.protocol.ids import ZERO_DIGEST
from nesa_miner.shards import ShardKey
from nesa_miner.surroundings import Library

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
SEATS_SECONDS: Final = 15.0
"""Between two looks at the seats; a seat counts from the next epoch on, which is longer."""

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class WarmUp:
    """Loads and tests shards until each one works; `cold` are those that do not yet."""

    library: Library
    cold: set[ShardKey] = field(default_factory=set)
    held: frozenset[ShardKey] = frozenset()
    left: set[ShardKey] = field(default_factory=set)
    """Shards of released seats that may still be in memory."""

    async def begin(self, shards: Iterable[ShardKey]) -> None:
        """Try every shard once, so that the first query need not wait for it."""
        self.held = frozenset(shards)
        self.cold |= self.held
        await self._try_all()

    async def go_on(self) -> None:
        """Try those that failed again, for ever and after pauses that grow while there are any."""
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE) if self.cold else FIRST_PAUSE
            await self._try_all()

    async def follow(
        self, read: Callable[[], Awaitable[Iterable[ShardKey]]], is_busy: Callable[[ShardKey], bool]
    ) -> None:
        """Keep up with the seats that `read` tells, for ever; `is_busy` says whether queries need
        a shard."""
        while True:
            await asyncio.sleep(SEATS_SECONDS)
            try:
                await self.take(frozenset(await read()), is_busy)
            except Unavailable as error:
                log.debug("the seats cannot be read", reason=str(error))

    async def take(self, held: frozenset[ShardKey], is_busy: Callable[[ShardKey], bool]) -> None:
        """Load the shards of new seats, free those of seats that are gone and not needed."""
        new, self.left = held - self.held, (self.left | self.held) - held
        self.held = held
        self.cold = (self.cold | new) - self.left
        for version_id, shard in sorted(self.left):
            if not is_busy((version_id, shard)):
                self.left.discard((version_id, shard))
                self.library.release(version_id, shard)
                log.info("shard released", version=version_id.hex(), shard=shard)
        if new:
            await self._try_all()

    async def _try_all(self) -> None:
        for version_id, shard in sorted(self.cold):
            try:
                facts, _ = await self.library.runner(version_id, shard)
                if facts.circuit_digest != ZERO_DIGEST:
                    await self.library.prover(version_id, shard)
            except NesaError as error:
                reason = str(error)
                log.error("shard not ready", version=version_id.hex(), shard=shard, reason=reason)
            else:
                self.cold.discard((version_id, shard))
                log.info("shard ready", version=version_id.hex(), shard=shard)
