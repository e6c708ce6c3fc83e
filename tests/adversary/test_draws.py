"""Attacks on who is drawn: seeds that are tried out, thrown away, withheld, or outlived."""

from typing import Any

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.queries import ORACLE_SHARD, QueryStatus
from tests.market import TENSORS, go_to, pass_blocks, seed_of

BEHIND_THE_CHAIN = 257  # blocks after which the hash of one is forgotten


def committee_of(world, query, shard=0, wanted=4):
    """Signers that the contract draws."""
    members = world.committee.members(world.market, query.as_abi(), seed_of(query), shard, wanted)
    return [seat.signer for seat in members]


def test_seed_grind(world, client):
    """A client tries inputs and terms until the committee is its own: the seed is the hash of a
    block after the request, and nothing that a client chooses enters it."""
    number = boa.env.evm.patch.block_number
    choices: list[dict[str, Any]] = [
        {},
        {"input": bytes(30)},
        {"replicas": 3},
        {"callback_gas": 10_000},
        {"max_fee": 5 * 10**9},
    ]
    committees = set()
    for choice in choices:
        with boa.env.anchor():
            query = world.request(client, **choice)
            assert query.seed_block == number + 1
            committees.add(tuple(committee_of(world, query)))
    assert len(committees) == 1
    world.market.request(world.order(), TENSORS[1][0], sender=client)
    query = world.requested()
    with boa.reverts("market: no such block yet"):
        world.market.pin_seed(query.seed_block)
    with boa.reverts("market: no seed yet"):
        world.fulfil(query)


def test_a_draw_that_displeases_is_not_thrown_away(world, client):
    """A client looks at its committee and wants another for the same money: within the time to
    answer there is neither a refund nor a new attempt."""
    query = world.request(client)
    assert committee_of(world, query)
    for moment in (query.opened_at, query.answer_deadline):
        go_to(max(boa.env.timestamp, moment))
        with boa.reverts("market: not yet refundable"):
            world.market.refund(query.as_abi(), sender=client)
        with boa.reverts("market: still answerable"):
            world.market.retry(query.as_abi(), sender=client)
    world.fulfil(query, sender=client)


def test_attempts_are_few_and_the_requesters(world, client, outsider):
    """A member that was not drawn opens new attempts until it is: only the requester opens one, and
    three are all there are."""
    query = world.request(client)
    signer = next(s for s in world.owners if s not in committee_of(world, query))
    for attempt in range(3):
        pass_blocks(BEHIND_THE_CHAIN + 1, 0)
        for stranger in (outsider, signer, world.owners[signer], world.developer):
            with boa.reverts("market: not the requester"):
                world.market.retry(query.as_abi(), sender=stranger)
        if attempt < 2:
            world.market.retry(query.as_abi(), sender=client)
            query = world.requested()
            pass_blocks(2)
    with boa.reverts("market: no attempt left"):
        world.market.retry(query.as_abi(), sender=client)


def test_a_seed_that_is_let_go_is_pinned_by_anybody(world, client, outsider):
    """A client whose committee is not its own waits until the chain forgets the seed, to draw anew:
    anybody keeps the seed with one call, and then there is nothing to draw anew."""
    query = world.request(client)
    before = committee_of(world, query)
    world.market.pin_seed(query.seed_block, sender=outsider)
    pass_blocks(1_000, 0)
    with boa.reverts("market: still answerable"):
        world.market.retry(query.as_abi(), sender=client)
    assert world.market.pinned_seed(query.seed_block) == seed_of(query)
    assert committee_of(world, query) == before
    world.fulfil(query)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_a_pinned_seed_is_not_pinned_again_as_another(world, client, outsider):
    """Somebody pins a seed a second time, when the chain would say zero for its block: a block that
    is forgotten is not pinned at all."""
    query = world.request(client)
    world.market.pin_seed(query.seed_block)
    pass_blocks(BEHIND_THE_CHAIN, 0)
    with boa.reverts("market: block is forgotten"):
        world.market.pin_seed(query.seed_block, sender=outsider)
    assert world.market.pinned_seed(query.seed_block) == seed_of(query)


