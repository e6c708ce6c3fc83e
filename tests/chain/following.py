"""A consumer of logs, as daemons are."""

from __future__ import annotations

from nesa.chain.events import LogKey, SeedPinned
from nesa.chain.logs import Batch, Cursor, LogReader


class Follower:
    """A consumer that keeps a view of the chain as a daemon would."""

    def __init__(self, reader: LogReader, cursor: Cursor) -> None:
        self.reader = reader
        self.cursor = cursor
        self.view: dict[LogKey, int] = {}
        self.undone: list[int] = []

    @property
    def seen(self) -> list[int]:
        return list(self.view.values())

    async def catch_up(self) -> None:
        caught_up = False
        while not caught_up:
            batch = await self.reader.read(Cursor.from_json(self.cursor.to_json()))
            self.apply(batch)
            caught_up = batch.is_caught_up

    def apply(self, batch: Batch) -> None:
        for gone in batch.undone:
            self.undone.append(self.view.pop(gone.log))
        for event in batch.events:
            assert isinstance(event, SeedPinned)
            assert event.log not in self.view
            self.view[event.log] = event.seed_block
        self.cursor = batch.cursor
