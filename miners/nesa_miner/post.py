"""Sends messages to members: a few tries each, and a short line before each who does not answer."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from nesa.chain.committees import Seat
from nesa.privacy.envelopes import Deployment, Receiver, seal_envelope
from nesa.privacy.keys import public_key
from nesa.protocol.errors import InvalidInput, Unavailable
from nesa.protocol.ids import Address, Timestamp
from nesa.protocol.messages import Message
from nesa_miner.identity import Identity
from nesa_miner.observability import Metrics
from nesa_miner.transport.http import HttpTransport, Limits

ENVELOPE_SECONDS: Final = 60
DELIVERIES: Final = 4
FIRST_PAUSE: Final = 0.2

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class Line:
    """Lets a few in at a time. When it is long, whoever waits longest makes room for who comes."""

    most_inside: int
    most_waiting: int
    _inside: int = 0
    _waiting: deque[asyncio.Future[bool]] = field(default_factory=deque)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Waits for a turn; False when there is none because others came."""
        is_inside = await self._enter()
        try:
            yield is_inside
        finally:
            if is_inside:
                self._leave()

    async def _enter(self) -> bool:
        if self._inside < self.most_inside:
            self._inside += 1
            return True
        if len(self._waiting) >= self.most_waiting:
            self._tell(self._waiting.popleft(), is_turn=False)
        ticket: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(ticket)
        try:
            return await ticket
        except asyncio.CancelledError:
            if ticket.cancelled():
                self._waiting = deque(held for held in self._waiting if held is not ticket)
            elif ticket.result():
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            if self._tell(self._waiting.popleft(), is_turn=True):
                return
        self._inside -= 1

    @staticmethod
    def _tell(ticket: asyncio.Future[bool], *, is_turn: bool) -> bool:
        if ticket.done():
            return False
        ticket.set_result(is_turn)
        return True


@dataclass(slots=True)
class Post:
    """Seals messages when it is their turn and hands them to the transport."""

    identity: Identity
    deployment: Deployment
    metrics: Metrics
    limits: Limits
    endpoints: dict[Address, str] = field(default_factory=dict)
    transport: HttpTransport = field(init=False)
    _lines: dict[Address, Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.transport = HttpTransport(self.endpoints.get, self.limits)

    async def deliver(self, seat: Seat, message: Message) -> bool:
        """Deliver to a seat: a few tries with growing pauses; False when nobody took it."""
        self.endpoints[seat.signer] = seat.endpoint
        pause = FIRST_PAUSE
        for _ in range(DELIVERIES):
            try:
                if not await self._try(seat, message):
                    break
                return True
            except Unavailable:
                await asyncio.sleep(pause)
                pause *= 2
            except InvalidInput as error:
                log.debug("message refused by its receiver", to=seat.signer, reason=str(error))
                self.metrics.undelivered.inc()
                return True
        self.metrics.undelivered.inc()
        return False

    async def _try(self, seat: Seat, message: Message) -> bool:
        """One try when its turn comes; False when newer messages took its place in the line."""
        line = self._lines.setdefault(seat.signer, Line(self.limits.to_peer, self.limits.waiting))
        async with line.turn() as is_turn:
            if is_turn:
                await self.transport.send(seat.signer, self._sealed(seat, message))
            return is_turn

    def _sealed(self, seat: Seat, message: Message) -> bytes:
        return seal_envelope(
            message,
            deployment=self.deployment,
            signer=self.identity.signer,
            receiver=Receiver(seat.signer, public_key(seat.encryption_key)),
            nonce=os.urandom(16),
            deadline=Timestamp(int(time.time()) + ENVELOPE_SECONDS),
        )
