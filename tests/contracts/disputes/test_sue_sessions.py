"""What a member of a session signed of a product: the court takes it as it takes any statement."""

from __future__ import annotations

from dataclasses import replace

import boa
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.parties import Challenger
from nesa.protocol.ids import ZERO_DIGEST, Address, QueryId, VersionId
from nesa.protocol.statements import SHARD_ABI as WORK_ABI
from nesa.protocol.statements import STATEMENT_ABI
from tests.contracts.disputes.disputed import MODEL, after_the_defence, events, honest_witness
from tests.contracts.disputes.shared_suits import ask_session, right_sums, wrong_sums
from tests.deployment import REQUEST_LIMITS
from tests.market import go_to, pass_blocks

STAKE = REQUEST_LIMITS.seat_stake
FALLEN, STANDING = 2, 1


@pytest.fixture
def truth():
    return right_sums()


@pytest.fixture
def lie(truth):
    return wrong_sums(truth)


@pytest.fixture
def asked(world, court, truth, client):
    return ask_session(world, court, client, truth)


def test_wrong_sums_of_a_share_are_convicted_at_their_element(asked, court, challenger, truth, lie):
    case, signer = asked.sue(court, challenger, 0, lie)
    before = asked.stake(signer)
    match = case.defend(signer, lie)
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert asked.stake(signer) == before - STAKE


def test_right_sums_are_defended(asked, court, challenger, truth):
    case, signer = asked.sue(court, challenger, 1, truth)
    before = asked.stake(signer)
    match = case.defend(signer, truth)
    match.to_the_end(Challenger(truth, 0))
    match.expire()
    assert case.conclude() == STANDING
    assert asked.stake(signer) == before


def test_a_closed_session_is_sued_all_the_same(asked, court, challenger, lie):
    sessions, terms = asked.sessions, asked.terms
    sessions.contract.pin_seed(terms.seed_block)
    sessions.end(terms)
    go_to(boa.env.timestamp + 1)
    statement = asked.statement(0, lie)
    sessions.contract.close_session(terms.as_abi())
    case = asked.suit(court, lie).sue(challenger, 0, statement=statement)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_two_sums_of_one_share_are_equivocation(asked, court, challenger, truth, lie):
    said = [asked.statement(0, witness) for witness in (truth, lie)]
    before = asked.stake(said[0].signer)
    given = (said[0].shard_as_abi(), said[0].as_abi(), said[1].as_abi())
    evidence = keccak(encode([WORK_ABI, STATEMENT_ABI, STATEMENT_ABI], list(given)))
    court.announce(court.claim_of(challenger, evidence), sender=challenger)
    pass_blocks(1)
    taken = court.show_equivocation(*given, sender=challenger)
    assert (taken, asked.stake(said[0].signer)) == (STAKE, before - STAKE)


def test_other_products_and_sessions_are_refused(asked, court, challenger, lie):
    case, statement = asked.suit(court, lie), asked.statement(0, lie)
    case.announce(challenger, statement)
    for other in (
        replace(asked.product, attempt=0),
        replace(asked.product, version_id=VersionId(ZERO_DIGEST)),
        replace(asked.product, query_id=QueryId(asked.terms.query_id + 1)),
    ):
        with boa.reverts():
            case.open(challenger, statement, query=other)
    assert not events(court, "ChallengeOpened")


def test_what_was_signed_of_one_product_is_no_word_about_another(asked, court, challenger, lie):
    """Who worked on the first product rightly could not defend the same digests of this one."""
    statement = asked.statement(0, lie, attempt=0)
    case = asked.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts("court: of another product"):
        case.open(challenger, statement)


def test_a_market_number_is_not_looked_up_among_sessions(asked, court, challenger, lie):
    statement = asked.statement(0, lie)
    case = asked.suit(court, lie)
    case.announce(challenger, statement)
    other = replace(asked.product, query_id=QueryId(1))
    with boa.reverts("court: of another query"):
        case.open(challenger, statement, query=other)


def test_signers_are_those_of_the_sessions_contract(asked, court, challenger, lie):
    """The same words under the market's domain are nobody's."""
    market = Address(asked.sessions.world.market.address)
    statement = asked.statement(0, lie, market=market)
    case = asked.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts("court: not committed"):
        case.open(challenger, statement)


def test_a_version_of_several_shards_is_no_product(world, court, challenger, client):
    """Who lists one has honest members sign its first shard, and no defence fits the one shard that
    the terms of a session have."""
    honest = honest_witness()
    asked = ask_session(world, court, client, honest)
    assert (asked.version_id, len(honest.table.shards)) == (world.versions[MODEL], 2)
    statement, case = asked.statement(0, honest), asked.suit(court, honest)
    case.announce(challenger, statement)
    with boa.reverts("court: not an unanswered query"):
        case.open(challenger, statement)
