"""Delivering a CHALLENGED answer, which waits for its windows."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance, CallbackResult, QueryStatus
from tests.deployment import load_harness
from tests.market import TENSORS, go_to

CALLBACK_GAS = 200_000


@pytest.fixture
def consumer(world):
    """A contract that does nothing when it is called."""
    contract = load_harness("HostileConsumer", world.market, world.lower.token)
    world.give(contract.address, 1_000 * 10**9)
    contract.behave(1)
    return contract


@pytest.fixture
def query(world, consumer):
    order = world.order(assurance=Assurance.CHALLENGED, callback_gas=CALLBACK_GAS)
    consumer.ask(order, TENSORS[1][0])
    return world.requested_through(consumer)


@pytest.fixture
def outcome(world, query):
    """The answer, without the member at position 1."""
    return world.fulfil(query, world.reports(query, signers=[0, 2, 3]))


def deliver(world, query, outcome, output=TENSORS[1][-1], **options):
    world.market.deliver(query.as_abi(), outcome_as_abi(outcome), output, **options)
    return CallbackResult(world.event("QueryDelivered").callback)


def final(world, query):
    go_to(world.market.closes_at(query.query_id) + 1)


def test_the_report_pays_everybody_and_calls_nobody(world, query, outcome, consumer):
    split = split_fee(query)
    assert split.delivery == query.callback_fee > 0
    assert world.event("QueryFulfilled").callback == CallbackResult.SKIPPED
    assert consumer.answers() == 0
    oracle = world.owners[outcome.reporter]
    assert world.waiting(oracle) == split.oracle
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    assert world.market.verify_outcome(query.as_abi(), outcome_as_abi(outcome))
    world.assert_solvent()


def test_anybody_delivers_once_and_is_paid_for_it(world, query, outcome, consumer, outsider):
    split = split_fee(query)
    final(world, query)
    assert deliver(world, query, outcome, sender=outsider) is CallbackResult.SUCCEEDED
    assert world.event("QueryClosed").returned_to_requester == split.slot
    assert consumer.answers() == 1
    assert world.market.credit_of(outsider) == (0, split.delivery)
    assert world.market.credit_of(consumer.address) == (split.slot, 0)  # the slot left unclaimed
    assert world.market.status_of(query.query_id) == QueryStatus.FINAL
    with boa.reverts("market: not settled"):
        deliver(world, query, outcome, sender=outsider)
    assert consumer.answers() == 1
    world.assert_solvent()


def test_an_operators_signer_delivers_for_its_operator(world, query, outcome):
    final(world, query)
    signer = outcome.reporter
    before = world.waiting(world.owners[signer])
    deliver(world, query, outcome, sender=signer)
    assert world.waiting(world.owners[signer]) == before + split_fee(query).delivery
    assert world.market.credit_of(signer) == (0, 0)


def test_before_the_windows_are_over_reverts(world, query, outcome, consumer):
    go_to(world.market.closes_at(query.query_id))
    with boa.reverts("market: claims are open"):
        deliver(world, query, outcome)
    assert consumer.answers() == 0


def test_a_held_answer_waits(world, query, outcome, consumer):
    world.court()
    world.hold(query, outcome)
    final(world, query)
    with boa.reverts("market: held"):
        deliver(world, query, outcome)
    world.release(query, outcome)
    with boa.reverts("market: claims are open"):
        deliver(world, query, outcome)
    final(world, query)
    deliver(world, query, outcome)
    assert consumer.answers() == 1
    world.assert_solvent()


def test_an_overturned_answer_is_never_delivered(world, query, outcome, consumer):
    world.court()
    world.hold(query, outcome)
    kept = world.overturn(query, outcome)
    split = split_fee(query)
    returned = 4 * split.slot + split.delivery
    assert kept == query.fee - returned
    assert world.market.credit_of(consumer.address) == (returned, 0)
    final(world, query)
    with boa.reverts("market: not settled"):
        deliver(world, query, outcome)
    assert consumer.answers() == 0
    world.assert_solvent()


def test_other_bytes_revert(world, query, outcome):
    final(world, query)
    with boa.reverts("market: not the answer"):
        deliver(world, query, outcome, output=bytes(4))
    changed = replace(outcome, output_hash=keccak(bytes(4)))
    with boa.reverts("market: other outcome"):
        deliver(world, query, changed, output=bytes(4))


def test_an_agreed_answer_was_delivered_at_once(world, client):
    query = world.request(client)
    outcome = world.fulfil(query)
    final(world, query)
    with boa.reverts("market: delivered at once"):
        deliver(world, query, outcome)


def test_it_cannot_be_closed_without_its_delivery(world, query, outcome):
    final(world, query)
    with boa.reverts("market: to be delivered"):
        world.market.close(query.as_abi(), outcome_as_abi(outcome))


def test_too_little_gas_reverts_and_changes_nothing(world, query, outcome, consumer):
    final(world, query)
    with boa.reverts():
        deliver(world, query, outcome, gas=CALLBACK_GAS + 60_000)
    assert deliver(world, query, outcome) is CallbackResult.SUCCEEDED


def test_a_callback_that_fails_is_paid_for_and_not_repeated(world, query, outcome, consumer):
    consumer.behave(2)
    final(world, query)
    outsider = boa.env.generate_address("outsider")
    assert deliver(world, query, outcome, sender=outsider) is CallbackResult.REVERTED
    assert world.waiting(outsider) == split_fee(query).delivery
    with boa.reverts("market: not settled"):
        deliver(world, query, outcome)


def test_a_person_has_nothing_called(world, client, outsider):
    query = world.request(client, assurance=Assurance.CHALLENGED, callback_gas=CALLBACK_GAS)
    outcome = world.fulfil(query)
    final(world, query)
    assert deliver(world, query, outcome, sender=outsider) is CallbackResult.SKIPPED
    assert world.waiting(outsider) == query.callback_fee
    world.assert_solvent()


def test_open_fees_count_it_until_the_answer(world, client):
    version_id = world.versions[1]
    query = world.request(client, assurance=Assurance.CHALLENGED)
    assert world.market.open_fees(version_id) == query.fee
    world.fulfil(query)
    assert world.market.open_fees(version_id) == 0


def test_a_member_left_out_claims_its_slot(world, query, outcome):
    work = world.works(query)[0]
    commitments = work.commitments()
    result = work.result(1, commitments).as_abi()
    world.market.claim_slot(query.as_abi(), outcome_as_abi(outcome), 0, commitments, result)
    paid = world.event("SlotClaimed").paid
    later = replace(outcome, shards=(replace(outcome.shards[0], paid=paid),))
    final(world, query)
    deliver(world, query, later)
    assert world.event("QueryClosed").returned_to_requester == 0
    world.assert_solvent()
