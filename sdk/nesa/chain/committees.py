"""Who answers a query: the seats as the chain has them, drawn as everybody draws them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nesa.chain.connection import At
from nesa.chain.contracts import Operator, SeatRecord, Vault
from nesa.protocol.draw import draw, query_seed, slot_order
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest, VersionId
from nesa.protocol.queries import MAX_REPLICAS, ORACLE_SHARD, Assurance, Query


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

    A shard has `replicas` members; for PROVED one member and its spares. `oracles` are in the
    order of their turns.
    """

    query: Query
    seed_hash: Digest
    shards: tuple[tuple[Seat, ...], ...]
    oracles: tuple[Seat, ...]

    def position_of(self, shard: int, signer: Address) -> int | None:
        """Place of a signer in a shard's draw."""
        for position, seat in enumerate(self.shards[shard]):
            if seat.signer == signer:
                return position
        return None

    def places_of(self, signer: Address) -> tuple[tuple[int, int], ...]:
        """(shard, position) of every place that a signer was drawn for."""
        found = ((shard, self.position_of(shard, signer)) for shard in range(len(self.shards)))
        return tuple((shard, position) for shard, position in found if position is not None)


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
    """The committees of `query`, given the hash of its seed block; `at` should be that block."""
    seed = query_seed(chain_id, market, query.query_id, query.attempt, seed_hash)
    indices = [*range(query.shards), ORACLE_SHARD]
    drawn = await asyncio.gather(
        *(_drawn_seats(vault, query, seed, shard, at) for shard in indices)
    )
    operators = await _operators(vault, {seat.operator for seats in drawn for _, seat in seats}, at)
    found = [
        tuple(_seat(slot, seat, operators[seat.operator], query) for slot, seat in seats)
        for seats in drawn
    ]
    return DrawnCommittees(query, seed_hash, tuple(found[:-1]), found[-1])


async def _drawn_seats(
    vault: Vault, query: Query, seed: Digest, shard: int, at: At
) -> list[tuple[int, SeatRecord]]:
    version_id = VersionId(ZERO_DIGEST) if shard == ORACLE_SHARD else query.version_id
    slots = query.seat_count(shard)
    order = tuple(slot_order(seed, shard, slots))
    records = dict(zip(order, await vault.seats(version_id, shard, order, at), strict=True))
    wanted = seats_wanted(query, shard)
    drawn = draw(seed, shard, slots, wanted, lambda slot: records[slot].is_active(query.epoch))
    return [(slot, records[slot]) for slot in drawn]


async def _operators(vault: Vault, addresses: set[Address], at: At) -> dict[Address, Operator]:
    ordered = sorted(addresses)
    found = await asyncio.gather(*(vault.operator(address, at) for address in ordered))
    return dict(zip(ordered, found, strict=True))


def _seat(slot: int, seat: SeatRecord, operator: Operator, query: Query) -> Seat:
    key = operator.encryption_key_at(query.epoch)
    return Seat(slot, seat.operator, seat.signer, operator.endpoint, key)
