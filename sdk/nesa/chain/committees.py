"""Who answers a query: the seats as the chain has them, drawn as everybody draws them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nesa.chain.connection import At
from nesa.chain.contracts import Operator, SeatRecord, Vault
from nesa.protocol.commitments import ShardContext, commitment
from nesa.protocol.draw import draw, query_seed, slot_order
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, VersionId
from nesa.protocol.queries import MAX_REPLICAS, ORACLE_SHARD, Assurance, Query
from nesa.protocol.summons import occupants, work_id


@dataclass(frozen=True, slots=True)
class Seat:
    """A drawn seat: who holds it, who signs for it, and where and under which key it listens."""

    slot: int
    operator: Address
    signer: Address
    endpoint: str
    encryption_key: bytes


@dataclass(frozen=True, slots=True)
class DrawnCommittees:
    """Everybody drawn for one attempt, each shard in draw order.

    A shard has `replicas` members and the spares that got a slot; for PROVED one member and its
    spares. `absent` are the slots of each shard that were found absent, in that order. `oracles`
    are in the order of their turns.
    """

    query: Query
    seed_hash: Digest
    shards: tuple[tuple[Seat, ...], ...]
    oracles: tuple[Seat, ...]
    absent: tuple[tuple[int, ...], ...] = ()

    def absent_slots(self, shard: int) -> tuple[int, ...]:
        """Slots of a shard that spares fill: the i-th one that of the i-th spare."""
        spares = len(self.shards[shard]) - self.query.replicas
        return self.absent[shard][: max(spares, 0)] if self.absent else ()

    def lineup(self, shard: int) -> tuple[int, ...]:
        """Positions of those who fill the slots of a shard now; for PROVED everybody drawn."""
        drawn = len(self.shards[shard])
        if self.query.assurance is Assurance.PROVED or drawn < self.query.replicas:
            return tuple(range(drawn))
        return occupants(self.query.replicas, self.absent_slots(shard))

    def occupants(self, shard: int) -> tuple[Seat, ...]:
        """The seats that fill the slots of a shard now."""
        return tuple(self.shards[shard][position] for position in self.lineup(shard))

    def candidates(self, shard: int, slot: int) -> tuple[int, ...]:
        """Positions of everybody who may stand in a slot of a shard: its member and its spares."""
        replicas, absent = self.query.replicas, self.absent_slots(shard)
        return (slot, *(replicas + spare for spare, of in enumerate(absent) if of == slot))

    def position_of(self, shard: int, signer: Address) -> int | None:
        """Place of a signer in a shard's draw."""
        for position, seat in enumerate(self.shards[shard]):
            if seat.signer == signer:
                return position
        return None

    def places_of(self, signer: Address) -> tuple[tuple[int, int], ...]:
        """(shard, position) of every place that a signer was drawn for and fills."""
        return tuple(
            (shard, position)
            for shard in range(len(self.shards))
            for position in sorted(self.lineup(shard))
            if self.shards[shard][position].signer == signer
        )


def opened_lineup(
    committees: DrawnCommittees, context: ShardContext, evidence: ShardEvidence
) -> tuple[int, ...]:
    """Positions in the draw of those who stand in the set of `evidence`, by slot.

    Whoever opens the commitment of a slot stands there, else whoever fills it now. Nothing else
    of the evidence is checked here.
    """
    lineup = list(committees.lineup(context.shard))
    if not committees.absent_slots(context.shard):
        return tuple(lineup)
    digests = (evidence.in_digest, evidence.out_digest)
    for result in evidence.results:
        slot = result.position
        if slot >= min(len(lineup), len(evidence.commitments)):
            continue
        for position in committees.candidates(context.shard, slot):
            signer = committees.shards[context.shard][position].signer
            opened = commitment(context, evidence.round, signer, *digests, result.salt)
            if opened == evidence.commitments[slot]:
                lineup[slot] = position
    return tuple(lineup)


