"""A member's statement in a query without an answer: what may be sued, and what a suit does."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.parties import Challenger
from nesa.protocol.ids import Digest
from nesa.protocol.outcomes import NO_OUTCOME, outcome_as_abi
from nesa.protocol.queries import QueryStatus
from nesa.protocol.statements import decode_statement, encode_statement
from tests.contracts.disputes.disputed import (
    CONTENT_KEY,
    after_the_defence,
    ask,
    build_court,
    events,
    rich,
    split,
)
from tests.contracts.disputes.equivocation import Evidence
from tests.deployment import QUERY_PARAMETERS, REQUEST_LIMITS, load_harness
from tests.market import changed, go_to, pass_blocks

STAKE = REQUEST_LIMITS.seat_stake
BOND = STAKE * REQUEST_LIMITS.challenger_bond_bps // 10_000
STANDING, FALLEN, FALLEN_ELSEWHERE = 1, 2, 4
LIAR, HONEST = 2, 1


def test_a_suit_is_announced_with_what_it_is_about(court, challenger, torn):
    case = torn.sue(challenger, LIAR)
    number, who, query_id, _, charge, signers, *sums, ends, move_window, accused = case.challenge
    assert (number, who, query_id) == (1, challenger, torn.query.query_id)
    assert accused == torn.member(LIAR)
    statement = torn.statement(LIAR)
    assert tuple(charge)[3:] == (statement.reveal.in_digest, statement.reveal.out_digest)
    assert list(signers) == [torn.member(LIAR)]
    assert sums[:2] == [STAKE, BOND]
    assert ends == boa.env.timestamp + QUERY_PARAMETERS.defence_window
    assert move_window == QUERY_PARAMETERS.move_window
    assert court.bonds_owed() == BOND


def test_an_undefended_statement_costs_its_author_a_seat(world, court, challenger, torn):
    case, before = torn.sue(challenger, LIAR), torn.stake(LIAR)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert torn.stake(LIAR) == before - STAKE
    assert world.lower.vault.rewards(challenger) == STAKE // 4
    assert court.credit_of(challenger) == BOND
    assert court.is_convicted(torn.query.query_id, 0, torn.member(LIAR))


def test_a_lie_is_convicted_at_its_element(court, challenger, torn, truth, lie):
    case, before = torn.sue(challenger, LIAR), torn.stake(LIAR)
    match = case.defend(torn.member(LIAR), lie)
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert torn.stake(LIAR) == before - STAKE
    assert court.credit_of(challenger) == BOND


def test_an_honest_statement_is_defended(court, challenger, torn, truth):
    case, before = torn.sue(challenger, HONEST), torn.stake(HONEST)
    match = case.defend(torn.member(HONEST), truth)
    match.to_the_end(Challenger(truth, 0))
    match.expire()
    assert case.conclude() == STANDING
    assert torn.stake(HONEST) == before
    assert court.credit_of(torn.operator(HONEST)) == BOND // 2
    assert court.bonds_owed() == BOND // 2


def test_the_query_goes_on_meanwhile(world, court, challenger, client, torn, truth):
    case = torn.sue(challenger, LIAR)
    assert world.market.status_of(torn.query.query_id) == QueryStatus.OPEN
    go_to(torn.query.answer_deadline + 1)
    world.market.refund(torn.query.as_abi(), sender=client)
    assert case.conclude() == FALLEN
    assert world.market.status_of(torn.query.query_id) == QueryStatus.REFUNDED
    assert not court.has_fallen(torn.query.query_id, 0)


def test_only_the_sued_member_is_held(world, challenger, torn):
    case, vault = torn.sue(challenger, LIAR), world.lower.vault
    held = [vault.ledger(torn.operator(place)).holds for place in range(4)]
    assert held == [0, 0, 1, 0]
    after_the_defence(case)
    case.conclude()
    assert vault.ledger(torn.operator(LIAR)).holds == 0


def test_nobody_else_answers_a_suit(challenger, torn, truth):
    case = torn.sue(challenger, HONEST)
    with boa.reverts("court: not a signer"):
        case.defend(torn.member(0), truth)


def test_a_refunded_query_is_sued_all_the_same(world, challenger, client, torn):
    go_to(torn.query.answer_deadline + 1)
    world.market.refund(torn.query.as_abi(), sender=client)
    case = torn.sue(challenger, LIAR)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_a_statement_of_an_earlier_attempt_is_sued_under_the_new_terms(
    world, challenger, client, torn
):
    statement = torn.statement(LIAR)
    go_to(torn.query.answer_deadline + 1)
    world.market.retry(torn.query.as_abi(), sender=client)
    again = world.event("AttemptOpened")
    terms = type(torn.query).from_abi(again.query)
    torn.announce(challenger, statement)
    with boa.reverts("court: not an unanswered query"):
        torn.open(challenger, statement)
    case = torn.open(challenger, statement, query=terms, seed=torn.query.seed_block)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_an_answered_query_is_not_sued(world, court, challenger, client, right, truth):
    sued = split(world, court, right.query, (truth,) * 4)
    with boa.reverts("court: not an unanswered query"):
        sued.sue(challenger, LIAR)


def test_a_suit_comes_too_late(challenger, torn):
    statement = torn.statement(LIAR)
    torn.announce(challenger, statement)
    last = torn.query.answer_deadline + QUERY_PARAMETERS.dispute_window
    go_to(last)
    with boa.env.anchor():
        torn.open(challenger, statement)
    pass_blocks(1, 1)
    with boa.reverts("court: too late to sue"):
        torn.open(challenger, statement)


def test_a_forgotten_seed_is_of_use_when_it_was_pinned(world, challenger, torn):
    statement = torn.statement(LIAR)
    torn.announce(challenger, statement)
    with boa.env.anchor():
        pass_blocks(260, 0)
        with boa.reverts("market: seed is gone"):
            torn.open(challenger, statement)
    world.market.pin_seed(torn.query.seed_block)
    pass_blocks(260, 0)
    torn.open(challenger, statement)


def test_unannounced_suits_are_refused(court, challenger, torn, outsider):
    statement = torn.statement(LIAR)
    with boa.reverts("court: not announced"):
        torn.open(challenger, statement)
    torn.announce(outsider, statement)
    with boa.reverts("court: not announced"):
        torn.open(challenger, statement)
    court.announce(court.claim_of(challenger, statement.evidence), sender=challenger)
    with boa.reverts("court: announced just now"):
        torn.open(challenger, statement)


def test_a_suit_needs_its_bond(world, court, torn):
    poor = rich(world, "poor", court, BOND - 1)
    with boa.reverts("erc20: transfer amount exceeds balance"):
        torn.sue(poor, LIAR)


@pytest.fixture
def token():
    """Says no by what it returns, until it is told to pay."""
    return load_harness("DoubtfulToken")


@pytest.fixture
def doubtful(world, torn, token):
    """The split committee before a court whose bonds are in that token."""
    court = build_court(replace(world, lower=replace(world.lower, token=token)))
    world.lower.vault.eval(f"self.slasher = {court.address}")
    return replace(torn, court=court)


def test_a_bond_that_was_not_paid_sues_nobody(doubtful, challenger):
    with boa.reverts("court: no bond"):
        doubtful.sue(challenger, LIAR)
    assert doubtful.court.bonds_owed() == 0


def test_a_bond_that_was_not_paid_out_stays_owed(doubtful, token, challenger):
    token.behave(True)
    case = doubtful.sue(challenger, LIAR)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    token.behave(False)
    with boa.reverts("court: transfer failed"):
        doubtful.court.withdraw(challenger)
    assert doubtful.court.credit_of(challenger) == doubtful.court.bonds_owed() == BOND


def edited(statement, **fields):
    return replace(statement, reveal=replace(statement.reveal, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"in_digest": Digest(keccak(text="in"))},
        {"out_digest": Digest(keccak(text="out"))},
        {"payload_hash": Digest(keccak(text="payload"))},
        {"salt": keccak(text="salt")},
        {"round": 1},
        {"position": 0},
    ],
)
def test_a_changed_statement_convicts_nobody(challenger, torn, fields):
    with boa.reverts():
        torn.sue(challenger, LIAR, statement=edited(torn.statement(LIAR), **fields))


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"query_id": 77}, "court: of another query"),
        ({"replicas": 5}, "court: not an unanswered query"),
        ({"seed_block": 1}, "court: not an unanswered query"),
    ],
)
def test_other_terms_are_refused(challenger, torn, terms, reason):
    with boa.reverts(reason):
        torn.sue(challenger, LIAR, query=changed(torn.query, **terms))


def test_a_sealed_query_is_sued_by_who_sees_it(world, court, challenger, client, truth, lie):
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    sealed = split(world, court, query, (truth, truth, lie, lie), CONTENT_KEY)
    blind_sides = replace(sealed, content_key=None)
    statement = sealed.statement(LIAR)
    sealed.announce(challenger, statement)
    with boa.reverts("court: no view of the query"):
        blind_sides.open(challenger, statement)
    case = sealed.open(challenger, statement)
    match = case.defend(sealed.member(LIAR), lie)
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)


def test_another_version_is_refused(challenger, torn):
    developer, root, shards, metadata = torn.version
    with boa.reverts("court: another version"):
        torn.sue(challenger, LIAR, version=(developer, keccak(root), shards, metadata))


def test_another_block_is_no_seed(challenger, torn):
    with boa.reverts("court: seed of another history"):
        torn.sue(challenger, LIAR, seed=torn.query.seed_block - 1)


def test_nobody_is_convicted_twice(world, court, challenger, torn):
    """A suit, then another suit and an equivocation: one seat's stake."""
    other = rich(world, "other", court)
    first, second = torn.sue(challenger, LIAR), torn.sue(other, LIAR)
    before = torn.stake(LIAR)
    go_to(second.defence_ends + 1)
    assert first.conclude() == FALLEN
    assert second.conclude() == FALLEN_ELSEWHERE
    assert torn.stake(LIAR) == before - STAKE
    assert world.lower.vault.rewards(other) == 0
    assert court.credit_of(other) == BOND
    with boa.reverts("court: convicted before"):
        torn.open(challenger, torn.statement(LIAR))
    equivocal = equivocation_of(torn)
    court.announce(court.claim_of(challenger, equivocal.digest), sender=challenger)
    pass_blocks(1)
    with boa.reverts("court: convicted before"):
        court.show_equivocation(*equivocal.arguments, sender=challenger)


