"""Reads who was drawn: a duty gets its place, ends without one, or starts over when the seed is
another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from nesa.chain.committees import DrawnCommittees
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.commitments import ShardContext
from nesa.protocol.ids import Digest
from nesa.protocol.messages import Handoff
from nesa.protocol.queries import Query
from nesa.protocol.wire import decode_message
from nesa_miner.duties import Duty, Place
from nesa_miner.jobs import JobKey
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings
from nesa_miner.work import is_proved_sealed

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
        place = await self._place(duty.query, committees, places[0])
        if (current := self.roster.current(duty)) is not None and not current.doubts:
            self._take_place(current, place)

    async def _place(self, query: Query, committees: DrawnCommittees, at: tuple[int, int]) -> Place:
        (shard, position), library = at, self.around.library
        facts, _ = await library.runner(query.version_id, shard)
        circuits = CircuitKind.PUBLIC
        if is_proved_sealed(query):
            circuits = await library.circuits(query.version_id)
        context = self._context(query, committees.seed_hash, shard)
        return Place(committees, context, position, facts, circuits)

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

    def _take_place(self, duty: Duty, place: Place) -> None:
        journal, key, seed = self.around.journal, duty.key, place.committees.seed_hash
        journal.draw(key, seed, place.shard, place.position)
        self.around.metrics.drawn.inc()
        log.info("drawn", query=key[0], attempt=key[1], shard=place.shard, position=place.position)
        duty = duty.drawn_at(place)
        for sender, body in journal.handoffs(key, seed):
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