def seats_wanted(query: Query, shard: int) -> int:
    """How many seats the draw of a shard takes (`ORACLE_SHARD` for oracles)."""
    if shard == ORACLE_SHARD:
        return min(query.rules.oracle_turns, MAX_REPLICAS)
    if query.assurance is Assurance.PROVED:
        return min(query.rules.prover_turns, MAX_REPLICAS)
    return query.replicas


async def drawn_committees(
    vault: Vault, chain_id: int, market: Address, query: Query, seed_hash: Digest, at: At
) -> DrawnCommittees:
    """The committees of `query`, given the hash of its seed block; `at` should be that block.

    Who was found absent since is read at the newest block.
    """
    seed = query_seed(chain_id, market, query.query_id, query.attempt, seed_hash)
    absent, orders = await asyncio.gather(
        absent_slots(vault, market, query),
        asyncio.gather(
            *(
                _seats_in_order(vault, query, seed, shard, at)
                for shard in (*range(query.shards), ORACLE_SHARD)
            )
        ),
    )
    wanted = [seats_wanted(query, shard) + len(slots) for shard, slots in enumerate(absent)]
    wanted.append(seats_wanted(query, ORACLE_SHARD))
    drawn = [order[:count] for order, count in zip(orders, wanted, strict=True)]
    operators = await _operators(vault, {seat.operator for seats in drawn for _, seat in seats}, at)
    found = [
        tuple(_seat(slot, seat, operators[seat.operator], query) for slot, seat in seats)
        for seats in drawn
    ]
    return DrawnCommittees(query, seed_hash, tuple(found[:-1]), found[-1], absent)


async def drawn_members(
    vault: Vault, chain_id: int, contract: Address, query: Query, seed_hash: Digest, count: int
) -> tuple[Seat, ...]:
    """The first `count` members in the draw of a session's terms, whose `contract` holds it.

    Raises:
        Unavailable: the node does not answer.
    """
    seed = query_seed(chain_id, contract, query.query_id, query.attempt, seed_hash)
    seats = (await _seats_in_order(vault, query, seed, 0, "latest"))[:count]
    operators = await _operators(vault, {seat.operator for _, seat in seats}, "latest")
    return tuple(_seat(slot, seat, operators[seat.operator], query) for slot, seat in seats)


async def absent_slots(vault: Vault, market: Address, query: Query) -> tuple[tuple[int, ...], ...]:
    """Slots of each shard that were found absent so far, as `DrawnCommittees.absent` has them.

    Raises:
        Unavailable: the node does not answer.
    """
    shards = range(query.shards)
    found = await asyncio.gather(*(_absent(vault, market, query, shard) for shard in shards))
    return tuple(found)


async def _absent(vault: Vault, market: Address, query: Query, shard: int) -> tuple[int, ...]:
    if query.assurance is Assurance.PROVED:
        return ()
    work = work_id(market, query.query_id, query.attempt, shard)
    slots = tuple(absence.slot for absence in await vault.absences(work, "latest"))
    return slots[: MAX_REPLICAS - query.replicas]


async def _seats_in_order(
    vault: Vault, query: Query, seed: Digest, shard: int, at: At
) -> list[tuple[int, SeatRecord]]:
    """The active seats of a shard in draw order, as many as a report can be about."""
    version_id = VersionId(ZERO_DIGEST) if shard == ORACLE_SHARD else query.version_id
    slots = query.seat_count(shard)
    order = tuple(slot_order(seed, shard, slots))
    records = dict(zip(order, await vault.seats(version_id, shard, order, at), strict=True))
    drawn = draw(
        seed, shard, slots, MAX_REPLICAS, lambda slot: records[slot].is_active(query.epoch)
    )
    return [(slot, records[slot]) for slot in drawn]


async def _operators(vault: Vault, addresses: set[Address], at: At) -> dict[Address, Operator]:
    ordered = sorted(addresses)
    found = await asyncio.gather(*(vault.operator(address, at) for address in ordered))
    return dict(zip(ordered, found, strict=True))


def _seat(slot: int, seat: SeatRecord, operator: Operator, query: Query) -> Seat:
    key = operator.encryption_key_at(query.epoch)
    return Seat(slot, seat.operator, seat.signer, operator.endpoint, key)
