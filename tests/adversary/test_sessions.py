"""Attacks on deposits of shared sessions and on the vouchers that spend them."""

from dataclasses import replace

import boa
import pytest

from nesa.protocol.ids import Address, Amount, QueryId
from nesa.protocol.sessions import Voucher, sign_voucher
from tests.market import go_to
from tests.reports import signer_address
from tests.shared_sessions import PAYER, PRODUCTS, build_sessions

ALL = 6
"""Every seat of the version: whoever has one is drawn in every session."""


@pytest.fixture
def sessions(world):
    return build_sessions(world)


@pytest.fixture
def payer(sessions):
    return sessions.client()


@pytest.fixture
def terms(sessions, payer):
    return sessions.open(payer, seats=ALL)


@pytest.fixture
def most(terms):
    """What all products are worth to one member."""
    return terms.base_fee * PRODUCTS


def place_of(sessions, terms, operator):
    """Where an operator stands in the draw of a session."""
    return [sessions.operator(terms, place) for place in range(ALL)].index(operator)


def brought(sessions, terms, position, amount, signed, **options):
    """What a voucher pays."""
    return sessions.contract.redeem(terms.as_abi(), position, amount, *signed, **options)


def test_voucher_replay(sessions, terms, payer, most):
    """A member sits in two sessions of one payer and brings the first one's voucher to both: a
    voucher holds its session."""
    other = sessions.open(payer, seats=ALL)
    signed = sessions.voucher(terms, 0, most)
    brought(sessions, terms, 0, most, signed)
    place = place_of(sessions, other, sessions.operator(terms, 0))
    with boa.reverts("sessions: not the payer's"):
        brought(sessions, other, place, most, signed)


