"""Paying credits out."""

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES
from tests.market import CREDIT_WINDOW, go_to
from tests.reports import signer_address


@pytest.fixture
def query(world, client):
    # At the very start of a period, so that earnings wait for the longest time.
    now = boa.env.timestamp
    go_to(now - now % CREDIT_WINDOW + CREDIT_WINDOW)
    return world.request(client)


@pytest.fixture
def earner(world, query):
    world.fulfil(query)
    return world.owners[signer_address(world.drawn(query, 0, 1)[0])]


def test_earnings_mature_after_one_to_two_windows(world, query, earner):
    amount = world.waiting(earner)
    assert amount >= split_fee(query).slot
    start = boa.env.timestamp // CREDIT_WINDOW
    go_to((start + 2) * CREDIT_WINDOW - 1)
    assert world.market.credit_of(earner) == (0, amount)
    go_to((start + 2) * CREDIT_WINDOW)
    assert world.market.credit_of(earner) == (amount, 0)


def test_anybody_sends_an_account_what_is_its_own(world, earner, outsider):
    amount = world.waiting(earner)
    go_to(boa.env.timestamp + 2 * CREDIT_WINDOW)
    before = world.lower.token.balanceOf(earner)
    world.market.withdraw(earner, sender=outsider)
    assert world.lower.token.balanceOf(earner) == before + amount
    assert world.market.credit_of(earner) == (0, 0)
    world.assert_solvent()


def test_what_still_waits_stays(world, client, earner):
    go_to(boa.env.timestamp + 2 * CREDIT_WINDOW)
    matured = world.matured(earner)
    for _ in range(4):
        world.fulfil(world.request(client))
    waiting = world.waiting(earner)
    world.market.withdraw(earner)
    assert world.event("CreditWithdrawn").amount == matured
    assert world.market.credit_of(earner) == (0, waiting)
    world.assert_solvent()


def test_with_nothing_to_take_reverts(world, outsider):
    with boa.reverts("market: nothing to withdraw"):
        world.market.withdraw(outsider)


def test_an_operator_that_asks_gets_its_earnings_and_its_refund(world, earner):
    """What an operator earns and what it is owed as a client are booked apart and paid as one."""
    world.lower.token.transfer(earner, 100 * ONE_NES, sender=world.deployer)
    world.lower.token.approve(world.market, 100 * ONE_NES, sender=earner)
    earned = world.waiting(earner)
    query = world.request(earner)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi())
    assert world.market.credit_of(earner) == (query.fee, earned)
    go_to(boa.env.timestamp + 2 * CREDIT_WINDOW)
    assert world.market.withdraw(earner) == query.fee + earned
    assert world.market.credit_of(earner) == (0, 0)
    world.assert_solvent()


def test_an_address_that_looks_like_a_number_takes_nothing(world, earner):
    """Operators' numbers lie above the bits of addresses."""
    go_to(boa.env.timestamp + 2 * CREDIT_WINDOW)
    number = world.lower.vault.operator_number(earner)
    alike = f"0x{number:040x}"
    assert world.market.credit_of(alike) == (0, 0)
    with boa.reverts("market: nothing to withdraw"):
        world.market.withdraw(alike)
    assert world.matured(earner) > 0
