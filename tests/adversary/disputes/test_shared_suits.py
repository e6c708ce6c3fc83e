"""Attacks around what members of a shared session signed of its products."""

import boa
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.parties import Challenger
from nesa.protocol.ids import Digest, QueryId
from nesa.protocol.statements import SHARD_ABI, STATEMENT_ABI
from tests.contracts.disputes.disputed import after_the_defence, rich
from tests.contracts.disputes.shared_suits import ask_session, right_sums, wrong_sums
from tests.deployment import REQUEST_LIMITS
from tests.market import go_to, pass_blocks

STAKE = REQUEST_LIMITS.seat_stake
BOND = STAKE * REQUEST_LIMITS.challenger_bond_bps // 10_000
STANDING, FALLEN = 1, 2


@pytest.fixture
def truth():
    return right_sums()


@pytest.fixture
def lie(truth):
    return wrong_sums(truth)


@pytest.fixture
def session(world, court, truth, client):
    return ask_session(world, court, client, truth)


def test_a_lie_about_a_share_costs_a_seat(session, court, challenger, truth, lie):
    """A member returns wrong sums and says that nobody but the client saw them: its signature is
    enough for anybody, the lie is shown in one element, and the client's voucher is not given."""
    case, signer = session.sue(court, challenger, 0, lie)
    before = session.stake(signer)
    ended = case.defend(signer, lie).to_the_end(Challenger(truth, 0))
    assert ended == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert session.stake(signer) == before - STAKE
    deposit = session.sessions.contract.left_of(session.terms.query_id)
    assert deposit == 4 * 2 * session.terms.base_fee


def test_a_client_that_sues_honest_members_pays_them(world, session, court, truth):
    """A client keeps its vouchers back by suing whoever served it: the member defends with the
    share that it was sent, has half of the bond, and its vouchers count as before."""
    accuser = rich(world, "suing client", court)
    case, signer = session.sue(court, accuser, 1, truth)
    case.defend(signer, truth).expire()
    assert case.conclude() == STANDING
    assert court.credit_of(world.owners[signer]) == BOND // 2
    assert session.sessions.redeem(session.terms, 1, session.terms.base_fee) > 0


def test_a_statement_of_another_session_convicts_nobody(session, court, challenger, client, lie):
    """Somebody brings what an honest member signed in a session of other products, true there, as
    its word in this one: a statement holds its session, and the court reads that one's products."""
    other = session.sessions.open(client)
    statement = session.statement(0, lie, query_id=QueryId(other.query_id))
    case = session.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts("court: of another query"):
        case.open(challenger, statement)


def test_a_statement_of_another_product_convicts_nobody(session, court, challenger, lie):
    """Somebody holds what an honest member signed of one product against the weights of another
    that takes the same digits: the product's number is in what was signed."""
    statement = session.statement(0, lie, attempt=0)
    case = session.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts("court: of another product"):
        case.open(challenger, statement)


def test_the_same_digits_of_two_products_are_no_equivocation(
    session, court, challenger, truth, lie
):
    """A client sends one share to two products of a shape, so that an honest member signs two
    results of one input: both cannot be shown under one number, and the number was signed."""
    first, second = session.statement(0, truth), session.statement(0, lie, attempt=0)
    given = (first.shard_as_abi(), first.as_abi(), second.as_abi())
    evidence = keccak(encode([SHARD_ABI, STATEMENT_ABI, STATEMENT_ABI], list(given)))
    court.announce(court.claim_of(challenger, evidence), sender=challenger)
    pass_blocks(1)
    with boa.reverts("court: not committed"):
        court.show_equivocation(*given, sender=challenger)


def test_a_statement_of_a_session_in_another_history(session, court, challenger, lie):
    """A reorganisation gave the session's number to other products, and an honest member's word
    from before it is wrong here: its seed is the hash of no block of this chain."""
    gone = Digest(keccak(text="a block that is gone"))
    statement = session.statement(0, lie, seed=gone)
    case = session.suit(court, lie)
    case.announce(challenger, statement)
    with boa.reverts("court: seed of another history"):
        case.open(challenger, statement)


def test_old_statements_of_a_session_are_not_dug_out(session, court, challenger, lie):
    """Somebody digs out a statement when its member has forgotten the share and cannot defend: the
    time to sue ends with a dispute window after the session."""
    statement = session.statement(0, lie)
    session.sessions.contract.pin_seed(session.terms.seed_block)
    case = session.suit(court, lie)
    case.announce(challenger, statement)
    rules = session.terms.rules
    go_to(session.terms.answer_deadline + rules.dispute_window + 1)
    with boa.reverts("court: too late to sue"):
        case.open(challenger, statement)
