"""The chain as daemons follow it: batch after batch, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import structlog

from nesa.chain.connection import Connection
from nesa.chain.logs import Batch, Cursor, LogReader, ReadPolicy
from nesa.protocol.errors import Unavailable

OUTAGE_SECONDS: Final = 1.0

log = structlog.get_logger("nesa_miner")


async def batches(
    connection: Connection, stored: str | None, confirmations: int, poll_seconds: float
) -> AsyncIterator[Batch | None]:
    """What happens on chain after a stored cursor, by default from the deployment on.

    None where the chain cannot be read: what is missed is read later.

    Raises:
        Incompatible: the chain is not the one that was read before.
    """
    reader = LogReader(connection, ReadPolicy(confirmations))
    cursor = Cursor.from_json(stored) if stored else await reader.start()
    while True:
        try:
            batch = await reader.read(cursor)
        except Unavailable as error:
            log.warning("the chain cannot be read", reason=str(error))
            yield None
            await asyncio.sleep(OUTAGE_SECONDS)
            continue
        cursor = batch.cursor
        yield batch
        if batch.is_caught_up:
            await asyncio.sleep(poll_seconds)
