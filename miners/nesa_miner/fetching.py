"""Long tensors between shards: whoever needs them asks for part after part, and from the next
member when one stops answering. Nothing is sent that was not asked for, so nobody is flooded.
Long inputs of requests come from where their client publishes them, see `requests`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import structlog

from nesa.chain.committees import Seat
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import Address, Digest
from nesa.protocol.messages import PartRequest, TensorPart
from nesa.protocol.queries import Assurance
from nesa_miner.boundaries import Assembly, decode_boundary, encode_boundary, part_at
from nesa_miner.delivering import Deliveries
from nesa_miner.duties import Duty
from nesa_miner.jobs import JobKey
from nesa_miner.requests import RequestedInputs
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings

PARTS_AT_ONCE: Final = 4
"""Parts that one fetch awaits; enough to keep a link busy while a part is sealed and opened."""

PARTS_TO_PEER: Final = 8
"""Parts that wait or are under way to one peer; it asks again for what it does not get."""

PART_SECONDS: Final = 4.0
"""How long a part may take before another member is asked."""

Awaited: TypeAlias = tuple[JobKey, Digest, Address, int]
"""Attempt, digest of the tensors, who is to send the part, and where it begins."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Fetches:
    """Fetches the inputs of duties, and serves their outputs."""

    around: Surroundings
    roster: Roster
    deliveries: Deliveries
    requests: RequestedInputs
    _awaited: dict[Awaited, asyncio.Future[bytes]] = field(default_factory=dict)
    _serving: Counter[Address] = field(default_factory=Counter)

    async def fetch(self, duty: Duty, in_digest: Digest) -> None:
        """Give a computation its tensors, from the journal, from those who signed them, or from
        where the request says.

        Raises:
            InvalidMessage: the request does not say where.
            Unavailable: none of them hands over what the digest names.
        """
        work, journal = duty.work(in_digest), self.around.journal
        kept = journal.boundary(work)
        tensors = decode_boundary(kept) if kept else await self._fetched(duty, in_digest)
        current = self.roster.current(duty)
        if current is None:
            return
        if kept is None:
            journal.keep_boundary(work, encode_boundary(tensors))
        computation = replace(current.computation(in_digest), tensors_in=tensors)
        self.roster.update(current.having(computation))

    async def _fetched(self, duty: Duty, in_digest: Digest) -> tuple[bytes, ...]:
        assert duty.place is not None
        if duty.place.shard == 0:
            return await self.requests.read(duty, duty.place)
        edges, task = duty.place.facts.input_edges, duty.task
        assembly = Assembly(edges)
        for seat in sources(duty, in_digest):
            if not await self._filled(duty, in_digest, seat, assembly):
                continue
            tensors = assembly.tensors()
            found = await asyncio.to_thread(task.digest, task.shard, edges, tensors)
            if found == in_digest:
                return tensors
            log.warning("wrong tensors", query=duty.key[0], operator=seat.operator)
            assembly = Assembly(edges)  # nobody knows which part was wrong
        raise Unavailable("nobody who signed the tensors hands them over")

    async def _filled(self, duty: Duty, in_digest: Digest, seat: Seat, assembly: Assembly) -> bool:
        """Whether one member gave everything that was missing."""
        gate = asyncio.Semaphore(PARTS_AT_ONCE)

        async def one(offset: int) -> None:
            async with gate:
                assembly.put(offset, await self._part(duty, in_digest, seat, offset))

        try:
            async with asyncio.TaskGroup() as group:
                for offset in assembly.missing:
                    group.create_task(one(offset))
        except* (Unavailable, InvalidMessage) as failed:
            reason = str(failed.exceptions[0])
            log.info("fetch goes on elsewhere", query=duty.key[0], reason=reason)
        return not assembly.missing

    async def _part(self, duty: Duty, in_digest: Digest, seat: Seat, offset: int) -> bytes:
        assert duty.place is not None
        context = replace(duty.place.context, shard=duty.place.shard - 1)
        key = (duty.key, in_digest, seat.signer, offset)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._awaited[key] = answer
        try:
            async with asyncio.timeout(PART_SECONDS):
                if not await self.deliveries.ask(seat, PartRequest(context, in_digest, offset)):
                    raise Unavailable(f"{seat.signer} does not take a request")
                return await answer
        except TimeoutError:
            raise Unavailable(f"{seat.signer} does not send a part") from None
        finally:
            del self._awaited[key]

    def take(self, duty: Duty, sender: Address, part: TensorPart) -> None:
        """Take a part that is awaited of its sender; any other is let go of."""
        answer = self._awaited.get((duty.key, part.out_digest, sender, part.offset))
        if answer is not None and not answer.done():
            answer.set_result(part.data)

    def serve(self, duty: Duty, sender: Address, request: PartRequest) -> None:
        """Send a part of this miner's output to a member of the next shard.

        Raises:
            InvalidMessage: the sender is none, or there is no such part.
            Unavailable: there is no such output here, or not yet.
            ExhaustedResource: so many parts are under way to the sender already.
        """
        place = duty.place
        if place is None or request.context != place.context:
            raise Unavailable("the draw that the request is of is not known here yet")
        seat = next((one for one in place.downstream if one.signer == sender), None)
        if seat is None:
            raise InvalidMessage("only members of the next shard fetch tensors")
        shown = [one.evidence for one in duty.computations if one.evidence is not None]
        wanted = [one for one in shown if one.out_digest == request.out_digest]
        if not wanted or not wanted[0].tensors_out:
            raise Unavailable("these tensors are not here")
        if self._serving[sender] >= PARTS_TO_PEER:
            raise ExhaustedResource("too many parts are under way to this member")
        data = part_at(wanted[0].tensors_out, request.offset)
        part = TensorPart(request.context, request.out_digest, request.offset, data)
        self._serving[sender] += 1
        sending = self.roster.tasks.spawn(duty.key, self.deliveries.send(seat, part))
        # Not in the task itself: one that is cancelled before it begins does nothing at all.
        sending.add_done_callback(lambda _: self._sent(sender))

    def _sent(self, receiver: Address) -> None:
        self._serving[receiver] -= 1
        if not self._serving[receiver]:
            del self._serving[receiver]


def sources(duty: Duty, in_digest: Digest) -> tuple[Seat, ...]:
    """Who signed the tensors that a duty needs, beginning elsewhere for each of those who ask."""
    place = duty.place
    assert place is not None
    drawn = place.committees.occupants(place.shard - 1)
    is_proved = duty.query.assurance is Assurance.PROVED
    positions: set[int] = set()
    for sender, handoff in duty.handed:
        if handoff.out_digest == in_digest:
            positions |= {sender} if is_proved else {one.position for one in handoff.results}
    ordered = sorted(positions)
    first = place.position % len(ordered) if ordered else 0
    return tuple(drawn[position] for position in ordered[first:] + ordered[:first])
