"""What a watchtower does now and then: looks who is admitted no more, and ends their seats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from nesa.chain.leaving import NO_END
from nesa.chain.sender import OnIntent, Sender, forget
from nesa.protocol.ids import VersionId
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.watchtower.evicting import Sweeps
from tests.miner.operating.network import HOLDER, LocalNetwork

REST = 600.0


def open_slots(network: LocalNetwork, version: VersionId) -> list[int]:
    """Slots of shard 0, of two seats, whose seat has no end."""
    seats = network.read("vault", "seats", version, 0, range(2))
    return [slot for slot, seat in enumerate(seats) if seat.to_epoch == NO_END]


async def sweep(
    network: LocalNetwork,
    times: int = 1,
    clock: Callable[[], float] = time.monotonic,
    on_intent: OnIntent = forget,
    gas_a_day: int = 5_000_000,
) -> None:
    """One watchtower's sweeps, one after the other; a clock that stands still lets one through.
    What `on_intent` sends is in a block before the transaction that it is told of."""
    async with network.connect() as connection:
        tasks: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            tasks.append(asyncio.create_task(work))
            return tasks[-1]

        room = Courtroom.open(connection, Sender(connection, HOLDER, on_intent=on_intent))
        ended = Counter("ended", "", registry=CollectorRegistry())
        sweeps = Sweeps(room, spawn, clock, ended, REST, gas_a_day)
        for _ in range(times):
            sweeps.advance()
            await asyncio.gather(*tasks)