def test_voucher_non_monotone(sessions, terms, most):
    """A member brings its vouchers newest first, to be paid for each: a voucher's sum is all in
    all, and one of no more than was paid pays nothing."""
    signed = [(amount, sessions.voucher(terms, 0, amount)) for amount in (most, most // 2, most)]
    brought(sessions, terms, 0, *signed[0])
    for amount, voucher in signed[1:]:
        with boa.reverts("sessions: nothing new"):
            brought(sessions, terms, 0, amount, voucher)
    assert sessions.contract.left_of(terms.query_id) == (ALL - 1) * most


def test_payer_rug_thaw(sessions, terms, payer, most):
    """A client lets members work and takes its deposit back before they bring their vouchers: it
    has nothing of it until the last second in which they count is over."""
    sessions.contract.pin_seed(terms.seed_block)
    go_to(terms.answer_deadline + 1)
    with boa.reverts("sessions: vouchers count"):
        sessions.contract.close_session(terms.as_abi(), sender=payer)
    sessions.end(terms)
    with boa.reverts("sessions: vouchers count"):
        sessions.contract.close_session(terms.as_abi(), sender=payer)
    assert sessions.redeem(terms, 0, most) == most
    assert sessions.contract.left_of(terms.query_id) == (ALL - 1) * most


def test_voucher_of_another_chain(sessions, terms, most):
    """A member replays what the same payer signed for it in a session of the same number on
    another chain: a voucher holds the chain's id."""
    voucher = Voucher(QueryId(terms.query_id), Address(sessions.operator(terms, 0)), Amount(most))
    elsewhere = sessions.world.chain_id + 1
    signed = sign_voucher(PAYER, elsewhere, Address(sessions.contract.address), voucher)
    with boa.reverts("sessions: not the payer's"):
        brought(sessions, terms, 0, most, signed)


def test_voucher_of_another_deployment(sessions, world, terms, payer, most):
    """A member replays a voucher in a second contract over the same seats, where the same payer
    has a session of the same number: a voucher holds the contract."""
    other = build_sessions(world)
    world.lower.token.approve(other.contract, 2**256 - 1, sender=payer)
    twin = other.open(payer, seats=ALL)
    assert twin.query_id == terms.query_id
    signed = sessions.voucher(terms, 0, most)
    place = place_of(other, twin, sessions.operator(terms, 0))
    with boa.reverts("sessions: not the payer's"):
        brought(other, twin, place, most, signed)


def test_a_voucher_is_not_stolen_from_the_mempool(sessions, terms, most, outsider):
    """A thief copies a member's voucher and brings it first: whoever brings it, the operator that
    it names has the pay, and for nobody else it counts."""
    signed, operator = sessions.voucher(terms, 0, most), sessions.operator(terms, 0)
    with boa.reverts("sessions: not the payer's"):
        brought(sessions, terms, 1, most, signed, sender=outsider)
    brought(sessions, terms, 0, most, signed, sender=outsider)
    assert sessions.waiting(operator) > 0
    assert sessions.contract.credit_of(outsider) == (0, 0)


def test_a_payer_and_a_member_empty_no_other_session(sessions, terms, most):
    """A payer vouches its accomplice more than the session holds, to have other clients' deposits:
    a member gets what all products are worth at most, and all members what was put down."""
    stranger = sessions.client("somebody else")
    other = sessions.open(stranger, seats=ALL)
    with boa.reverts("sessions: more than all products"):
        sessions.redeem(terms, 0, most + 1)
    for place in range(ALL):
        sessions.redeem(terms, place, most)
    assert sessions.contract.left_of(terms.query_id) == 0
    assert sessions.contract.left_of(other.query_id) == ALL * most
    sessions.assert_solvent()


def test_a_member_is_paid_whatever_the_client_signs_for_others(sessions, terms, most):
    """A client signs everything away to friends before an honest member redeems: the deposit holds
    every seat's pay in full."""
    for friend in range(1, ALL):
        sessions.redeem(terms, friend, most)
    assert sessions.redeem(terms, 0, most) == most


def test_whoever_was_not_drawn_is_paid_nothing(sessions, payer, most, outsider):
    """A payer vouches a friend without a seat in its session, to turn a deposit into earnings past
    the draw: only operators at paid places of the draw are paid."""
    terms = sessions.open(payer, seats=2)
    friend = sessions.operator(terms, 2)
    for account in (friend, outsider):
        voucher = Voucher(QueryId(terms.query_id), Address(account), Amount(most))
        at = Address(sessions.contract.address)
        signed = sign_voucher(PAYER, sessions.world.chain_id, at, voucher)
        for place in range(2):
            with boa.reverts("sessions: not the payer's"):
                brought(sessions, terms, place, most, signed)
    with boa.reverts("sessions: not to be paid"):
        sessions.redeem(terms, 2, most)


def test_nobody_is_no_payer(sessions, payer, terms, most):
    """A member hopes that a failed recovery, which gives the zero address, is the payer of some
    session: no session has it."""
    with boa.reverts("sessions: no payer"):
        sessions.open(payer, payer=Address("0x" + "00" * 20))
    with boa.reverts("sessions: not the payer's"):
        brought(sessions, terms, 0, most, (bytes(32), bytes(32)))


def test_a_price_raised_meanwhile_is_not_paid(sessions, world, terms, most):
    """A developer raises its price while a session runs, so that vouchers reach further into the
    deposit: the terms keep the price of the moment, and other terms are refused."""
    world.lower.registry.set_price(
        world.versions[1], 10 * terms.base_fee, 0, sender=world.developer
    )
    with boa.reverts("sessions: more than all products"):
        sessions.redeem(terms, 0, most + 1)
    with boa.reverts("market: other terms"):
        sessions.redeem(replace(terms, base_fee=10 * terms.base_fee), 0, most + 1)


def test_a_session_is_no_query_of_the_market(sessions, world, terms, payer):
    """A client brings the terms of its session to the market to have the deposit refunded there as
    a fee, out of what others paid: their number and their hash are of no query."""
    world.request(world.client("somebody else"))
    go_to(terms.answer_deadline + 1)
    for function in ("refund", "retry"):
        with boa.reverts("market: not open"):
            getattr(world.market, function)(terms.as_abi(), sender=payer)


def test_a_query_is_no_session(sessions, world, payer, terms):
    """A client has a query of the market closed as a session, to be paid out of deposits."""
    query = world.request(payer)
    go_to(query.answer_deadline + query.rules.claim_window + 1)
    with boa.reverts("market: not open"):
        sessions.contract.close_session(query.as_abi(), sender=payer)
    renumbered = replace(query, query_id=terms.query_id)
    with boa.reverts("market: other terms"):
        sessions.contract.close_session(renumbered.as_abi(), sender=payer)


def test_a_deposit_returns_once(sessions, terms, payer):
    """A client closes its session twice, and has what was returned paid out twice."""
    sessions.end(terms)
    go_to(boa.env.timestamp + 1)
    returned = sessions.contract.close_session(terms.as_abi(), sender=payer)
    with boa.reverts("market: not open"):
        sessions.contract.close_session(terms.as_abi(), sender=payer)
    assert sessions.contract.withdraw(payer) == returned
    with boa.reverts("sessions: nothing to withdraw"):
        sessions.contract.withdraw(payer)
    sessions.assert_solvent()


def test_a_session_wash_costs_the_treasurys_share(sessions, world, payer, terms, most):
    """Somebody opens sessions and vouches for its own seats to be paid emission on top: nothing is
    minted for a session, and the shares of others are lost to it."""
    supply = world.lower.token.totalSupply()
    for place in range(ALL):
        sessions.redeem(terms, place, most)
    earned = sum(sessions.waiting(sessions.operator(terms, place)) for place in range(ALL))
    royalty, reviewers, treasury = sessions.contract.shares_of(terms.version_id)
    assert earned + royalty + reviewers + treasury == ALL * most
    assert treasury > 0
    assert world.lower.token.totalSupply() == supply


def test_a_signers_seat_pays_its_owner(sessions, terms, most):
    """A stolen hot key brings a voucher and withdraws: what a member earns is its cold owner's."""
    signer = signer_address(sessions.drawn(terms)[0])
    sessions.redeem(terms, 0, most, sender=signer)
    go_to(boa.env.timestamp + 10_000)
    with boa.reverts("sessions: nothing to withdraw"):
        sessions.contract.withdraw(signer, sender=signer)
    assert sessions.contract.withdraw(sessions.operator(terms, 0), sender=signer) > 0
