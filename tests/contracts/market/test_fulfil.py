"""Bringing the answer to an agreed query."""

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.draw import slot_order
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Address
from nesa.protocol.outcomes import closing_time, members_digest, outcome_as_abi, outcome_hash
from nesa.protocol.queries import Assurance, Privacy, QueryStatus, terms_hash
from tests.market import TENSORS, changed, go_to, pass_blocks, seed_of
from tests.reports import signer_address

OUTPUT = TENSORS[1][-1]


def owners(world, query, shard=0):
    return [world.owners[signer_address(key)] for key in world.drawn(query, shard, query.replicas)]


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("replicas", [3, 4, 6])
def test_an_honest_report_is_accepted(world, client, shards, replicas):
    query = world.request(client, shards, replicas=replicas)
    outcome = world.fulfil(query)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    assert [shard.paid for shard in outcome.shards] == [2**replicas - 1] * shards
    world.assert_solvent()


def test_the_outcome_is_that_of_the_protocol(world, client):
    query = world.request(client, 2)
    works = world.works(query)
    outcome = world.fulfil(query)
    assert outcome.terms_hash == terms_hash(world.chain_id, Address(world.market.address), query)
    assert outcome.seed == seed_of(query)
    assert outcome.output_hash == keccak(OUTPUT)
    assert outcome.fulfilled_at == boa.env.timestamp
    assert world.market.closes_at(query.query_id) == closing_time(query, boa.env.timestamp)
    assert world.market.verify_outcome(query.as_abi(), outcome_as_abi(outcome))
    for shard, work in enumerate(works):
        signers = [signer_address(key) for key in work.members]
        assert outcome.shards[shard].out_digest == work.out_digest
        assert outcome.shards[shard].members_digest == members_digest(signers)
    assert len(outcome_hash(outcome)) == 32


def test_everybody_earns_the_share_that_the_protocol_says(world, client):
    query = world.request(client, 2, callback_gas=10_000)
    oracle = world.owners[world.oracle(query)]
    world.fulfil(query)
    split = split_fee(query)
    for shard in range(2):
        for owner in owners(world, query, shard):
            assert world.waiting(owner) == split.slot
    assert world.waiting(oracle) == split.oracle
    shares = world.market.shares_of(query.version_id)
    assert shares == (split.royalty, split.reviewers, split.treasury)
    assert world.market.open_fees(query.version_id) == 0
    world.assert_solvent()


def test_a_quorum_is_enough_and_the_rest_stays(world, client):
    query = world.request(client)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 2, 3]))
    assert outcome.shards[0].paid == 0b1101
    assert world.waiting(owners(world, query)[1]) == 0
    world.assert_solvent()


def test_the_event_says_how_the_callback_ended(world, client):
    query = world.request(client, callback_gas=10_000)
    world.fulfil(query)
    assert world.event("QueryFulfilled").callback == 1  # a person: SKIPPED


def test_a_sealed_answer_is_only_attested(world, client):
    digest = b"\x07" * 32
    query = world.request(client, privacy=Privacy.SEALED, input=b"secret", input_digest=digest)
    works = world.works(query, payload=b"sealed answer")
    world.fulfil(query, [work.report() for work in works], b"sealed answer")
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_another_sealed_answer_than_attested_reverts(world, client):
    digest = b"\x07" * 32
    query = world.request(client, privacy=Privacy.SEALED, input=b"secret", input_digest=digest)
    works = world.works(query, payload=b"sealed answer")
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [work.report() for work in works], b"other answer")


def test_an_unknown_query_reverts(world, client):
    query = world.request(client)
    with boa.reverts("market: not open"):
        world.fulfil(changed(query, query_id=2), world.reports(query), sender=world.oracle(query))


def test_a_proved_query_reverts(world, client):
    query = world.request(client, assurance=Assurance.PROVED)
    with boa.reverts("market: not an agreed query"):
        world.fulfil(query)


def test_before_the_seed_block_has_a_hash_reverts(world, client):
    world.market.request(world.order(), TENSORS[1][0], sender=client)
    query = world.requested()
    for _ in range(2):
        with boa.reverts("market: no seed yet"):
            world.fulfil(query)
        pass_blocks(1, 0)
    world.fulfil(query)


def test_after_the_chain_forgot_the_seed_reverts(world, client):
    query = world.request(client)
    reports, oracle = world.reports(query), world.oracle(query)
    pass_blocks(query.seed_block + 257 - boa.env.evm.patch.block_number, 0)
    with boa.reverts("market: seed is gone"):
        world.fulfil(query, reports, sender=oracle)


def test_in_the_last_block_that_knows_the_seed_it_works(world, client):
    query = world.request(client)
    pass_blocks(query.seed_block + 256 - boa.env.evm.patch.block_number, 0)
    world.fulfil(query)


def test_at_the_deadline_it_works_and_later_reverts(world, client, outsider):
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    with boa.reverts("market: too late"):
        world.fulfil(query, sender=outsider)
    boa.env.evm.patch.timestamp -= 1
    world.fulfil(query, sender=outsider)


def test_inactive_seats_are_passed_over(world, client):
    """A member that left is skipped by queries of later epochs."""
    query = world.request(client)
    leaver = owners(world, query)[0]
    shard, slot = world.lower.vault.seat_of(world.versions[1], leaver)
    world.lower.vault.leave_seat(world.versions[1], shard, slot, sender=leaver)
    go_to(boa.env.timestamp + 10)
    for _ in range(40):  # each draws the slot in two of three cases
        later = world.request(client)
        order = list(slot_order(world.draw_seed(later), 0, later.seat_count(0)))[:4]
        world.fulfil(later)
        if slot in order:
            break
    assert slot in order
    assert leaver not in owners(world, later)


def test_a_report_without_a_shard_reverts(world, client):
    query = world.request(client, 2)
    with boa.reverts("committee: shard missing"):
        world.fulfil(query, world.reports(query)[:1])


def test_a_report_with_a_shard_too_many_reverts(world, client):
    query = world.request(client)
    with boa.reverts("committee: report too long"):
        world.fulfil(query, world.reports(query) * 2)


def test_an_answer_of_another_length_reverts(world, client):
    query = world.request(client)
    works = world.works(query, payload=OUTPUT + b"\0")
    with boa.reverts("market: wrong output length"):
        world.fulfil(query, [work.report() for work in works], OUTPUT + b"\0")


def test_an_answer_that_is_not_the_digest_reverts(world, client):
    query = world.request(client)
    works = world.works(query, payload=b"\1\2\3\4")
    with boa.reverts("market: other output"):
        world.fulfil(query, [work.report() for work in works], b"\1\2\3\4")
