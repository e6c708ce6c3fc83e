"""Disputes of sealed queries: the digests are blinded, and whoever takes part shows how."""

import boa
import pytest

from nesa.models.disputes.encoding import encoded_move
from nesa.models.disputes.game import Opened
from nesa.models.disputes.parties import Challenger, Defender
from nesa.privacy.sealing import blind
from nesa.protocol.queries import QueryStatus
from tests.contracts.disputes.disputed import CONTENT_KEY, after_the_defence, stakes
from tests.deployment import REQUEST_LIMITS

OTHER_KEY = bytes(32)
FALLEN = 2


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
