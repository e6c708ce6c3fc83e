"""Reads who was drawn: a duty gets its place, ends without one, or starts over when the seed is
another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from nesa.chain.committees import DrawnCommittees
from nesa.protocol.commitments import ShardContext
from nesa.protocol.ids import Digest
from nesa.protocol.messages import Handoff
from nesa.protocol.queries import Query
from nesa.protocol.versions import ShardFacts
from nesa.protocol.wire import decode_message
from nesa_miner.duties import Duty, Place
from nesa_miner.jobs import JobKey
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Draws:
    """Reads draws; `replay` takes in the messages that came before one."""

    around: Surroundings
    roster: Roster
    replay: Callable[[JobKey], None]

    async def read(self, asked: Duty) -> None:
        """Read the draw of a duty and give the duty its place in it.

        Raises:
            InvalidInput: this miner cannot work on the version.
            Unavailable: the seed, the seats or the shard cannot be had now.
        """
        committees = await self.around.read_committees(asked.query)
        duty = self._of_this_draw(asked, committees)
        if duty is None:
            return
        places = committees.places_of(self.around.identity.address)
        if not places:
            self.roster.end(duty, "not drawn")
            return
        facts, _ = await self.around.library.runner(duty.query.version_id, places[0][0])
        if (current := self.roster.current(duty)) is not None and not current.doubts:
            self._take_place(current, committees, places[0], facts)

    def _of_this_draw(self, asked: Duty, committees: DrawnCommittees) -> Duty | None:
        """The duty that still needs its place; one that was drawn by another seed starts over."""
        roster, journal = self.roster, self.around.journal
        duty = roster.current(asked)
        job = journal.job(asked.key)
        if duty is None or job is None or duty.doubts != asked.doubts:
            return None
        if job.seed not in (None, committees.seed_hash):
            log.warning("seed block replaced", query=duty.key[0], attempt=duty.key[1])
            roster.tasks.cancel(duty.key)
            journal.redraw(duty.key)
            roster.duties[duty.key] = duty = duty.anew()
        if duty.place is None:
            return duty
        if duty.doubts:
            self._confirm(replace(duty, doubts=0), committees)
        return None

    def _confirm(self, duty: Duty, committees: DrawnCommittees) -> None:
        """The draw stands; spares may have got slots, this miner's own among them."""
        assert duty.place is not None
        if committees == duty.place.committees:
            self.roster.update(duty)
        elif (duty.place.shard, duty.place.position) in committees.places_of(
            self.around.identity.address
        ):
            self.roster.update(duty.among(committees))
        else:
            self.roster.end(duty, "found absent")

    def _take_place(
        self, duty: Duty, committees: DrawnCommittees, at: tuple[int, int], facts: ShardFacts
    ) -> None:
        journal, key, (shard, position) = self.around.journal, duty.key, at
        journal.draw(key, committees.seed_hash, shard, position)
        self.around.metrics.drawn.inc()
        log.info("drawn", query=key[0], attempt=key[1], shard=shard, position=position)
        context = self._context(duty.query, committees.seed_hash, shard)
        duty = duty.drawn_at(Place(committees, context, position, facts))
        for sender, body in journal.handoffs(key, committees.seed_hash):
            message = decode_message(body)
            assert isinstance(message, Handoff)
            duty = duty.taking(sender, message)
        self.roster.update(duty)
        self.replay(key)

    def _context(self, query: Query, seed: Digest, shard: int) -> ShardContext:
        deployment = self.around.deployment
        return ShardContext(
            deployment.chain_id, deployment.market, query.query_id, query.attempt, seed, shard
        )
