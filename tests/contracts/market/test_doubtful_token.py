"""Contracts of clients take a token that returns false at its word."""

import boa
import pytest

from tests.deployment import deployer, load_harness


@pytest.fixture
def token():
    return load_harness("DoubtfulToken")


@pytest.fixture
def doubtful(world, token):
    """The same world with a market that is bound to that token."""
    return world.over(token)


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
