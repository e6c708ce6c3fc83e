"""Attacks on the deposits and vouchers of sessions."""

import boa
import pytest

from nesa.protocol.sessions import deposit
from tests.market import go_to
from tests.shared_sessions import PRODUCTS, build_sessions


@pytest.fixture
def sessions(world):
    return build_sessions(world)


@pytest.fixture
def terms(sessions):
    return sessions.open(sessions.client())


@pytest.fixture
def most(terms):
    return terms.base_fee * PRODUCTS


def test_a_voucher_is_spent_once(sessions, terms, most):
    """A member brings its voucher again, and an older one behind it."""
    older, newer = (sessions.voucher(terms, 0, amount) for amount in (most // 2, most))
    sessions.contract.redeem(terms.as_abi(), 0, most, *newer)
    for amount, voucher in ((most, newer), (most // 2, older)):
        with boa.reverts("sessions: nothing new"):
            sessions.contract.redeem(terms.as_abi(), 0, amount, *voucher)
    assert sessions.contract.left_of(terms.query_id) == 3 * most


def test_a_member_is_paid_whatever_the_client_signs_for_others(sessions, terms, most):
    """A client signs everything away to friends before an honest member redeems."""
    for friend in (1, 2, 3):
        sessions.redeem(terms, friend, most)
    assert sessions.redeem(terms, 0, most) == most


def test_a_client_takes_back_only_what_it_did_not_vouch_for(sessions, terms, most):
    """A client closes its session before members have brought their vouchers."""
    with boa.reverts("sessions: vouchers count"):
        sessions.contract.close_session(terms.as_abi())
    sessions.redeem(terms, 0, most)
    sessions.end(terms)
    go_to(boa.env.timestamp + 1)
    paid_in = deposit(terms.base_fee, PRODUCTS, 4)
    assert sessions.contract.close_session(terms.as_abi()) == paid_in - most
    with boa.reverts("sessions: nothing to withdraw"):
        sessions.contract.withdraw(sessions.operator(terms, 1))
