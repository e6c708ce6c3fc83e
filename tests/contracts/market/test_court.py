"""What the dispute court may do to answered queries, and when."""

from dataclasses import replace

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance, QueryStatus
from tests.market import CREDIT_WINDOW, go_to, pass_blocks
from tests.reports import signer_address

LEFT_OUT = 1


@pytest.fixture(autouse=True)
def court(world):
    return world.court()


@pytest.fixture
def query(world, client):
    return world.request(client, 2)


@pytest.fixture
def outcome(world, query):
    """Both shards leave the member at position 1 out."""
    return world.fulfil(query, world.reports(query, signers=[0, 2, 3]))


def owners(world, query, shard):
    """Owners of the shard's paid members, in draw order."""
    keys = world.drawn(query, shard, query.replicas)
    paid = [key for place, key in enumerate(keys) if place != LEFT_OUT]
    return [world.owners[signer_address(key)] for key in paid]


def credits(world, query, shard):
    return [world.market.credit_of(owner) for owner in owners(world, query, shard)]


def claim(world, query, outcome):
    work = world.works(query)[0]
    commitments = work.commitments()
    result = work.result(LEFT_OUT, commitments).as_abi()
    world.market.claim_slot(query.as_abi(), outcome_as_abi(outcome), 0, commitments, result)


