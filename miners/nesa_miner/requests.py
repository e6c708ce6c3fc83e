"""Long inputs of requests: read from where the client publishes them, or from whoever has them.

A client may publish for some members and not for others. Who has an input hands it on, so that
whoever can commit brings the others along; who finds it nowhere goes on looking until the query is
over, and answers a summons like everybody who is there.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Final

import structlog

from nesa.chain.contents import Wanted
from nesa.protocol.contents import decode_locator
from nesa.protocol.errors import Unavailable
from nesa_miner.duties import Duty, Place
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings
from nesa_miner.work import Tensors, carried_input, requested_input

ASK_SECONDS: Final = 0.2
"""How often other members are asked while URLs are."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class RequestedInputs:
    """Reads what requests name."""

    around: Surroundings
    roster: Roster

    async def read(self, duty: Duty, place: Place) -> Tensors:
        """The input tensor of a duty in the first shard.

        Raises:
            InvalidMessage: the request does not say where it is.
            Unavailable: it is neither there nor with another member.
        """
        urls, task, facts = decode_locator(duty.sent), duty.task, place.facts
        query = duty.query

        def check(data: bytes) -> None:
            requested_input(task, facts, data)

        name, size = query.input_digest, carried_input(query, facts)
        wanted = Wanted(query.query_id, name, size, check)
        try:
            data = await self._found(wanted, urls if is_asked_again(duty.searches) else (), place)
        except Unavailable:
            self._note_search(duty)
            raise
        return requested_input(task, facts, data)

    async def _found(self, wanted: Wanted, urls: tuple[str, ...], place: Place) -> bytes:
        """Whoever is served by its client has it first; the others ask for it meanwhile, for a
        client may keep one of them waiting until the set is complete."""
        contents, members = self.around.contents, others(place)
        if not urls:
            return await contents.kept(wanted, members)
        published = asyncio.ensure_future(contents.published(wanted, urls))
        handed_on = asyncio.ensure_future(self._handed_on(wanted, members))
        try:
            await asyncio.wait({published, handed_on}, return_when=asyncio.FIRST_COMPLETED)
            if handed_on.done():
                return handed_on.result()
            return published.result()
        except Unavailable as error:
            log.info("input not where it was published", query=wanted.query_id, why=str(error))
            return await contents.kept(wanted, members)
        finally:
            for task in (published, handed_on):
                task.cancel()
            await asyncio.gather(published, handed_on, return_exceptions=True)

    async def _handed_on(self, wanted: Wanted, members: tuple[str, ...]) -> bytes:
        """From another member as soon as one has it; ends only then, or cancelled."""
        while True:
            await asyncio.sleep(ASK_SECONDS)
            with contextlib.suppress(Unavailable):
                return await self.around.contents.kept(wanted, members)

    def _note_search(self, duty: Duty) -> None:
        current = self.roster.current(duty)
        if current is not None:
            self.roster.update(replace(current, searches=current.searches + 1))


def is_asked_again(searches: int) -> bool:
    """Whether URLs are asked after so many searches in vain: less and less often, for a stranger
    chose them, and may have chosen somebody to be asked without end."""
    return searches & (searches + 1) == 0


def others(place: Place) -> tuple[str, ...]:
    """Endpoints of everybody else in the first shard, beginning elsewhere for each who asks."""
    drawn = place.committees.shards[0]
    ordered = drawn[place.position + 1 :] + drawn[: place.position]
    return tuple(seat.endpoint for seat in ordered)
