"""Native coin for whoever reports."""

from dataclasses import replace

import boa
import pytest
from eth.exceptions import Revert

from nesa.protocol.outcomes import outcome_as_abi
from tests.deployment import deployer, harness
from tests.market import go_to, pass_blocks

COIN = 10**18
SUM = 3 * 10**14


@pytest.fixture
def escrow(world):
    return deployer("market/GasEscrow").deploy(world.market)


@pytest.fixture
def query(world, client):
    return world.request(client)


@pytest.fixture
def depositor():
    account = boa.env.generate_address("depositor")
    boa.env.set_balance(account, COIN)
    return account


def settle(escrow, query, outcome, **options):
    return escrow.settle(query.as_abi(), outcome_as_abi(outcome), **options)


def refund(world, query):
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi())


def test_the_reporter_gets_all_that_waits(escrow, world, query, depositor, client):
    boa.env.set_balance(client, COIN)
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    escrow.deposit(query.query_id, value=5, sender=client)
    assert escrow.held_for(query.query_id) == SUM + 5 == escrow.total_held()
    outcome = world.fulfil(query)
    assert settle(escrow, query, outcome) == SUM + 5
    assert escrow.credit_of(outcome.reporter) == SUM + 5
    assert escrow.held_for(query.query_id) == 0
    before = boa.env.get_balance(outcome.reporter)
    assert escrow.withdraw(outcome.reporter) == SUM + 5
    assert boa.env.get_balance(outcome.reporter) == before + SUM + 5
    assert escrow.total_held() == 0 == boa.env.get_balance(escrow.address)


def test_whoever_reports_after_the_turns_gets_it(escrow, world, query, depositor, outsider):
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    reports = world.reports(query)
    go_to(query.opened_at + query.rules.oracle_turn * query.rules.oracle_turns)
    outcome = world.fulfil(query, reports, sender=outsider)
    settle(escrow, query, outcome)
    assert escrow.credit_of(outsider) == SUM


def test_a_claimed_slot_and_a_closed_query_change_nothing(escrow, world, query, depositor):
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 1, 2]))
    go_to(world.market.closes_at(query.query_id) + 1)
    world.market.close(query.as_abi(), outcome_as_abi(outcome))
    assert settle(escrow, query, outcome) == SUM


def test_nothing_to_deposit_reverts(escrow, query, depositor):
    with boa.reverts("escrow: nothing to deposit"):
        escrow.deposit(query.query_id, sender=depositor)


def test_only_open_queries_take_deposits(escrow, world, client, query, depositor):
    refunded = world.request(client)
    world.fulfil(query)
    refund(world, refunded)
    for query_id in (query.query_id, refunded.query_id, 99):
        with boa.reverts("escrow: query is not open"):
            escrow.deposit(query_id, value=SUM, sender=depositor)


def test_before_the_answer_nobody_is_credited(escrow, world, client, query, depositor):
    other = world.request(client)
    outcome = world.fulfil(other)
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    with boa.reverts("escrow: other outcome"):
        settle(escrow, query, outcome)
    with boa.reverts("escrow: not refunded"):
        escrow.reclaim(query.query_id, depositor)


def test_another_reporter_reverts(escrow, world, query, depositor, outsider):
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    outcome = world.fulfil(query)
    with boa.reverts("escrow: other outcome"):
        settle(escrow, query, replace(outcome, reporter=outsider), sender=outsider)


def test_a_second_time_reverts(escrow, world, query, depositor):
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    outcome = world.fulfil(query)
    settle(escrow, query, outcome)
    with boa.reverts("escrow: nothing to settle"):
        settle(escrow, query, outcome)
    with boa.reverts("escrow: not refunded"):
        escrow.reclaim(query.query_id, depositor)


def test_a_refunded_query_gives_everybody_its_own_back(escrow, world, query, depositor, client):
    boa.env.set_balance(client, COIN)
    for account, amount in ((depositor, SUM), (client, 7), (depositor, 1)):
        escrow.deposit(query.query_id, value=amount, sender=account)
    refund(world, query)
    assert escrow.reclaim(query.query_id, depositor) == SUM + 1
    assert escrow.held_for(query.query_id) == 7
    with boa.reverts("escrow: nothing to reclaim"):
        escrow.reclaim(query.query_id, depositor)
    assert escrow.reclaim(query.query_id, client) == 7
    with boa.reverts("escrow: nothing is held"):
        escrow.reclaim(query.query_id, client)
    escrow.withdraw(client)
    assert boa.env.get_balance(client) == COIN
    assert escrow.total_held() == SUM + 1


@pytest.fixture
def overturned(escrow, world, query, depositor):
    """An answer that a court found wrong before its reporter came."""
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    outcome = world.fulfil(query)
    world.court()
    world.hold(query, outcome)
    world.overturn(query, outcome)
    return outcome


def test_an_overturned_answer_may_be_settled_all_the_same(escrow, query, depositor, overturned):
    assert settle(escrow, query, overturned) == SUM
    with boa.reverts("escrow: nothing is held"):
        escrow.reclaim(query.query_id, depositor)


def test_or_its_depositor_comes_first(escrow, query, depositor, overturned):
    assert escrow.reclaim(query.query_id, depositor) == SUM
    with boa.reverts("escrow: nothing to settle"):
        settle(escrow, query, overturned)


def test_a_retried_query_keeps_its_deposits(escrow, world, query, depositor, client):
    escrow.deposit(query.query_id, value=SUM, sender=depositor)
    go_to(query.answer_deadline + 1)
    world.market.retry(query.as_abi(), sender=client)
    again = world.requested()
    with boa.reverts("escrow: not refunded"):
        escrow.reclaim(query.query_id, depositor)
    pass_blocks(2)
    outcome = world.fulfil(again)
    assert settle(escrow, again, outcome) == SUM


def test_nothing_to_withdraw_reverts(escrow, depositor):
    with boa.reverts("escrow: nothing to withdraw"):
        escrow.withdraw(depositor)


def test_a_contract_is_paid_once_and_when_it_lets_itself(escrow, world, query, depositor):
    refuser = harness("CoinRefuser").deploy(escrow)
    refuser.deposit(query.query_id, value=SUM, sender=depositor)
    refund(world, query)
    escrow.reclaim(query.query_id, refuser)
    with boa.reverts("escrow: coin was refused"):
        escrow.withdraw(refuser)
    assert escrow.credit_of(refuser) == SUM
    refuser.accept()
    escrow.withdraw(refuser)
    assert refuser.received() == SUM
    assert escrow.total_held() == 0


def test_coin_without_a_query_is_refused(escrow, depositor):
    with pytest.raises(Revert):
        boa.env.raw_call(escrow.address, sender=depositor, value=1)


def test_without_a_market_reverts():
    with boa.reverts("escrow: no market"):
        deployer("market/GasEscrow").deploy("0x" + "00" * 20)
