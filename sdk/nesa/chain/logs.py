"""Reads the contracts' logs so that none is lost, repeated, or kept from a block that vanished.

A cursor names the last blocks that were read. It is plain data: whoever applies a batch stores the
batch's cursor in the same transaction as the effects, and after a crash starts from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nesa.chain.connection import Block, Connection, RpcRefused
from nesa.chain.events import ChainEvent, LogKey, RawLog, decode_event, raw_log
from nesa.protocol.errors import Incompatible, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Digest

_TOO_MANY: Final = re.compile(
    r"too many (results|logs|blocks)|more than \d+ (results|logs)|limit exceeded|response size|"
    r"block range|range (is )?too (large|wide)|exceed",
    re.IGNORECASE,
)
_TRIES: Final = 16


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """A block that was read, with the keys of the logs that were taken from it."""

    number: BlockNumber
    hash: Digest
    logs: tuple[LogKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Undone:
    """A log that was read before is on the chain no more."""

    log: LogKey


@dataclass(frozen=True, slots=True)
class Cursor:
    """Blocks that were read, oldest first; reading goes on after the last."""

    blocks: tuple[ReadBlock, ...]

    @property
    def tip(self) -> ReadBlock:
        """The last block that was read."""
        return self.blocks[-1]

    def rewound(self, common: ReadBlock) -> tuple[Cursor, tuple[Undone, ...]]:
        """The cursor back at `common`, and what was read after it, newest first."""
        kept = tuple(block for block in self.blocks if block.number <= common.number)
        gone = [key for block in self.blocks[len(kept) :] for key in block.logs]
        return Cursor(kept), tuple(Undone(key) for key in reversed(gone))

    def advanced(self, end: Block, logs: Sequence[RawLog], memory: int) -> Cursor:
        """The cursor at `end` after `logs` were read; forgets what lies `memory` blocks back."""
        read: dict[BlockNumber, ReadBlock] = {}
        for log in logs:
            key = log.key
            known = read.get(key.block_number, ReadBlock(key.block_number, key.block_hash))
            read[key.block_number] = ReadBlock(known.number, known.hash, (*known.logs, key))
        read.setdefault(end.number, ReadBlock(end.number, end.hash))
        blocks = (*self.blocks, *(read[number] for number in sorted(read)))
        old = sum(1 for block in blocks if block.number <= end.number - memory)
        return Cursor(blocks[max(old - 1, 0) :])

    def to_json(self) -> str:
        """For the journal."""
        return json.dumps(
            [
                [
                    block.number,
                    block.hash.hex(),
                    [[key.log_index, key.tx_hash.hex()] for key in block.logs],
                ]
                for block in self.blocks
            ]
        )

    @classmethod
    def from_json(cls, text: str) -> Cursor:
        """From the journal."""
        blocks = []
        for number, block_hash, logs in json.loads(text):
            digest = Digest(bytes.fromhex(block_hash))
            keys = (
                LogKey(BlockNumber(number), index, digest, Digest(bytes.fromhex(tx_hash)))
                for index, tx_hash in logs
            )
            blocks.append(ReadBlock(BlockNumber(number), digest, tuple(keys)))
        return cls(tuple(blocks))


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened since a cursor. Apply `undone` (newest first), then `events`, and store
    `cursor`, all in one transaction. `is_caught_up` when nothing newer may be read yet."""

    undone: tuple[Undone, ...]
    events: tuple[ChainEvent, ...]
    cursor: Cursor
    head: Block
    is_caught_up: bool


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """How logs are read: `confirmations` behind the head, `largest_chunk` blocks at once, and
    with `memory` blocks of hashes to walk back over when the chain was reorganised."""

    confirmations: int = 0
    largest_chunk: int = 2_000
    memory: int = 256


def next_range(
    tip: BlockNumber, head: BlockNumber, confirmations: int, chunk: int
) -> tuple[BlockNumber, BlockNumber] | None:
    """First and last block to read next; None when nothing newer may be read yet."""
    last = min(head - confirmations, tip + chunk)
    return None if last <= tip else (BlockNumber(tip + 1), BlockNumber(last))


def grown(chunk: int, largest: int) -> int:
    """Chunk size after a success."""
    return min(chunk * 2, largest)


