"""What a slash credits instead of burning it, as `StakeVault` counts it. Sums are NES units."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS

REWARD_BPS: Final = 2_500
"""Part of a slash that is credited: to whom a client's fee is owed, then to who showed the fault.

It is also the part of what its seats lock, and of all stake when somebody delegates, that an
operator owns itself.
"""

REWARD: Final = Fraction(REWARD_BPS, BPS)
"""The same part, as a fraction."""


def credited(taken: int, own: int | None = None, forfeited: int = 0) -> Amount:
    """What of a slash is credited, rounded down; the rest is burned.

    `own` is what the operator owned itself before the slash, everything when it is left out.
    `forfeited` is what earlier slashes took of that and did not credit, since somebody delegated
    to it. Delegated stake rewards nobody beyond these two, so that nobody gains who has an operator
    of its own convicted.
    """
    lost = taken if own is None else min(taken, own)
    return Amount(min(taken * REWARD_BPS // BPS, forfeited + lost))


def delegable(stake: int, delegated: int, unbonding: int) -> Amount:
    """How much more may be delegated to an operator that owns `stake - delegated`, of which
    `unbonding` thaws."""
    own = max(stake - delegated - unbonding, 0)
    return Amount(max(own * BPS // REWARD_BPS - (stake - unbonding), 0))
