"""The lender that sees no applicant, from the question to the money."""

import boa
import pytest

from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from tests.deployment import deployer
from tests.hashed_versions import HASHED, INPUT, HashedVersion, digest
from tests.market import go_to

AMOUNT = 20 * ONE_NES
FUNDS = 100 * ONE_NES
MAX_FEE = 50 * ONE_NES
CIPHERTEXT = b"ciphertext of eight numbers"
WAITING, REFUSED, GRANTED, COLLECTED = 1, 2, 4, 8


@pytest.fixture(scope="module")
def hashed(deployed_world):
    with boa.env.anchor():
        yield HashedVersion(deployed_world.copy(), HASHED)


@pytest.fixture
def world(hashed):
    with boa.env.anchor():
        yield hashed.world.copy()


@pytest.fixture
def version(hashed, world):
    return hashed.within(world)


@pytest.fixture
def clerk():
    return boa.env.generate_address("clerk")


@pytest.fixture
def borrower():
    return boa.env.generate_address("borrower")


@pytest.fixture
def desk(world, version, clerk):
    with boa.env.prank(clerk):
        contract = deployer("examples/CreditDesk").deploy(
            world.market, world.lower.token, version.id
        )
    world.give(contract.address, FUNDS)
    return contract


def ask(world, desk, clerk, borrower, shown=INPUT):
    desk.ask_credit(borrower, AMOUNT, shown, CIPHERTEXT, MAX_FEE, sender=clerk)
    return world.requested_through(desk)


def logits(refused, granted):
    return b"".join(value.to_bytes(2, "little", signed=True) for value in (refused, granted))


def bring(world, desk, query, output, sender):
    """What the market does; the proofs of this version's stand-ins are of one output."""
    desk.on_answer(query.query_id, query.version_id, 4, output, sender=sender)


@pytest.mark.parametrize(
    ("refused", "granted", "status"),
    [(-300, 300, GRANTED), (300, -300, REFUSED), (-3000, -2999, GRANTED), (5, 5, REFUSED)],
)
def test_an_answer_decides(world, desk, clerk, borrower, refused, granted, status):
    query = ask(world, desk, clerk, borrower)
    bring(world, desk, query, logits(refused, granted), world.market.address)
    assert desk.credits(borrower).status == status


def test_a_proved_answer_is_delivered_through_the_market(world, version, desk, clerk, borrower):
    query = ask(world, desk, clerk, borrower)
    version.fulfil(query)  # its logits are -300 and 300
    assert world.event("QueryFulfilled").callback == 2
    assert desk.credits(borrower).status == GRANTED
    assert desk.credits(borrower).query_id == query.query_id


def test_a_granted_credit_is_collected_once(world, version, desk, clerk, borrower, outsider):
    version.fulfil(ask(world, desk, clerk, borrower))
    with boa.reverts("credit: not granted"):
        desk.collect(sender=outsider)
    desk.collect(sender=borrower)
    assert world.lower.token.balanceOf(borrower) == AMOUNT
    assert desk.credits(borrower).status == COLLECTED
    with boa.reverts("credit: not granted"):
        desk.collect(sender=borrower)


@pytest.mark.parametrize("output", [None, logits(300, -300)])
def test_nothing_is_collected_before_or_after_a_no(world, desk, clerk, borrower, output):
    query = ask(world, desk, clerk, borrower)
    if output is not None:
        bring(world, desk, query, output, world.market.address)
    with boa.reverts("credit: not granted"):
        desk.collect(sender=borrower)


def test_a_borrower_is_decided_about_once(world, version, desk, clerk, borrower):
    query = ask(world, desk, clerk, borrower)
    for _ in ("waiting", "decided"):
        with boa.reverts("credit: already asked"):
            desk.ask_credit(borrower, 1, digest("more"), CIPHERTEXT, MAX_FEE, sender=clerk)
        if desk.credits(borrower).status == WAITING:
            version.fulfil(query)
    with boa.reverts("consumer: not asked"):
        bring(world, desk, query, logits(300, -300), world.market.address)
    assert desk.credits(borrower).status == GRANTED


def test_only_the_clerk_asks_and_withdraws(world, desk, clerk, borrower):
    with boa.reverts("credit: not the clerk"):
        desk.ask_credit(borrower, 1, INPUT, CIPHERTEXT, MAX_FEE, sender=borrower)
    with boa.reverts("credit: not the clerk"):
        desk.withdraw(1, sender=borrower)
    desk.withdraw(FUNDS, sender=clerk)
    assert world.lower.token.balanceOf(clerk) == FUNDS


def test_nobody_but_the_market_answers(world, desk, clerk, borrower):
    query = ask(world, desk, clerk, borrower)
    with boa.reverts("consumer: not the market"):
        bring(world, desk, query, logits(-300, 300), borrower)


def test_an_answer_of_another_form_is_refused(world, desk, clerk, borrower):
    query = ask(world, desk, clerk, borrower)
    with boa.reverts("credit: not two logits"):
        bring(world, desk, query, bytes(6), world.market.address)


def test_after_a_refund_a_borrower_can_be_asked_about_again(world, desk, clerk, borrower, outsider):
    query = ask(world, desk, clerk, borrower)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    desk.give_up(query.query_id, sender=outsider)
    assert world.lower.token.balanceOf(desk) == FUNDS
    ask(world, desk, clerk, borrower, digest("sealed anew"))
    assert desk.credits(borrower).status == WAITING


def test_an_answer_whose_callback_failed_is_brought_later(
    world, version, desk, clerk, borrower, outsider
):
    query = ask(world, desk, clerk, borrower)
    code = boa.env.get_code(desk.address)
    boa.env.set_code(desk.address, bytes.fromhex("5f5ffd"))  # reverts, as if out of gas
    outcome = outcome_as_abi(version.fulfil(query))
    output = world.event("QueryFulfilled").output
    boa.env.set_code(desk.address, code)
    desk.record_answer(query.as_abi(), outcome, output, sender=outsider)
    assert desk.credits(borrower).status == GRANTED
    desk.fetch_credit(sender=outsider)