def equivocation_of(torn):
    """The liar's statement beside a true one of its own in the next round."""
    said = torn.statement(LIAR)
    work = replace(torn.works[HONEST], round=1)
    commitments = work.commitments()
    signed = work.result(LIAR, commitments)
    head = (work.round, work.out_digest, work.payload_hash, list(commitments))
    second = (*head, LIAR, signed.salt, signed.r, signed.vs)
    return Evidence(said.shard_as_abi(), said.as_abi(), second)


def test_an_equivocation_before_leaves_nothing_to_sue(court, challenger, torn):
    equivocal = equivocation_of(torn)
    court.announce(court.claim_of(challenger, equivocal.digest), sender=challenger)
    pass_blocks(1)
    court.show_equivocation(*equivocal.arguments, sender=challenger)
    with boa.reverts("court: convicted before"):
        torn.sue(challenger, LIAR)


def test_two_members_are_sued_at_once(world, challenger, torn, lie, truth):
    cases = [torn.sue(challenger, place) for place in (2, 3)]
    before = [torn.stake(place) for place in (2, 3)]
    cases[0].defend(torn.member(2), lie).to_the_end(Challenger(truth, 0))
    go_to(cases[1].defence_ends + 1)
    assert [case.conclude() for case in cases] == [FALLEN, FALLEN]
    assert [torn.stake(place) for place in (2, 3)] == [one - STAKE for one in before]


def test_a_suit_ends_without_outcome_and_an_output_does_not(challenger, torn, wrong):
    suit, challenge = torn.sue(challenger, LIAR), wrong.challenge(challenger)
    go_to(challenge.defence_ends + 1)
    nothing = (torn.query.as_abi(), outcome_as_abi(NO_OUTCOME))
    with boa.reverts():
        wrong.court.conclude(challenge.challenge, *nothing, sender=challenger)
    assert suit.conclude() == FALLEN
    assert challenge.conclude() == FALLEN


def test_a_conviction_is_announced(court, challenger, torn):
    case = torn.sue(challenger, LIAR)
    after_the_defence(case)
    case.conclude()
    (convicted,) = events(court, "SignerConvicted")
    assert (convicted.signer, convicted.operator) == (torn.member(LIAR), torn.operator(LIAR))
    (ended,) = events(court, "ChallengeEnded")
    assert (ended.query_id, ended.ending) == (torn.query.query_id, FALLEN)


def test_a_statement_survives_its_encoding(torn):
    statement = torn.statement(LIAR)
    assert decode_statement(encode_statement(statement)) == statement
