"""How many products are kept in memory."""

from __future__ import annotations

from typing import Any

from nesa_miner.sessions.products import LoadedProducts

from .attended import HeldProducts, products


class Runner:
    facts = None


async def test_what_was_not_asked_for_longest_is_released() -> None:
    first, second, third = products(3)
    runners: Any = dict.fromkeys((first, second, third), Runner())
    held = HeldProducts(runners)
    library: Any = held
    loaded = LoadedProducts(library, most=2)
    for version_id in (first, second, first):
        await loaded.runner(version_id)
    assert held.released == []
    await loaded.runner(third)
    assert held.released == [second]
    await loaded.runner(second)
    assert held.released == [second, first]
