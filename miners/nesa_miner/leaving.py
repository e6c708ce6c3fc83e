"""This miner's way out."""

from __future__ import annotations

from nesa.chain.leaving import Exit, Left
from nesa.chain.owner import Owner
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import VersionId
from nesa_miner.seats import held_seats


def way_out(owner: Owner) -> Exit:
    """The way out of all seats of a miner's owner."""
    return Exit(owner, lambda: held_seats(owner.connection, owner.address))


async def leave(way: Exit, version_id: VersionId, shard: int) -> Left:
    """Leave the seat in a shard; errors as `Exit.leave`.

    Raises:
        InvalidInput: the operator has no such seat.
    """
    seats = await way.seats()
    for seat in seats:
        if (seat.version_id, seat.shard) == (version_id, shard):
            return await way.leave(seat)
    places = ", ".join(f"shard {seat.shard} of 0x{seat.version_id.hex()}" for seat in seats)
    raise InvalidInput(
        f"{way.owner.address} has no seat in shard {shard} of 0x{version_id.hex()}; "
        f"it sits in {places or 'no shard at all'}"
    )
