"""Disputes of sealed queries: the digests are blinded, and whoever takes part shows how."""

from dataclasses import replace

import boa
import pytest

from nesa.chain.court import NO_VIEW
from nesa.models.disputes.encoding import encoded_move
from nesa.models.disputes.game import Opened
from nesa.models.disputes.parties import Challenger, Defender
from nesa.privacy.sealing import blind
from nesa.protocol.queries import QueryStatus
from tests.contracts.disputes.disputed import Answered, after_the_defence, answer, ask, stakes
from tests.deployment import REQUEST_LIMITS

CONTENT_KEY, OTHER_KEY = bytes(range(32)), bytes(32)
FALLEN = 2


@pytest.fixture
def sealed_right(world, court, client, truth):
    """A sealed query that was answered rightly."""
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    return answer(world, court, query, truth, content_key=CONTENT_KEY)


@pytest.fixture
def sealed_wrong(world, court, client, truth, lie):
    """A sealed query whose first shard was answered wrongly."""
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    return answer(world, court, query, lie, content_key=CONTENT_KEY)


@pytest.mark.parametrize("shard", [0, 1])
def test_an_honest_member_of_a_sealed_query_defends_its_answer(
    challenger, sealed_right, truth, lie, shard
):
    case = sealed_right.challenge(challenger, shard)
    case.defend(sealed_right.signers(shard)[1], truth).expire()
    assert case.conclude() != FALLEN


def test_a_lie_in_a_sealed_query_costs_its_author(world, challenger, sealed_wrong, truth, lie):
    case = sealed_wrong.challenge(challenger)
    liar = sealed_wrong.signers(0)[0]
    before = stakes(sealed_wrong)[liar]
    case.defend(liar, lie).to_the_end(Challenger(truth, 0))
    assert stakes(sealed_wrong)[liar] == before - REQUEST_LIMITS.seat_stake
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert world.market.status_of(sealed_wrong.query.query_id) == QueryStatus.OVERTURNED


def test_who_cannot_see_a_sealed_query_cannot_challenge_it(court, challenger, sealed_right):
    """A game opens what the client pays to keep, so nobody starts one without its key."""
    sealed_right.announce(challenger)
    head = (*sealed_right.arguments, 0, sealed_right.members(0), sealed_right.version)
    seen = sealed_right.view(0)
    blindly = [NO_VIEW, sealed_right.view(1), replace(seen, blind=blind(OTHER_KEY, 0))]
    for view in blindly:
        with boa.reverts("court: no view of the query"):
            court.open_challenge(*head, view.as_abi(), sender=challenger)
    court.open_challenge(*head, seen.as_abi(), sender=challenger)


def test_a_fault_of_a_sealed_query_is_not_shown_by_a_proof(court, challenger, sealed_right):
    """The proof would show the input."""
    sealed_right.announce(challenger)
    head = (*sealed_right.arguments, 0, sealed_right.members(0), sealed_right.version)
    with boa.reverts("court: no view of the query"):
        court.show_fault(*head, b"input", b"output", b"proof", sender=challenger)


@pytest.mark.parametrize("hidden", [None, blind(CONTENT_KEY, 0), blind(OTHER_KEY, 1)])
def test_a_defence_shows_the_blind_of_its_output(court, challenger, sealed_right, truth, hidden):
    case = sealed_right.challenge(challenger)
    signer, state = sealed_right.signers(0)[0], Opened(case.charge)
    move = encoded_move(state, Defender(truth, 0, hidden).reply(state))
    with boa.reverts("game: other output"):
        court.defend(case.challenge, signer, move, sender=signer)


def test_a_digest_that_nobody_can_open_falls(world, court, challenger, client, truth):
    """Its members would have it that what cannot be seen cannot be wrong: whoever signed a digest
    has to open it."""
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    case: Answered = answer(world, court, query, truth, content_key=OTHER_KEY)
    challenge = replace(case, content_key=CONTENT_KEY).challenge(challenger)
    after_the_defence(challenge)
    assert challenge.conclude() == FALLEN
