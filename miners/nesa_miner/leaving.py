"""This miner's way out."""

from __future__ import annotations

from nesa.chain.leaving import Exit, HeldSeat, Left, Outcome
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount, VersionId
from nesa_miner.seats import held_seats


async def leave(way: Exit, version_id: VersionId, shard: int) -> Left:
    """Leave the seat in a shard; errors as `Exit.leave`.

    Raises:
        InvalidInput: the operator has no such seat.
    """
    seats = await _seats(way)
    for seat in seats:
        if (seat.version_id, seat.shard) == (version_id, shard):
            return await way.leave(seat)
    places = ", ".join(f"shard {seat.shard} of 0x{seat.version_id.hex()}" for seat in seats)
    raise InvalidInput(
        f"{way.owner.address} has no seat in shard {shard} of 0x{version_id.hex()}; "
        f"it sits in {places or 'no shard at all'}"
    )


async def unstake(way: Exit, amount: Amount | None) -> Outcome:
    """Let stake thaw; errors as `Exit.unstake`."""
    return await way.unstake(await _seats(way), amount)


async def withdraw(way: Exit) -> Outcome:
    """Take what is due; errors as `Exit.withdraw`."""
    return await way.withdraw(await _seats(way))


async def _seats(way: Exit) -> tuple[HeldSeat, ...]:
    return await held_seats(way.owner.connection, way.owner.address)
