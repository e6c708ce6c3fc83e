"""Attacks through the callback, by whoever asks and by whoever reports."""

from dataclasses import replace
from enum import IntEnum

import boa
import pytest
from boa import BoaError
from eth_utils.crypto import keccak

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import CallbackResult, QueryStatus, report_words
from tests.deployment import load_harness
from tests.market import TENSORS, go_to
from tests.reports import signer_address

GAS = 200_000
INPUT, OUTPUT = TENSORS[1]


class Temper(IntEnum):
    """Flags of the harness `HostileConsumer`."""

    KIND = 1
    REVERTS = 2
    BURNS_GAS = 4
    CALLS_BACK = 8
    ASKS_AGAIN = 16


def new_consumer(world):
    contract = load_harness("HostileConsumer", world.market.address, world.lower.token.address)
    world.give(contract.address, 1_000 * ONE_NES)
    return contract


@pytest.fixture
def consumer(world):
    return new_consumer(world)


def ask(world, consumer, temper, callback_gas=GAS):
    consumer.behave(temper)
    consumer.ask(world.order(callback_gas=callback_gas), INPUT)
    return world.requested_through(consumer)


def callback_of(world):
    return world.event("QueryFulfilled").callback


def fulfilled_for_pay(world, query):
    """How the callback ended; the report stands, and whoever worked for it has its share."""
    oracle, split = world.oracle(query), split_fee(query)
    world.fulfil(query)
    callback = callback_of(world)
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
    for key in world.drawn(query, 0, query.replicas):
        assert world.waiting(world.owners[signer_address(key)]) == split.slot
    assert world.waiting(world.owners[oracle]) == split.oracle
    world.assert_solvent()
    return callback


def test_callback_reverts_pays_node(world, consumer):
    """A client reverts in its callback to have the answer from the mempool without paying: the
    report stands, with the callback's failure in it, and everybody is paid."""
    query = ask(world, consumer, Temper.REVERTS)
    assert fulfilled_for_pay(world, query) == CallbackResult.REVERTED
    assert consumer.answers() == 0


def test_callback_oog(world, consumer):
    """A client burns all gas that it is given so that the report runs out of gas: it can burn what
    it ordered and paid for, and nothing of the rest."""
    query = ask(world, consumer, Temper.KIND)
    with boa.env.anchor():
        world.fulfil(query)
        modest = world.market._computation.get_gas_used()
    consumer.behave(Temper.BURNS_GAS)
    with boa.env.anchor():
        world.fulfil(query)
        assert world.market._computation.get_gas_used() < modest + GAS
    assert fulfilled_for_pay(world, query) == CallbackResult.REVERTED


def test_callback_returnbomb(world, client):
    """A client returns as much data as its gas can make, for the oracle to copy at its own cost:
    the market copies one word."""
    query = world.request(client, callback_gas=GAS)
    reports, oracle = world.reports(query), world.oracle(query)
    with boa.env.anchor():
        boa.env.set_code(client, bytes.fromhex("00"))  # STOP
        world.fulfil(query, reports, sender=oracle)
        modest = world.market._computation.get_gas_used()
    boa.env.set_code(client, bytes.fromhex("620300005ff3"))  # RETURN 192 KiB of zeros
    world.fulfil(query, reports, sender=oracle)
    assert callback_of(world) == CallbackResult.SUCCEEDED
    flood = world.market._computation.get_gas_used()
    made_by_client = 3 * 6144 + 6144**2 // 512
    assert flood - modest < made_by_client + 100


def test_callback_client_gone(world, consumer):
    """A client asks, takes its code away and hopes that the call to nobody stops the report: who
    has no code is not called."""
    query = ask(world, consumer, Temper.KIND)
    boa.env.set_code(consumer.address, b"")
    assert fulfilled_for_pay(world, query) == CallbackResult.SKIPPED


def test_without_callback_gas_nobody_is_called(world, consumer):
    """A contract that ordered no callback is left alone."""
    query = ask(world, consumer, Temper.KIND, 0)
    world.fulfil(query)
    assert callback_of(world) == CallbackResult.SKIPPED
    assert consumer.answers() == 0


def calls_of(world, query, outcome=None):
    """Everything that a client might try again from within."""
    reports = report_words(world.reports(query))
    market = world.market
    return [
        market.fulfil.prepare_calldata(query.as_abi(), reports, OUTPUT),
        market.refund.prepare_calldata(query.as_abi()),
        market.retry.prepare_calldata(query.as_abi()),
        market.withdraw.prepare_calldata(query.requester),
    ]


def test_callback_reenters(world, consumer, outsider):
    """A client reports, refunds, retries and withdraws from within its callback to be paid twice:
    the query was settled before the call, so every one of them is refused."""
    query = ask(world, consumer, Temper.CALLS_BACK, 900_000)
    go_to(query.opened_at + 30)  # anybody may report, the client itself too
    consumer.prepare(calls_of(world, query))
    before = world.lower.token.balanceOf(consumer)
    owed = world.market.total_owed()
    world.fulfil(query, sender=outsider)
    assert callback_of(world) == CallbackResult.SUCCEEDED
    assert consumer.answers() == 1
    assert consumer.succeeded() == 0
    assert world.lower.token.balanceOf(consumer) == before
    assert world.market.total_owed() == owed
    world.assert_solvent()