def test_a_forgotten_seed_is_not_zero(world, client):
    """An oracle waits until the chain has forgotten the seed block, whose hash then reads as zero
    and draws a committee that was known beforehand: a seed that is gone answers nothing."""
    query = world.request(client)
    reports, oracle = world.reports(query), world.oracle(query)
    pass_blocks(BEHIND_THE_CHAIN, 0)
    with boa.reverts("market: seed is gone"):
        world.fulfil(query, reports, sender=oracle)


def test_a_withheld_block_leaves_nothing_to_report(world, client, outsider):
    """A proposer withholds the seed block after its friends have answered for the committee that it
    draws: another block takes its place, and with its hash nothing of that work is attested."""
    query = world.request(client)
    early = world.reports(query)
    go_to(query.opened_at + 30)  # anybody may report
    patch = boa.env.evm.patch
    place = patch.block_number - 1 - query.seed_block
    known = list(patch.prev_hashes)
    patch.prev_hashes = [*known[:place], keccak(text="in its place"), *known[place + 1 :]]
    with boa.reverts("committee: not attested"):
        world.fulfil(query, early, sender=outsider)
    patch.prev_hashes = known
    world.fulfil(query, early, sender=outsider)


@pytest.mark.parametrize("shard", [0, ORACLE_SHARD])
def test_stake_change_during_draw(world, client, shard):
    """Somebody who saw the seed takes seats, leaves them, or has them released, so that slots shift
    under the draw: a query draws from the seats of its epoch until its last window has closed."""
    query = world.request(client)
    version_id = ZERO_DIGEST if shard == ORACLE_SHARD else query.version_id
    wanted = 3
    before = committee_of(world, query, shard, wanted)
    for number in range(4):
        world.operator(f"late {number}", [(version_id, shard)])
        assert committee_of(world, query, shard, wanted) == before
    for signer in before[:2]:
        owner = world.owners[signer]
        place = world.lower.vault.seat_of(version_id, owner)
        world.lower.vault.leave_seat(version_id, *place, sender=owner)
        assert committee_of(world, query, shard, wanted) == before
    for moment in (query.answer_deadline, query.answer_deadline + 120):
        go_to(moment)
        for signer in before[:2]:
            place = world.lower.vault.seat_of(version_id, world.owners[signer])
            with boa.reverts("vault: seat may be needed"):
                world.lower.vault.release_seat(version_id, *place)
        assert committee_of(world, query, shard, wanted) == before


def test_a_seat_is_not_moved_to_where_the_draw_will_fall(world, client):
    """An operator that is not drawn in one shard moves its seat to the next within the window: one
    seat a version, and the left one is released only when no query can draw it."""
    query = world.request(client, 2)
    vault = world.lower.vault
    drawn = committee_of(world, query, 0, 6)
    owner = world.owners[drawn[-1]]
    vault.leave_seat(query.version_id, *vault.seat_of(query.version_id, owner), sender=owner)
    facts = world.lower.registry.facts(query.version_id, 1)
    for moment in (query.opened_at, query.answer_deadline + 120):
        go_to(max(moment, boa.env.timestamp))
        with boa.reverts("vault: already seated"):
            vault.take_seat(query.version_id, 1, *facts, sender=owner)


def test_the_emptiest_shard_is_not_bought(world, client):
    """Somebody holds the only seats of an unpopular version and answers alone: a version with fewer
    seats than the minimum cannot be asked, in any of its shards."""
    version_id, vault = world.versions[2], world.lower.vault
    for signer in committee_of(world, world.request(client, 2), 1, 3):
        owner = world.owners[signer]
        vault.leave_seat(version_id, *vault.seat_of(version_id, owner), sender=owner)
    go_to(boa.env.timestamp + 10)
    with boa.reverts("vault: too few seats"):
        world.request(client, 2)
