"""Ends the seats of operators whom a version admits no more, for whoever pays the gas."""

from __future__ import annotations

from dataclasses import dataclass

from nesa.chain.contracts import Contracts
from nesa.chain.sender import Reverted, Sender
from nesa.chain.unadmitted import (
    EVICTION_GAS,
    UnadmittedSeat,
    still_unadmitted,
    unadmitted_seats,
)
from nesa.protocol.errors import Rejected
from nesa.protocol.ids import VersionId


@dataclass(frozen=True, slots=True)
class EvictionOutcome:
    """What became of the seats: those `ended`, and those whose eviction was `refused` after it was
    paid for. `gas` is what both took.

    `stands` is the last that was refused where it still stands and its operator is still not
    admitted: the version's admission answers one thing when asked and another when it is paid for,
    so the seats after it were not tried.
    """

    ended: tuple[UnadmittedSeat, ...]
    refused: tuple[UnadmittedSeat, ...]
    gas: int
    stands: UnadmittedSeat | None


async def end_seats(contracts: Contracts, sender: Sender, version_id: VersionId) -> EvictionOutcome:
    """End the seats one after the other; errors as `Models.end_unadmitted_seats`."""
    ended: list[UnadmittedSeat] = []
    refused: list[UnadmittedSeat] = []
    gas = 0
    for seat in await unadmitted_seats(contracts, version_id):
        if seat.is_ended:
            continue
        try:
            gas += (await sender.send(seat.eviction(contracts), EVICTION_GAS)).gas_used
        except Reverted as error:
            gas += error.receipt.gas_used
            refused.append(seat)
            if await still_unadmitted(contracts, seat):
                return EvictionOutcome(tuple(ended), tuple(refused), gas, seat)
        except Rejected:
            continue  # nothing was sent: somebody ended it, or it is admitted again
        else:
            ended.append(seat)
    return EvictionOutcome(tuple(ended), tuple(refused), gas, None)