def shrunk(chunk: int) -> int:
    """Chunk size after the node found the answer too long."""
    return max(chunk // 2, 1)


class LogWindow:
    """Asks a node for logs, for as many blocks at once as it is ready to answer for."""

    def __init__(self, connection: Connection, largest: int) -> None:
        self._connection = connection
        self._largest = largest
        self.blocks = largest

    async def read(
        self, wanted: Mapping[str, object], first: BlockNumber, last: BlockNumber
    ) -> list[RawLog] | None:
        """Logs of a filter in order; None when the node wants to be asked for fewer `blocks`.

        Raises:
            Unavailable: no answer, or garbage.
        """
        span = {"fromBlock": hex(first), "toBlock": hex(last)}
        try:
            found = await self._connection.request("eth_getLogs", {**wanted, **span})
        except RpcRefused as error:
            is_span = not error.is_transient and _TOO_MANY.search(error.message)
            if self.blocks == 1 or not is_span:
                raise
            self.blocks = shrunk(min(self.blocks, last - first + 1))
            return None
        if not isinstance(found, list):
            raise Unavailable("the node answered garbage where logs were expected")
        logs = sorted((raw_log(log) for log in found), key=lambda log: log.key)
        if any(not first <= log.key.block_number <= last for log in logs):
            raise Unavailable("the node answered logs of blocks that it was not asked for")
        self.blocks = grown(self.blocks, self._largest)
        return logs

    async def read_all(
        self, wanted: Mapping[str, object], first: BlockNumber, last: BlockNumber
    ) -> list[RawLog]:
        """Logs of a filter in order, however many requests that takes; see `read`."""
        found: list[RawLog] = []
        while first <= last:
            end = BlockNumber(min(last, first + self.blocks - 1))
            logs = await self.read(wanted, first, end)
            if logs is not None:
                found += logs
                first = BlockNumber(end + 1)
        return found


class LogReader:
    """Pulls batches from a connection: `batch = await reader.read(cursor)`."""

    def __init__(
        self,
        connection: Connection,
        policy: ReadPolicy = ReadPolicy(),
        decode: Callable[[RawLog], ChainEvent | None] = decode_event,
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._decode = decode
        self._window = LogWindow(connection, policy.largest_chunk)
        deployment = connection.deployment
        self._addresses: list[Address] = [
            deployment.market,
            deployment.registry,
            deployment.vault,
            deployment.parameters,
            *([deployment.court] if deployment.court else []),
            *([deployment.summons] if deployment.summons else []),
            *([deployment.sessions] if deployment.sessions else []),
        ]

    async def start(self, block: BlockNumber | None = None) -> Cursor:
        """A cursor before `block`, by default before the block of the deployment."""
        first = self._connection.deployment.block if block is None else block
        found = await self._connection.block(BlockNumber(max(first - 1, 0)))
        return Cursor((ReadBlock(found.number, found.hash),))

    async def read(self, cursor: Cursor) -> Batch:
        """The next batch; empty and caught up when there is nothing new.

        Raises:
            Unavailable: the node does not answer; nothing is lost, ask again.
            Incompatible: the chain differs from the cursor further back than is remembered.
        """
        for _ in range(_TRIES):
            batch = await self._try_read(cursor)
            if batch is not None:
                return batch
        raise Unavailable("the chain was reorganised again and again while its logs were read")

    async def _try_read(self, cursor: Cursor) -> Batch | None:
        """A batch, or None when the chain changed under the reading."""
        head = await self._connection.head()
        common = await self._common(cursor, head)
        cursor, undone = cursor.rewound(common)
        policy = self._policy
        span = next_range(common.number, head.number, policy.confirmations, self._window.blocks)
        if span is None:
            return Batch(undone, (), cursor, head, True)
        end = head if span[1] == head.number else await self._connection.find_block(span[1])
        if end is None:
            return None
        logs = await self._window.read({"address": self._addresses}, *span)
        if logs is None or not await self._is_unchanged(common, end):
            return None
        events = tuple(event for event in map(self._decode, logs) if event is not None)
        caught_up = end.number >= head.number - policy.confirmations
        return Batch(undone, events, cursor.advanced(end, logs, policy.memory), head, caught_up)

    async def _common(self, cursor: Cursor, head: Block) -> ReadBlock:
        """The newest read block that is still on the chain.

        A block that the node does not have says nothing: a node that lags has not reorganised.
        """
        differs = False
        for block in reversed(cursor.blocks):
            found = head if block.number == head.number else await self._at(block.number, head)
            if found is None:
                continue
            if found.hash == block.hash:
                return block if differs else cursor.tip
            differs = True
        raise Incompatible(
            f"the chain is not the one that was read up to block {cursor.tip.number}; if it was "
            "reset on purpose, start with an empty journal"
        )

    async def _at(self, number: BlockNumber, head: Block) -> Block | None:
        return None if number > head.number else await self._connection.find_block(number)

    async def _is_unchanged(self, common: ReadBlock, end: Block) -> bool:
        """Whether both ends of what was read are still on the chain."""
        for number, known in ((end.number, end.hash), (common.number, common.hash)):
            found = await self._connection.find_block(number)
            if found is None or found.hash != known:
                return False
        return True
