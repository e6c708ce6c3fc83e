"""How likely a draw puts a committee into the wrong hands, when seats share an owner in secret.

Members are drawn without replacement among the seats of a shard, and an operator has one seat in a
version, so that the corrupt members of a committee follow the hypergeometric distribution and the
shards are independent. Probabilities are exact; nothing here looks at stake, which is what a wrong
answer costs those who gave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from nesa.protocol.commitments import quorum
from nesa.protocol.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class ShardSeats:
    """Active seats of a shard, and how many of them act for the same party."""

    seats: int
    corrupt: int


@dataclass(frozen=True, slots=True)
class DrawRisk:
    """Probabilities over all draws.

    `captured`: some shard's corrupt members are a quorum and can agree on any result. `stalled`:
    some shard's honest members are no quorum, so that it answers only when the corrupt ones let it;
    every captured draw with r > 1 is one of these.
    """

    captured: Fraction
    stalled: Fraction


def draw_risk(shards: Sequence[ShardSeats], replicas: int) -> DrawRisk:
    """Risk of one AGREED query whose committees have `replicas` members.

    Raises:
        InvalidInput: a shard has fewer seats than members, or more corrupt seats than seats.
    """
    needed = quorum(replicas)
    held = stands = Fraction(1)
    for shard in shards:
        _expect(shard, replicas)
        held *= 1 - at_least(shard, replicas, needed)
        stands *= 1 - at_least(shard, replicas, replicas - needed + 1)
    return DrawRisk(1 - held, 1 - stands)


def proof_stall(shards: Sequence[ShardSeats], turns: int) -> Fraction:
    """Probability that all provers in a row of `turns` are corrupt in some shard: nobody proves.

    Raises:
        InvalidInput: as `draw_risk`.
    """
    proved = Fraction(1)
    for shard in shards:
        drawn = min(turns, shard.seats)
        _expect(shard, drawn)
        proved *= 1 - at_least(shard, drawn, drawn)
    return 1 - proved


def at_least(shard: ShardSeats, drawn: int, corrupt: int) -> Fraction:
    """Probability of `corrupt` or more corrupt seats among `drawn`: the hypergeometric tail."""
    honest = shard.seats - shard.corrupt
    ways = sum(
        math.comb(shard.corrupt, number) * math.comb(honest, drawn - number)
        for number in range(corrupt, drawn + 1)
    )
    return Fraction(ways, math.comb(shard.seats, drawn))


def corrupt_seats(seats: int, share: Fraction) -> int:
    """Seats that a party with this share of them holds, rounded up."""
    return math.ceil(seats * share)


def uniform_risk(seats: Sequence[int], share: Fraction, replicas: int) -> DrawRisk:
    """As `draw_risk`, when one party has this share of the seats of every shard.

    Raises:
        InvalidInput: as `draw_risk`.
    """
    return draw_risk([ShardSeats(one, corrupt_seats(one, share)) for one in seats], replicas)


def _expect(shard: ShardSeats, drawn: int) -> None:
    if not 0 <= shard.corrupt <= shard.seats or not 0 < drawn <= shard.seats:
        raise InvalidInput(
            f"{drawn} members cannot be drawn of {shard.seats} seats with {shard.corrupt} corrupt"
        )
