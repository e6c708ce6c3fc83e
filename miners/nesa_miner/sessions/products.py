"""Products that are kept in memory: as many as fit a bound, those that were asked for last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from nesa.protocol.ids import VersionId
from nesa.protocol.versions import ShardFacts
from nesa_miner.surroundings import Library, Runner

MOST_LOADED: Final = 512
"""Products in memory at once, of all models together."""


@dataclass(slots=True)
class LoadedProducts:
    """Runners of products. A session may name any model of which the miner holds a first product,
    so what was not asked for longest is released; it is loaded again when it is asked for."""

    library: Library
    most: int = MOST_LOADED
    _used: OrderedDict[VersionId, None] = field(default_factory=OrderedDict)

    async def runner(self, version_id: VersionId) -> tuple[ShardFacts, Runner]:
        """A product's only shard, and what the chain knows of it; errors as `Library.runner`."""
        found = await self.library.runner(version_id, 0)
        self._used[version_id] = None
        self._used.move_to_end(version_id)
        if len(self._used) > self.most:
            longest, _ = self._used.popitem(last=False)
            self.library.release(longest)
        return found
