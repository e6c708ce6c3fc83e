"""A token that returns false is taken at its word."""

from dataclasses import replace

import boa
import pytest

from tests.deployment import deployer, load_harness
from tests.market import CREDIT_WINDOW, go_to


@pytest.fixture
def token():
    return load_harness("DoubtfulToken")


@pytest.fixture
def doubtful(world, token):
    """The same world with a market that is bound to that token."""
    lower = world.lower
    below = (lower.parameters, lower.vault, world.committee, world.pricing)
    market = deployer("market/QueryMarket").deploy(token, *below, CREDIT_WINDOW)
    return replace(world, market=market)


def test_without_payment_there_is_no_query(doubtful, outsider):
    with boa.reverts("market: not paid"):
        doubtful.request(outsider)
    assert doubtful.market.last_query_id() == 0


def test_a_credit_that_was_not_paid_out_stays(doubtful, token, outsider):
    token.behave(True)
    query = doubtful.request(outsider)
    go_to(query.answer_deadline + 1)
    doubtful.market.refund(query.as_abi())
    token.behave(False)
    with boa.reverts("market: transfer failed"):
        doubtful.market.withdraw(outsider)
    assert doubtful.matured(outsider) == query.fee


def test_a_consumer_needs_its_approval(doubtful, token):
    with boa.reverts("consumer: not approved"):
        deployer("examples/TriageRegister").deploy(doubtful.market, token, bytes(32))


def test_a_register_sees_that_it_was_not_paid(doubtful, token, outsider):
    token.behave(True)
    with boa.env.prank(outsider):
        register = deployer("examples/TriageRegister").deploy(doubtful.market, token, bytes(32))
    token.behave(False)
    with boa.reverts("triage: not sent"):
        register.withdraw(1, sender=outsider)
