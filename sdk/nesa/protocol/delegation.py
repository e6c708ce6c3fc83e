"""Shares of stake that is delegated to an operator, as `DelegationPool` counts them."""

from __future__ import annotations

from typing import Final

from nesa.protocol.ids import Amount

VIRTUAL_SHARES: Final = 10**6
"""Shares that belong to nobody, behind one unit that does not exist."""

MAX_COMMISSION_BPS: Final = 5_000
"""Most that an operator may keep of its delegators' rewards."""

SLIPPAGE_BPS: Final = 100
"""How many fewer shares than expected a delegation may buy; rewards of the moment between take
next to nothing, and whoever moves a price by more does so on purpose."""

_BPS: Final = 10_000


def shares_bought(amount: int, total_shares: int, delegated: int) -> int:
    """Shares that `amount` NES units buy in a pool of `total_shares` with `delegated` units."""
    return amount * (total_shares + VIRTUAL_SHARES) // (delegated + 1)


def least_shares(expected: int) -> int:
    """The fewest shares that a delegator takes who expects so many."""
    return expected * (_BPS - SLIPPAGE_BPS) // _BPS


def shares_for(amount: Amount, total_shares: int, delegated: int) -> int:
    """The fewest shares that are worth `amount` NES units."""
    return -(-amount * (total_shares + VIRTUAL_SHARES) // (delegated + 1))