def test_claims_and_closing_from_within_gain_nothing(world, consumer, outsider):
    """A client closes its query from within, before anybody can claim a slot; or it claims for a
    member, so that the report announces an outcome that is not the one stored any more."""
    query = ask(world, consumer, Temper.CALLS_BACK, 900_000)
    go_to(query.opened_at + 30)
    reports = world.reports(query, signers=[0, 1, 2])
    with boa.env.anchor():
        outcome = outcome_as_abi(world.fulfil(query, reports, sender=outsider))
    work = world.works(query)[0]
    result = work.result(3, work.commitments())
    claim = (query.as_abi(), outcome, 0, work.commitments(), result.as_abi())
    consumer.prepare(
        [
            world.market.close.prepare_calldata(query.as_abi(), outcome),
            world.market.claim_slot.prepare_calldata(*claim),
        ]
    )
    assert outcome_as_abi(world.fulfil(query, reports, sender=outsider)) == outcome
    assert consumer.succeeded() == 0
    assert world.market.verify_outcome(query.as_abi(), outcome)
    world.assert_solvent()
    world.market.claim_slot(*claim)


def test_a_claim_from_a_callback_inside_a_callback_gains_nothing(world, consumer):
    """The client reports another query from within, whose callback claims in the first."""
    accomplice = new_consumer(world)
    inner = ask(world, accomplice, Temper.CALLS_BACK, 420_000)
    go_to(inner.opened_at + 28)
    query = ask(world, consumer, Temper.CALLS_BACK, 1_000_000)
    go_to(inner.opened_at + 31)  # anybody may report the inner one
    reports, oracle = world.reports(query, signers=[0, 1, 2]), world.oracle(query)
    with boa.env.anchor():
        outcome = outcome_as_abi(world.fulfil(query, reports, sender=oracle))
    work = world.works(query)[0]
    result = work.result(3, work.commitments())
    claim = (query.as_abi(), outcome, 0, work.commitments(), result.as_abi())
    accomplice.prepare([world.market.claim_slot.prepare_calldata(*claim)])
    report = (inner.as_abi(), report_words(world.reports(inner)), OUTPUT)
    consumer.prepare([world.market.fulfil.prepare_calldata(*report)])
    assert outcome_as_abi(world.fulfil(query, reports, sender=oracle)) == outcome
    assert (consumer.succeeded(), accomplice.succeeded()) == (1, 0)
    assert world.market.verify_outcome(query.as_abi(), outcome)
    world.market.claim_slot(*claim)
    world.assert_solvent()


def test_a_client_may_ask_again_from_within(world, consumer):
    """Not an attack: a chain of questions. Nothing of the first is touched by the second."""
    first = ask(world, consumer, Temper.ASKS_AGAIN, 400_000)
    world.fulfil(first)
    assert callback_of(world) == CallbackResult.SUCCEEDED
    assert consumer.asked_inside() == first.query_id + 1
    assert world.market.status_of(first.query_id) == QueryStatus.FULFILLED
    assert world.market.status_of(first.query_id + 1) == QueryStatus.OPEN
    assert world.market.open_fees(first.version_id) == first.fee
    world.assert_solvent()


def test_nobody_orders_a_callback_for_somebody_else(world, client, consumer):
    """The attacker wants the market to call a victim: the target is always the caller."""
    query = world.request(client, callback_gas=GAS)
    assert query.requester == client
    reports, oracle = world.reports(query), world.oracle(query)
    with boa.reverts("market: other terms"):
        world.fulfil(replace(query, requester=consumer.address), reports, sender=oracle)
    world.fulfil(query)
    assert consumer.answers() == 0


def test_gas_63_64(world, consumer):
    """The oracle gives just enough gas for its own pay and starves the callback: at every limit
    either the whole report reverts or the callback had all that was ordered."""
    query = ask(world, consumer, Temper.KIND)
    reports, oracle = world.reports(query), world.oracle(query)
    with boa.env.anchor():
        world.fulfil(query, reports, sender=oracle)
        enough = world.market._computation.get_gas_used()
    outcomes = set()
    for gas in range(enough // 4, enough + GAS + 40_000, 6_007):
        with boa.env.anchor():
            outcomes.add(_attempt(world, consumer, query, reports, oracle, gas))
    assert outcomes == {"nothing", "all of it"}


def _attempt(world, consumer, query, reports, oracle, gas):
    try:
        world.fulfil(query, reports, sender=oracle, gas=gas)
    except BoaError:
        assert world.market.verify_terms(query.as_abi())
        assert consumer.answers() == 0
        return "nothing"
    assert consumer.answers() == 1
    assert GAS - 3_000 < consumer.gas_got() <= GAS
    return "all of it"


def test_the_callback_says_what_was_answered(world, consumer):
    """The selector that consumers implement is the one that the market calls."""
    selector = keccak(text="on_answer(uint256,bytes32,uint256,bytes)")[:4]
    query = ask(world, consumer, Temper.KIND)
    world.fulfil(query)
    assert selector in {bytes(c.msg.data[:4]) for c in world.market._computation.children}
