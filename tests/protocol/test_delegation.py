"""Shares as the pool counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.delegation import VIRTUAL_SHARES, least_shares, shares_bought, shares_for
from nesa.protocol.ids import Amount

SUMS = st.integers(1, 10**18)


def worth(shares: int, total: int, delegated: int) -> int:
    """`DelegationPool._value`."""
    return shares * (delegated + 1) // (total + VIRTUAL_SHARES)


def test_the_first_delegation_buys_a_million_shares_a_unit() -> None:
    assert shares_bought(5, 0, 0) == 5 * VIRTUAL_SHARES
    assert least_shares(1_000) == 990


@given(SUMS, SUMS, SUMS)
def test_shares_for_a_sum_are_worth_it_and_one_fewer_is_not(
    amount: int, total: int, delegated: int
) -> None:
    shares = shares_for(Amount(amount), total, delegated)
    assert worth(shares, total, delegated) >= amount
    assert worth(shares - 1, total, delegated) < amount
