"""Loads the shards of held seats ahead of queries; those that fail keep nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from nesa.protocol.errors import NesaError
from nesa.protocol.ids import ZERO_DIGEST
from nesa_miner.shards import ShardKey
from nesa_miner.surroundings import Library

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class WarmUp:
    """Loads and tests shards until each one works; `cold` are those that do not yet."""

    library: Library
    cold: set[ShardKey] = field(default_factory=set)

    async def begin(self, shards: Iterable[ShardKey]) -> None:
        """Try every shard once, so that the first query need not wait for it."""
        self.cold |= set(shards)
        await self._try_all()

    async def go_on(self) -> None:
        """Try those that failed again, after growing pauses, until there are none left."""
        pause = FIRST_PAUSE
        while self.cold:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
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