def withdraw_everything(world, query, shard):
    go_to((boa.env.timestamp // CREDIT_WINDOW + 2) * CREDIT_WINDOW)
    for owner in owners(world, query, shard):
        world.market.withdraw(owner)


# Who the court is


def test_only_the_deployer_names_it(world, outsider):
    with boa.reverts("market: not the deployer"):
        world.market.set_court(outsider, sender=outsider)


def test_it_is_named_once(world, court, outsider):
    assert world.market.court() == court
    with boa.reverts("market: court is set"):
        world.market.set_court(outsider, sender=world.deployer)


def test_nobody_else_judges(world, query, outcome, outsider):
    held = (query.as_abi(), outcome_as_abi(outcome), 0)
    for call, rest in (("hold", ([],)), ("release", ([],)), ("overturn", ())):
        with boa.reverts("market: not the court"):
            getattr(world.market, call)(*held, *rest, sender=outsider)


# Holding


def test_a_hold_stops_claims_and_closing(world, query, outcome):
    world.hold(query, outcome)
    assert world.event("QueryHeld").shard == 0
    with boa.reverts("market: held"):
        claim(world, query, outcome)
    go_to(world.market.closes_at(query.query_id) + 1)
    with boa.reverts("market: held"):
        world.market.close(query.as_abi(), outcome_as_abi(outcome))
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_a_hold_sets_one_shards_slots_aside(world, query, outcome):
    owed, slot = world.market.total_owed(), split_fee(query).slot
    assert credits(world, query, 0) == credits(world, query, 1) == [(0, slot)] * 3
    world.hold(query, outcome, 1)
    assert credits(world, query, 0) == [(0, slot)] * 3
    assert credits(world, query, 1) == [(0, 0)] * 3
    assert world.market.total_owed() == owed
    world.assert_solvent()


def test_what_has_matured_is_set_aside_too(world, query, outcome):
    world.hold(query, outcome, 1)  # so that the windows do not close meanwhile
    go_to((boa.env.timestamp // CREDIT_WINDOW + 2) * CREDIT_WINDOW)
    assert credits(world, query, 0) == [(split_fee(query).slot, 0)] * 3
    world.hold(query, outcome, 0)
    assert credits(world, query, 0) == [(0, 0)] * 3
    world.assert_solvent()


def test_older_credit_goes_first(world, client, query, outcome):
    slot = split_fee(query).slot
    first = owners(world, query, 0)[0]
    world.hold(query, outcome, 1)
    go_to((boa.env.timestamp // CREDIT_WINDOW + 1) * CREDIT_WINDOW)
    later = world.request(client, 2, replicas=6)  # all six members of each shard earn
    world.fulfil(later)
    assert world.market.credit_of(first) == (0, 2 * slot)
    world.hold(query, outcome, 0)
    go_to((boa.env.timestamp // CREDIT_WINDOW + 1) * CREDIT_WINDOW)
    assert world.market.credit_of(first) == (0, slot)  # what is left is the recent slot
    world.assert_solvent()


def test_who_has_withdrawn_keeps_it(world, query, outcome):
    world.hold(query, outcome, 1)
    withdraw_everything(world, query, 0)
    world.hold(query, outcome, 0)
    world.release(query, outcome, 0)
    assert credits(world, query, 0) == [(0, 0)] * 3
    world.assert_solvent()


def test_a_shard_is_held_once_at_a_time(world, query, outcome):
    world.hold(query, outcome)
    with boa.reverts("market: held already"):
        world.hold(query, outcome)
    world.release(query, outcome)
    world.hold(query, outcome)
    world.release(query, outcome)


def test_another_outcome_is_not_held(world, query, outcome):
    other = replace(outcome, output_hash=bytes(32))
    with boa.reverts("market: other outcome"):
        world.hold(query, other)
    with boa.reverts("market: other outcome"):
        world.market.hold(
            replace(query, shards=3).as_abi(),
            outcome_as_abi(outcome),
            0,
            [],
            sender=world.market.court(),
        )


@pytest.mark.parametrize("shard", [2, 7, 9])
def test_a_shard_that_the_query_has_not_is_not_held(world, query, outcome, shard):
    with boa.reverts("market: no such shard"):
        world.market.hold(
            query.as_abi(), outcome_as_abi(outcome), shard, [], sender=world.market.court()
        )


def test_a_shard_out_of_bounds_is_not_released(world, query, outcome):
    world.hold(query, outcome)
    with boa.reverts("market: not held"):
        world.market.release(
            query.as_abi(), outcome_as_abi(outcome), 9, [], sender=world.market.court()
        )


@pytest.mark.parametrize("state", ["open", "final", "closed"])
def test_only_an_answer_within_its_windows_is_held(world, client, state):
    query = world.request(client, 2)
    found = outcome = world.fulfil(query, world.reports(query, signers=[0, 2, 3]))
    if state == "open":
        query = world.request(client, 2)
    else:
        go_to(world.market.closes_at(query.query_id) + 1)
    if state == "closed":
        world.market.close(query.as_abi(), outcome_as_abi(outcome))
    with boa.reverts("market: not to be held"):
        world.hold(query, found)


# Releasing


def test_members_earn_anew_what_was_set_aside(world, query, outcome):
    slot = split_fee(query).slot
    world.hold(query, outcome)
    go_to((boa.env.timestamp // CREDIT_WINDOW + 1) * CREDIT_WINDOW)
    world.release(query, outcome)
    assert credits(world, query, 0) == [(0, slot)] * 3
    go_to((boa.env.timestamp // CREDIT_WINDOW + 2) * CREDIT_WINDOW - 1)
    assert credits(world, query, 0) == [(0, slot)] * 3
    go_to(boa.env.timestamp + 1)
    assert credits(world, query, 0) == [(slot, 0)] * 3
    world.assert_solvent()


def test_after_the_last_release_the_clock_goes_on(world, query, outcome):
    closes_at = world.market.closes_at(query.query_id)
    world.hold(query, outcome, 0)
    pass_blocks(1, 40)
    world.hold(query, outcome, 1)
    pass_blocks(1, 60)
    world.release(query, outcome, 0)
    assert world.event("QueryReleased").closes_at == closes_at
    with boa.reverts("market: held"):
        claim(world, query, outcome)
    world.release(query, outcome, 1)
    assert world.event("QueryReleased").closes_at == closes_at + 100
    assert world.market.closes_at(query.query_id) == closes_at + 100
    go_to(closes_at + 100)
    claim(world, query, outcome)
    world.assert_solvent()


def test_a_hold_does_not_end_by_another_outcome(world, query, outcome):
    world.hold(query, outcome)
    other = replace(outcome, output_hash=bytes(32))
    for end in (world.release, world.overturn):
        with boa.reverts("market: other outcome"):
            end(query, other)
    world.release(query, outcome)


def test_what_is_not_held_does_not_end(world, query, outcome):
    world.hold(query, outcome, 1)
    with boa.reverts("market: not held"):
        world.release(query, outcome, 0)
    with boa.reverts("market: not held"):
        world.overturn(query, outcome, 0)


# Overturning


def test_a_wrong_shard_is_returned_and_honest_work_is_paid(world, client, query, outcome):
    split = split_fee(query)
    world.hold(query, outcome, 1)
    kept = world.overturn(query, outcome, 1)
    returned = 5 * split.slot  # three that were set aside, and one unpaid slot of each shard
    event = world.event("QueryOverturned")
    assert (event.requester, event.shard, event.returned) == (client, 1, returned)
    assert kept == query.fee - returned
    assert world.market.credit_of(client) == (returned, 0)
    assert credits(world, query, 0) == [(0, split.slot)] * 3
    assert credits(world, query, 1) == [(0, 0)] * 3
    assert world.market.status_of(query.query_id) == QueryStatus.OVERTURNED
    world.assert_solvent()


def test_an_overturned_query_ends_for_good(world, query, outcome):
    closing = world.market.closes_at(query.query_id)
    world.hold(query, outcome)
    world.overturn(query, outcome)
    with boa.reverts("market: not settled"):
        claim(world, query, outcome)
    go_to(closing + 1)
    with boa.reverts("market: not settled"):
        world.market.close(query.as_abi(), outcome_as_abi(outcome))
    with boa.reverts("market: not open"):
        world.market.refund(query.as_abi())
    assert world.market.status_of(query.query_id) == QueryStatus.OVERTURNED
    assert world.market.verify_outcome(query.as_abi(), outcome_as_abi(outcome))


def test_nobody_is_paid_twice_for_a_second_wrong_shard(world, client, query, outcome):
    """The court repays the requester by the first; the second one's slots are the treasury's."""
    slot = split_fee(query).slot
    for shard in (0, 1):
        world.hold(query, outcome, shard)
    kept = world.overturn(query, outcome, 0)
    assert world.overturn(query, outcome, 1) == 0
    assert kept == query.fee - 5 * slot
    assert world.market.credit_of(client) == (5 * slot, 0)
    assert world.market.credit_of(world.treasury) == (0, 3 * slot)
    world.assert_solvent()


def test_another_shard_can_be_held_until_the_windows_close(world, query, outcome):
    world.hold(query, outcome, 0)
    pass_blocks(1, 1_000)
    world.overturn(query, outcome, 0)
    closes = world.market.closes_at(query.query_id)
    go_to(closes)
    with boa.env.anchor():
        world.hold(query, outcome, 1)
        assert world.overturn(query, outcome, 1) == 0
    go_to(closes + 1)
    with boa.reverts("market: not to be held"):
        world.hold(query, outcome, 1)


def test_a_shard_that_stood_is_paid_beside_a_wrong_one(world, client, query, outcome):
    slot = split_fee(query).slot
    for shard in (0, 1):
        world.hold(query, outcome, shard)
    world.overturn(query, outcome, 0)
    assert credits(world, query, 1) == [(0, 0)] * 3
    world.release(query, outcome, 1)
    assert credits(world, query, 1) == [(0, slot)] * 3
    assert world.market.status_of(query.query_id) == QueryStatus.OVERTURNED
    world.assert_solvent()


def test_what_was_withdrawn_is_for_the_court_to_repay(world, client, query, outcome):
    world.hold(query, outcome, 1)
    withdraw_everything(world, query, 0)
    world.hold(query, outcome, 0)
    slot = split_fee(query).slot
    assert world.overturn(query, outcome, 0) == query.fee - 2 * slot
    assert world.market.credit_of(client) == (2 * slot, 0)
    world.assert_solvent()


def test_a_proved_answer_is_judged_alike(world, client):
    query = world.request(client, 2, assurance=Assurance.PROVED)
    outcome = world.fulfil_proved(query)
    world.hold(query, outcome, 1)
    slot = split_fee(query).slot
    assert world.overturn(query, outcome, 1) == query.fee - slot
    assert world.market.credit_of(client) == (slot, 0)
    world.assert_solvent()


def test_a_query_that_nobody_asked_has_no_outcome(world, query, outcome):
    unasked = replace(query, query_id=99)
    assert not world.market.verify_outcome(unasked.as_abi(), outcome_as_abi(outcome))
    assert not world.market.verify_terms(unasked.as_abi())
    with boa.reverts("market: not to be held"):
        world.market.hold(
            unasked.as_abi(), outcome_as_abi(outcome), 0, [], sender=world.market.court()
        )
