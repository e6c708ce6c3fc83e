"""Keeping block hashes."""

import boa

from tests.market import pass_blocks, seed_of


def test_a_pinned_seed_outlives_256_blocks(world, client, outsider):
    query = world.request(client)
    world.market.pin_seed(query.seed_block, sender=outsider)
    assert world.event("SeedPinned").seed == seed_of(query)
    pass_blocks(1_000, 0)
    assert world.market.pinned_seed(query.seed_block) == seed_of(query)
    world.fulfil(query)


def test_a_block_to_come_reverts(world):
    number = boa.env.evm.patch.block_number
    with boa.reverts("market: no such block yet"):
        world.market.pin_seed(number)


def test_a_forgotten_block_reverts(world):
    number = boa.env.evm.patch.block_number
    pass_blocks(300, 0)
    with boa.reverts("market: block is forgotten"):
        world.market.pin_seed(number)
