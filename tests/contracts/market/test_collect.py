"""Handing out a version's shares."""

import boa

from nesa.protocol.fees import split_fee


def test_the_shares_begin_to_wait(world, client):
    first, second = world.request(client), world.request(client)
    world.fulfil(first)
    world.fulfil(second)
    split = split_fee(first)
    world.collect(1)
    assert world.market.credit_of(world.developer) == (0, 2 * split.royalty)
    assert world.market.credit_of(world.reviewer_pool) == (0, 2 * split.reviewers)
    assert world.market.credit_of(world.treasury) == (0, 2 * split.treasury)
    assert world.market.shares_of(first.version_id) == (0, 0, 0)
    world.assert_solvent()


def test_open_fees_stay(world, client):
    world.fulfil(world.request(client))
    query = world.request(client)
    world.collect(1)
    assert world.market.open_fees(query.version_id) == query.fee


def test_a_second_time_reverts(world, client):
    world.fulfil(world.request(client))
    world.collect(1)
    with boa.reverts("market: nothing to collect"):
        world.collect(1)


def test_another_developer_reverts(world, client, outsider):
    world.fulfil(world.request(client))
    with boa.reverts("market: nothing to collect"):
        world.collect(1, developer=outsider)


def test_the_treasury_of_the_moment_is_credited(world, client):
    query = world.request(client)
    world.fulfil(query)
    new = boa.env.generate_address("new treasury")
    world.lower.parameters.set_treasury(new, sender=world.deployer)
    world.collect(1)
    assert world.waiting(new) == split_fee(query).treasury
    assert world.waiting(world.treasury) == 0
