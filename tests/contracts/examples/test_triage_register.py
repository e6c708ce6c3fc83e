"""The example consumer, from question to verdict."""

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from tests.deployment import deployer
from tests.market import OUTPUT_EDGE, TENSORS, go_to, seed_of
from tests.reports import shard_works

CASE = b"case 1".ljust(32, b"\0")
FEATURES = TENSORS[1][0]
MALIGNANT, BENIGN = 1, 2
WAITING, DECIDED = 1, 2


@pytest.fixture
def clinic():
    return boa.env.generate_address("clinic")


@pytest.fixture
def register(world, clinic):
    with boa.env.prank(clinic):
        contract = deployer("examples/TriageRegister").deploy(
            world.market, world.lower.token, world.versions[1]
        )
    world.give(contract.address, 100 * ONE_NES)
    return contract


def ask(world, register, clinic, case=CASE):
    register.ask_triage(case, FEATURES, 5 * ONE_NES, sender=clinic)
    return world.requested_through(register)


def answer(world, query, output):
    honest = world.works(query)[0]
    works = shard_works(
        world.chain_id,
        world.market.address,
        query,
        seed_of(query),
        [honest.members],
        [boundary_digest([OUTPUT_EDGE], [output])],
        output,
    )
    return world.fulfil(query, [work.report() for work in works], output)


def logits(malignant, benign):
    return b"".join(value.to_bytes(2, "little", signed=True) for value in (malignant, benign))


@pytest.mark.parametrize(
    ("malignant", "benign", "verdict", "margin"),
    [
        (300, -300, MALIGNANT, 600),
        (-300, 300, BENIGN, 600),
        (-3000, -2999, BENIGN, 1),
        (5, 5, MALIGNANT, 0),
        (-32768, 32767, BENIGN, 65535),
    ],
)
def test_an_answer_becomes_a_verdict(world, register, clinic, malignant, benign, verdict, margin):
    query = ask(world, register, clinic)
    answer(world, query, logits(malignant, benign))
    case = register.cases(CASE)
    assert (case.status, case.verdict, case.margin) == (DECIDED, verdict, margin)
    assert case.query_id == query.query_id
    assert world.event("QueryFulfilled").callback == 2


def test_a_case_is_asked_about_once(world, register, clinic):
    ask(world, register, clinic)
    with boa.reverts("triage: already asked"):
        register.ask_triage(CASE, FEATURES, 5 * ONE_NES, sender=clinic)


def test_a_decided_case_stays_decided(world, register, clinic):
    answer(world, ask(world, register, clinic), logits(1, 2))
    with boa.reverts("triage: already asked"):
        register.ask_triage(CASE, FEATURES, 5 * ONE_NES, sender=clinic)


def test_only_the_clinic_asks(register, outsider):
    with boa.reverts("triage: not the clinic"):
        register.ask_triage(CASE, FEATURES, 5 * ONE_NES, sender=outsider)


def test_features_are_thirty(register, clinic):
    with boa.reverts("triage: not 30 features"):
        register.ask_triage(CASE, FEATURES[:29], 5 * ONE_NES, sender=clinic)


def test_a_case_has_a_number(register, clinic):
    with boa.reverts("consumer: no topic"):
        register.ask_triage(bytes(32), FEATURES, 5 * ONE_NES, sender=clinic)


def test_nobody_but_the_market_answers(world, register, clinic, outsider):
    query = ask(world, register, clinic)
    with boa.reverts("consumer: not the market"):
        register.on_answer(query.query_id, query.version_id, 1, logits(1, 2), sender=outsider)


def test_an_answer_to_somebody_elses_question_is_refused(world, register, client):
    query = world.request(client)
    with boa.reverts("consumer: not asked"):
        register.on_answer(
            query.query_id, query.version_id, 1, logits(1, 2), sender=world.market.address
        )


def test_a_second_answer_is_refused(world, register, clinic):
    query = ask(world, register, clinic)
    answer(world, query, logits(1, 2))
    with boa.reverts("consumer: not asked"):
        register.on_answer(
            query.query_id, query.version_id, 1, logits(2, 1), sender=world.market.address
        )


def test_an_answer_of_another_form_is_refused(world, register, clinic):
    query = ask(world, register, clinic)
    with boa.reverts("triage: not two logits"):
        register.on_answer(
            query.query_id, query.version_id, 1, b"\0" * 6, sender=world.market.address
        )


def test_after_a_refund_the_case_can_be_asked_about_again(world, register, clinic, outsider):
    before = world.lower.token.balanceOf(register)
    query = ask(world, register, clinic)
    with boa.reverts("consumer: not refunded"):
        register.give_up(query.query_id, sender=outsider)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    register.give_up(query.query_id, sender=outsider)
    assert world.lower.token.balanceOf(register) == before
    ask(world, register, clinic)
    assert register.cases(CASE).status == WAITING


def test_a_refund_that_somebody_withdrew_already_does_no_harm(world, register, clinic, outsider):
    query = ask(world, register, clinic)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    world.market.withdraw(register, sender=outsider)
    register.give_up(query.query_id, sender=outsider)
    assert register.cases(CASE).status == 0


def test_an_answer_whose_callback_failed_can_be_brought_later(world, register, clinic, outsider):
    query = ask(world, register, clinic)
    code = boa.env.get_code(register.address)
    boa.env.set_code(register.address, bytes.fromhex("5f5ffd"))  # reverts, as if out of gas
    outcome = outcome_as_abi(answer(world, query, logits(1, 2)))
    assert world.event("QueryFulfilled").callback == 4
    boa.env.set_code(register.address, code)
    register.record_answer(query.as_abi(), outcome, logits(1, 2), sender=outsider)
    assert register.cases(CASE).verdict == BENIGN


def test_another_answer_cannot_be_brought(world, register, clinic, outsider, client):
    query = ask(world, register, clinic)
    other = world.request(client)
    outcome = outcome_as_abi(answer(world, query, logits(1, 2)))
    with boa.reverts("consumer: not the output"):
        register.record_answer(query.as_abi(), outcome, logits(2, 1), sender=outsider)
    with boa.reverts("consumer: not answered"):
        register.record_answer(other.as_abi(), outcome, logits(1, 2), sender=outsider)
    with boa.reverts("consumer: not the outcome"):
        forged = (*outcome[:2], keccak(logits(2, 1)), *outcome[3:])
        register.record_answer(query.as_abi(), forged, logits(2, 1), sender=outsider)
    with boa.reverts("consumer: not asked"):
        register.record_answer(query.as_abi(), outcome, logits(1, 2), sender=outsider)


def test_unclaimed_slots_come_home(world, register, clinic, outsider):
    query = ask(world, register, clinic)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 1, 2]))
    go_to(world.market.closes_at(query.query_id) + 1)
    world.market.close(query.as_abi(), outcome_as_abi(outcome))
    before = world.lower.token.balanceOf(register)
    register.fetch_credit(sender=outsider)
    assert world.lower.token.balanceOf(register) > before
    register.fetch_credit(sender=outsider)


def test_the_clinic_takes_its_money_back(world, register, clinic, outsider):
    with boa.reverts("triage: only the clinic"):
        register.withdraw(1, sender=outsider)
    register.withdraw(100 * ONE_NES, sender=clinic)
    assert world.lower.token.balanceOf(clinic) == 100 * ONE_NES
