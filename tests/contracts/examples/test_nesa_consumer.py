"""What the consumer module makes of answers that wait for disputes."""

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance
from tests.deployment import load_harness
from tests.market import TENSORS, go_to

TOPIC = b"topic".ljust(32, b"\0")
OUTPUT = TENSORS[1][-1]


@pytest.fixture
def consumer(world):
    contract = load_harness("PatientConsumer", world.market, world.lower.token)
    world.give(contract.address, 100 * ONE_NES)
    return contract


@pytest.fixture
def query(world, consumer):
    order = world.order(assurance=Assurance.CHALLENGED, callback_gas=150_000)
    consumer.ask(order, TENSORS[1][0], TOPIC)
    return world.requested_through(consumer)


@pytest.fixture
def outcome(world, query):
    return world.fulfil(query)


def deliver(world, query, outcome):
    go_to(world.market.closes_at(query.query_id) + 1)
    world.market.deliver(query.as_abi(), outcome_as_abi(outcome), OUTPUT)


def accept_late(consumer, query, outcome):
    consumer.accept_late(query.as_abi(), outcome_as_abi(outcome), OUTPUT)


def test_an_answer_that_stood_is_accepted_once(world, consumer, query, outcome):
    deliver(world, query, outcome)
    assert consumer.answered() == TOPIC
    with boa.reverts("consumer: not asked"):
        accept_late(consumer, query, outcome)


def test_nobody_brings_it_while_it_can_be_disputed(world, consumer, query, outcome):
    with boa.reverts("consumer: still disputable"):
        accept_late(consumer, query, outcome)
    go_to(world.market.closes_at(query.query_id) + 1)
    accept_late(consumer, query, outcome)
    assert consumer.answered() == TOPIC


def test_after_a_failed_delivery_anybody_brings_it(world, consumer, query, outcome):
    consumer.turn_away(True)
    deliver(world, query, outcome)
    assert consumer.answered() == bytes(32)
    accept_late(consumer, query, outcome)
    assert consumer.answered() == TOPIC


def test_an_overturned_answer_is_given_up_with_its_fee(world, consumer, query, outcome):
    world.court()
    world.hold(query, outcome)
    with boa.reverts("consumer: not refunded"):
        consumer.give_up(query.query_id)
    world.overturn(query, outcome)
    with boa.reverts("consumer: not answered"):
        accept_late(consumer, query, outcome)
    before = world.lower.token.balanceOf(consumer)
    consumer.give_up(query.query_id)
    split = split_fee(query)
    assert world.lower.token.balanceOf(consumer) == before + 4 * split.slot + split.delivery
    assert consumer.given_up() == TOPIC
    with boa.reverts("consumer: not asked"):
        accept = (query.query_id, query.version_id, Assurance.CHALLENGED, OUTPUT)
        consumer.on_answer(*accept, sender=world.market.address)
