"""Getting the fee back."""

import boa

from nesa.protocol.queries import QueryStatus
from tests.market import changed, go_to


def test_anybody_returns_the_whole_fee_after_the_deadline(world, client, outsider):
    query = world.request(client, callback_gas=5_000)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    assert world.event("QueryRefunded").amount == query.fee
    assert world.market.credit_of(client) == (query.fee, 0)
    assert world.market.status_of(query.query_id) == QueryStatus.REFUNDED
    assert world.market.open_fees(query.version_id) == 0
    world.assert_solvent()


def test_at_the_deadline_reverts(world, client):
    query = world.request(client)
    go_to(query.answer_deadline)
    with boa.reverts("market: not yet refundable"):
        world.market.refund(query.as_abi())


def test_a_second_time_reverts(world, client):
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi())
    with boa.reverts("market: not open"):
        world.market.refund(query.as_abi())


def test_after_an_answer_reverts(world, client):
    query = world.request(client)
    world.fulfil(query)
    go_to(query.answer_deadline + 1)
    with boa.reverts("market: not open"):
        world.market.refund(query.as_abi())


def test_other_terms_revert(world, client, outsider):
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    with boa.reverts("market: other terms"):
        world.market.refund(changed(query, requester=outsider).as_abi())
