"""Returning what nobody claimed."""

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import QueryStatus
from tests.market import go_to


@pytest.fixture
def query(world, client):
    return world.request(client)


@pytest.fixture
def outcome(world, query):
    return world.fulfil(query, world.reports(query, signers=[0, 2, 3]))


def close(world, query, outcome):
    world.market.close(query.as_abi(), outcome_as_abi(outcome))


def test_unclaimed_slots_return_to_the_client_at_once(world, query, outcome, client):
    go_to(world.market.closes_at(query.query_id) + 1)
    close(world, query, outcome)
    assert world.event("QueryClosed").returned_to_requester == split_fee(query).slot
    assert world.market.credit_of(client) == (split_fee(query).slot, 0)
    assert world.market.status_of(query.query_id) == QueryStatus.FINAL
    assert world.market.verify_outcome(query.as_abi(), outcome_as_abi(outcome))
    world.assert_solvent()


def test_within_the_windows_reverts(world, query, outcome):
    go_to(world.market.closes_at(query.query_id))
    with boa.reverts("market: claims are open"):
        close(world, query, outcome)


def test_a_second_time_reverts(world, query, outcome):
    go_to(world.market.closes_at(query.query_id) + 1)
    close(world, query, outcome)
    with boa.reverts("market: not settled"):
        close(world, query, outcome)


def test_when_every_slot_was_paid_reverts(world, query):
    outcome = world.fulfil(query)
    go_to(world.market.closes_at(query.query_id) + 1)
    with boa.reverts("market: nothing left"):
        close(world, query, outcome)
    assert world.market.status_of(query.query_id) == QueryStatus.FINAL
