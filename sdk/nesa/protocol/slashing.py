"""What a slash credits instead of burning it, as `StakeVault` counts it. Sums are NES units."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS

REWARD_BPS: Final = 2_500
"""Part of a slash that is credited: to whom a client's fee is owed, then to who showed the fault.
"""

OWN_BPS: Final = 5_000
"""Part of what its seats lock, and of all stake when somebody delegates, that an operator owns."""

REWARD: Final = Fraction(REWARD_BPS, BPS)
OWN: Final = Fraction(OWN_BPS, BPS)
"""The same parts, as fractions."""


def credited(taken: int, own: int | None = None, creditable: int = 0) -> Amount:
    """What of a slash is credited, rounded down; the rest is burned.

    `own` is what the operator owned before the slash, everything when it is left out. `creditable`
    is what may still be credited of own stake that was taken before, since somebody delegated to
    it. Delegated stake adds nothing to these two, so that nobody gains who has an operator of its
    own convicted: whoever is credited, half of own stake that is lost is gone.
    """
    lost = taken if own is None else min(taken, own)
    return Amount(min(taken * REWARD_BPS // BPS, creditable + lost * REWARD_BPS // OWN_BPS))


def delegable(stake: int, delegated: int, unbonding: int) -> Amount:
    """How much more may be delegated to an operator that owns `stake - delegated`, of which
    `unbonding` thaws."""
    own = max(stake - delegated - unbonding, 0)
    return Amount(max(own * BPS // OWN_BPS - (stake - unbonding), 0))
