"""A network inside one process, as bad as it is told to be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from nesa.protocol.envelopes import MAX_ENVELOPE_BYTES
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import Address
from nesa_miner.transport.base import Handler

MOST_WAITING: Final = 256
"""Envelopes of one sender that one receiver may have on their way."""

Tamper = Callable[[Address, Address, bytes], Sequence[bytes]]
"""What arrives in place of an envelope from one member to another: nothing, others, several."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Seconds of delay (lowest, highest) and the chances of loss and duplication."""

    delay: tuple[float, float] = (0.0, 0.0)
    loss: float = 0.0
    duplication: float = 0.0


@dataclass(slots=True)
class MemoryNetwork:
    """Members that can reach each other, unless `partitions` keep them apart."""

    conditions: Conditions = Conditions()
    tamper: Tamper | None = None
    source: random.Random = field(default_factory=lambda: random.Random(0))
    partitions: list[frozenset[Address]] = field(default_factory=list)
    _handlers: dict[Address, Handler] = field(default_factory=dict)
    _flights: set[asyncio.Task[None]] = field(default_factory=set)
    _waiting: dict[tuple[Address, Address], int] = field(default_factory=dict)

    def join(self, member: Address, handler: Handler) -> MemoryTransport:
        """The transport of `member`, whose envelopes go to `handler`."""
        self._handlers[member] = handler
        return MemoryTransport(self, member)

    def leave(self, member: Address) -> None:
        """Nothing reaches `member` any more."""
        self._handlers.pop(member, None)

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        while self._flights:
            await asyncio.gather(*self._flights, return_exceptions=True)

    async def carry(self, sender: Address, receiver: Address, envelope: bytes) -> None:
        """Take one envelope; what becomes of it is up to the conditions.

        Raises:
            Unavailable: no such receiver, a partition, or too many on their way.
            InvalidMessage: over the size limit, or refused.
        """
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise InvalidMessage(f"{len(envelope)} bytes are over the limit of an envelope")
        if receiver not in self._handlers or self._apart(sender, receiver):
            raise Unavailable(f"{receiver} does not answer")
        arriving = (envelope,)
        for data in arriving if self.tamper is None else self.tamper(sender, receiver, envelope):
            await self._carry_one(sender, receiver, data)

    async def _carry_one(self, sender: Address, receiver: Address, data: bytes) -> None:
        if self.source.random() < self.conditions.loss:
            return
        for _ in range(2 if self.source.random() < self.conditions.duplication else 1):
            delay = self.source.uniform(*self.conditions.delay)
            if delay == 0.0:
                await self._deliver(receiver, data)
            else:
                self._launch((sender, receiver), delay, data)

    def _launch(self, path: tuple[Address, Address], delay: float, data: bytes) -> None:
        if self._waiting.get(path, 0) >= MOST_WAITING:
            raise Unavailable(f"{path[1]} is too busy")
        self._waiting[path] = self._waiting.get(path, 0) + 1
        flight = asyncio.create_task(self._fly(path, delay, data))
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _fly(self, path: tuple[Address, Address], delay: float, data: bytes) -> None:
        try:
            await asyncio.sleep(delay)
            await self._deliver(path[1], data)
        except (InvalidMessage, Unavailable):
            pass  # the sender has gone on already
        finally:
            self._waiting[path] -= 1

    async def _deliver(self, receiver: Address, data: bytes) -> None:
        handler = self._handlers.get(receiver)
        if handler is None:
            raise Unavailable(f"{receiver} does not answer")
        try:
            await handler(data)
        except ExhaustedResource as error:
            raise Unavailable(f"{receiver} is too busy") from error

    def _apart(self, one: Address, other: Address) -> bool:
        return any((one in group) != (other in group) for group in self.partitions)


@dataclass(frozen=True, slots=True)
class MemoryTransport:
    """One member's end of a memory network."""

    network: MemoryNetwork
    member: Address

    async def send(self, receiver: Address, envelope: bytes) -> None:
        """Deliver `envelope`, or lose it as the network's conditions say."""
        await self.network.carry(self.member, receiver, envelope)

    async def close(self) -> None:
        """Leave the network."""
        self.network.leave(self.member)
