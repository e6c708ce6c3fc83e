"""Claiming what the report left out."""

from dataclasses import replace

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance, SignedResult
from tests.market import go_to
from tests.reports import signer_address

LEFT_OUT = 1


@pytest.fixture
def query(world, client):
    return world.request(client, 2)


@pytest.fixture
def outcome(world, query):
    return world.fulfil(query, world.reports(query, signers=[0, 2, 3]))


def claim(world, query, outcome, shard=0, position=LEFT_OUT, commitments=None, result=None):
    work = world.works(query)[shard]
    own = work.commitments()
    given = own if commitments is None else commitments
    signed = result or work.result(position, own)
    world.market.claim_slot(query.as_abi(), outcome_as_abi(outcome), shard, given, signed.as_abi())
    return world.event("SlotClaimed")


@pytest.mark.parametrize("shard", [0, 1])
def test_a_member_that_was_left_out_is_paid(world, query, outcome, shard):
    event = claim(world, query, outcome, shard)
    owner = world.owners[signer_address(world.drawn(query, shard, 4)[LEFT_OUT])]
    assert event.operator == owner
    assert event.amount == world.waiting(owner) == split_fee(query).slot
    world.assert_solvent()


def test_the_new_outcome_is_needed_from_then_on(world, query, outcome):
    paid = claim(world, query, outcome).paid
    later = replace(outcome, shards=(replace(outcome.shards[0], paid=paid), outcome.shards[1]))
    assert later.shards[0].paid == 0b1111
    assert world.market.verify_outcome(query.as_abi(), outcome_as_abi(later))
    assert not world.market.verify_outcome(query.as_abi(), outcome_as_abi(outcome))
    claim(world, query, later, 1)
    world.assert_solvent()


def test_a_paid_member_reverts(world, query, outcome):
    with boa.reverts("market: slot is paid"):
        claim(world, query, outcome, position=0)


def test_after_the_windows_reverts(world, query, outcome):
    go_to(world.market.closes_at(query.query_id) + 1)
    with boa.reverts("market: claims are over"):
        claim(world, query, outcome)


def test_at_the_last_moment_it_works(world, query, outcome):
    go_to(world.market.closes_at(query.query_id))
    claim(world, query, outcome)


def test_before_the_answer_reverts(world, query, outcome, client):
    other = world.request(client)
    with boa.reverts("market: not settled"):
        claim(world, other, outcome)


def test_another_outcome_reverts(world, query, outcome):
    for change in ({"reporter": world.treasury}, {"terms_hash": b"\x11" * 32}):
        forged = replace(outcome, **change)
        assert not world.market.verify_outcome(query.as_abi(), outcome_as_abi(forged))
        with boa.reverts("market: other outcome"):
            claim(world, query, forged)


def test_of_a_proved_query_there_is_nothing_to_claim(world, client):
    query = world.request(client, assurance=Assurance.PROVED)
    outcome = world.fulfil_proved(query)
    with boa.reverts("market: nothing to claim"):
        claim(world, query, outcome, position=0)


def test_no_such_shard_reverts(world, query, outcome):
    work = world.works(query)[0]
    result = work.result(LEFT_OUT, work.commitments())
    with boa.reverts("committee: no such shard"):
        world.market.claim_slot(
            query.as_abi(), outcome_as_abi(outcome), 2, work.commitments(), result.as_abi()
        )


def test_a_place_outside_the_committee_reverts(world, query, outcome):
    work = world.works(query)[0]
    result = work.result(LEFT_OUT, work.commitments())
    spare = SignedResult(4, result.salt, result.r, result.vs)
    with boa.reverts("committee: no such member"):
        claim(world, query, outcome, result=spare)


def test_no_committee_has_such_a_place(world, query, outcome):
    work = world.works(query)[0]
    result = work.result(LEFT_OUT, work.commitments())
    nowhere = SignedResult(8, result.salt, result.r, result.vs)
    with boa.reverts("committee: no such place"):
        claim(world, query, outcome, result=nowhere)


def test_a_later_round_is_claimed_with_what_was_signed_in_it(world, client):
    query = world.request(client)
    work = replace(world.works(query)[0], round=1)
    outcome = world.fulfil(query, [work.report(signers=[0, 2, 3])])
    signed = work.result(LEFT_OUT, work.commitments())
    event = claim(world, query, outcome, commitments=work.commitments(), result=signed)
    assert event.paid == 0b1111


def test_another_set_reverts(world, query, outcome):
    work = world.works(query)[0]
    with boa.reverts("committee: another set"):
        claim(world, query, outcome, commitments=work.commitments(absent=[0]))
