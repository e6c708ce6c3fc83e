"""Brings members what is for them: once where they ask again, else for as long as it is owed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from nesa.chain.committees import Seat
from nesa.protocol.messages import Message
from nesa_miner.duties import Duty
from nesa_miner.log_format import origin_of
from nesa_miner.roster import RETRY_SECONDS, Roster
from nesa_miner.surroundings import Surroundings

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Deliveries to the seats of drawn members; none of them ends more than itself."""

    around: Surroundings
    roster: Roster

    async def send(self, seat: Seat, message: Message) -> None:
        """Deliver what its receiver asks for again when it is lost."""
        await self._delivered(seat, message)

    async def ask(self, seat: Seat, message: Message) -> bool:
        """Deliver what its sender waits for an answer to; False when nobody took it."""
        return await self._delivered(seat, message)

    async def insist(self, duty: Duty, seat: Seat, message: Message) -> None:
        """Deliver what its receiver cannot ask for, as long as the duty lasts, which is told how it
        went."""
        while self.roster.current(duty) is not None:
            was_taken = await self._delivered(seat, message)
            if (current := self.roster.current(duty)) is not None:
                self.roster.update(current.tried(seat.signer, was_taken=was_taken))
            if was_taken:
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _delivered(self, seat: Seat, message: Message) -> bool:
        """False when trying again makes sense."""
        try:
            return await self.around.deliver(seat, message)
        except Exception as error:
            log.error("not delivered", to=seat.signer, **origin_of(error))
            return True
