"""This miner's way out, and how what waits is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from nesa.chain.leaving import Exit, HeldSeat, Left, Outcome
from nesa.chain.owner import nes
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Amount, Timestamp, VersionId
from nesa_miner.seats import held_seats

SUMS: Final = ("paid", "stake", "locked", "free", "unbonding")


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


def in_words(found: Left | Outcome) -> Mapping[str, Any]:
    """Sums in NES and times in UTC, for people."""
    return {name: _word(name, value) for name, value in asdict(found).items()}


def _word(name: str, value: Any) -> Any:
    if name in SUMS:
        return nes(value)
    if name in ("drawn_until", "locked_until", "withdrawable_at", "next_release"):
        return time_of(value)
    return value


def time_of(moment: Timestamp | None) -> str:
    """A time of the chain as people read it; nothing waits for the time zero."""
    if not moment:
        return "-"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


async def _seats(way: Exit) -> tuple[HeldSeat, ...]:
    return await held_seats(way.owner.connection, way.owner.address)
