"""Dry mode: follows the chain and logs what happens, without a key and without doing anything."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Final

import structlog

from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.events import ChainEvent
from nesa.chain.logs import Cursor, LogReader, ReadPolicy
from nesa.protocol.errors import Unavailable
from nesa.protocol.ids import BlockNumber
from nesa_miner.config import MinerSettings

PAUSE_SECONDS: Final = 1.0

log = structlog.get_logger("nesa_miner")


async def follow(folder: Path, settings: MinerSettings) -> None:
    """Log events from now on until SIGTERM or SIGINT.

    Raises:
        Unavailable: the node does not answer at the start.
        Incompatible: another chain or deployment than expected.
    """
    deployment = Deployment.read(folder / settings.deployment)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await Connection.open(settings.rpc_url, deployment) as connection:
        reader = LogReader(connection, ReadPolicy(confirmations=settings.confirmations))
        cursor = await reader.start(BlockNumber((await connection.head()).number + 1))
        log.warning("dry mode: no signer key, nothing is computed or signed")
        await _follow(reader, cursor, settings, stop)


async def _follow(
    reader: LogReader, cursor: Cursor, settings: MinerSettings, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        pause = settings.poll_seconds
        try:
            batch = await reader.read(cursor)
        except Unavailable as error:
            log.warning("the node does not answer", reason=str(error))
            pause = PAUSE_SECONDS
        else:
            cursor = batch.cursor
            for event in batch.events:
                log_event(event)
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            continue


def log_event(event: ChainEvent) -> None:
    """One line: which event of what, never its contents."""
    shown = {"block": event.log.block_number}
    query_id = getattr(event, "query_id", None)
    version_id = getattr(event, "version_id", None)
    if query_id is not None:
        shown["query"] = query_id
    if isinstance(version_id, bytes):
        log.info(type(event).__name__, version=f"0x{version_id.hex()}", **shown)
        return
    log.info(type(event).__name__, **shown)
