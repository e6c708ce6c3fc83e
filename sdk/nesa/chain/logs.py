"""Reads the contracts' logs so that none is lost, repeated, or kept from a block that vanished.

A cursor names the last blocks that were read. It is plain data: whoever applies a batch stores the
batch's cursor in the same transaction as the effects, and after a crash starts from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from nesa.chain.connection import Block, Connection
from nesa.chain.events import ChainEvent, LogKey
from nesa.protocol.ids import Address, BlockNumber, Digest


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """A block that was read, with the keys of the logs that were taken from it."""

    number: BlockNumber
    hash: Digest
    logs: tuple[LogKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Cursor:
    """Blocks that were read, oldest first; reading goes on after the last."""

    blocks: tuple[ReadBlock, ...]

    def to_json(self) -> str:
        """For the journal."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, text: str) -> Cursor:
        """From the journal."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Undone:
    """A log that was read before is on the chain no more."""

    log: LogKey


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened since a cursor. Apply `undone` (newest first), then `events`, and store
    `cursor`, all in one transaction. `is_caught_up` when nothing newer may be read yet."""

    undone: tuple[Undone, ...]
    events: tuple[ChainEvent, ...]
    cursor: Cursor
    head: Block
    is_caught_up: bool


class LogReader:
    """Pulls batches from a connection: `batch = await reader.read(cursor)`."""

    def __init__(
        self, connection: Connection, confirmations: int = 0, largest_chunk: int = 2_000
    ) -> None:
        self._connection = connection

    async def start(self, block: BlockNumber | None = None) -> Cursor:
        """A cursor at `block`, by default the block of the deployment."""
        raise NotImplementedError

    async def read(self, cursor: Cursor) -> Batch:
        """The next batch; empty and caught up when there is nothing new.

        Raises:
            Unavailable: the node does not answer; nothing is lost, ask again.
            Incompatible: the chain differs from the cursor further back than is remembered.
        """
        raise NotImplementedError
