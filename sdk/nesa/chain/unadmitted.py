"""Seats whose operators their version admits no more: anybody may end them."""

from __future__ import annotations

from typing import Final, NamedTuple

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts, SeatRecord
from nesa.chain.history import find_versions
from nesa.chain.leaving import NO_END
from nesa.protocol.errors import Rejected
from nesa.protocol.ids import Address, VersionId
from nesa.protocol.queries import count_of

EVICTION_GAS: Final = 500_000
"""What one eviction may cost, and what asking who is admitted may take: a developer's contract that
says so may burn all that it is given."""


class RestrictedVersion(NamedTuple):
    """A version and the contract that says who may sit in it; `is_listed` where that is the
    network's own list, and not a contract of a developer's."""

    version_id: VersionId
    admission: Address
    is_listed: bool


class UnadmittedSeat(NamedTuple):
    """A seat of a version, and who sits there. Until its epoch is over it may be drawn, also when
    it was ended."""

    version_id: VersionId
    shard: int
    slot: int
    operator: Address
    is_ended: bool

    def eviction(self, contracts: Contracts) -> ContractCall:
        """The call that ends it."""
        return contracts.vault.evict(self.version_id, self.shard, self.slot)


async def restricted_versions(connection: Connection) -> tuple[RestrictedVersion, ...]:
    """Versions that do not admit everybody, oldest first.

    Raises:
        Unavailable: the node does not answer.
    """
    registry, own = Contracts(connection).registry, connection.deployment.allow_list
    versions = [event.version_id for event in await find_versions(connection)]
    rules = [await registry.admission_of(each, at="latest") for each in versions]
    return tuple(
        RestrictedVersion(version, rule, rule == own)
        for version, rule in zip(versions, rules, strict=True)
        if rule is not None
    )


async def unadmitted_seats(
    contracts: Contracts, version_id: VersionId
) -> tuple[UnadmittedSeat, ...]:
    """Seats of a version that may be drawn, or will be, by operators whom it does not admit.

    Raises:
        Unavailable: the node does not answer.
    """
    found: list[UnadmittedSeat] = []
    for shard in range(await contracts.registry.shard_count(version_id, at="latest")):
        found += await _of_shard(contracts, version_id, shard)
    return tuple(found)


async def still_unadmitted(contracts: Contracts, seat: UnadmittedSeat) -> bool:
    """Whether nobody ended a seat meanwhile, and its version admits who sits there no more. A
    contract that fails when it is asked admits nobody.

    Raises:
        Unavailable: the node does not answer.
    """
    place = (seat.version_id, seat.shard, [seat.slot])
    (now,) = await contracts.vault.seats(*place, at="latest")
    if now.operator != seat.operator or now.to_epoch != NO_END:
        return False
    try:
        return not await _admits(contracts, seat.version_id, now)
    except Rejected:
        return True


async def _of_shard(
    contracts: Contracts, version_id: VersionId, shard: int
) -> list[UnadmittedSeat]:
    vault = contracts.vault
    slots = count_of(await vault.seat_counts(version_id, shard + 1, at="latest"), shard)
    seats = await vault.seats(version_id, shard, range(slots), at="latest")
    epoch = await vault.epoch(at="latest")
    held = [(n, seat) for n, seat in enumerate(seats) if _counts(seat, epoch)]
    return [
        UnadmittedSeat(version_id, shard, slot, seat.operator, seat.to_epoch != NO_END)
        for slot, seat in held
        if not await _admits(contracts, version_id, seat)
    ]


async def _admits(contracts: Contracts, version_id: VersionId, seat: SeatRecord) -> bool:
    keys = (version_id, seat.operator, seat.signer)
    return await contracts.registry.admits(*keys, at="latest", gas=EVICTION_GAS)


def _counts(seat: SeatRecord, epoch: int) -> bool:
    return seat.from_epoch < seat.to_epoch and epoch < seat.to_epoch
