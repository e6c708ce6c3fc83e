"""Who moves in a game, until when, and what a move that is late or out of place is: none."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.models.disputes.encoding import encoded_accusation, encoded_move, encoded_position
from nesa.models.disputes.game import Cause, Claimed, Ended, Opened, Side, to_move
from nesa.models.disputes.moves import Convict, Pick
from nesa.models.disputes.parties import Challenger, Defender
from tests.contracts.disputes.disputed import events
from tests.deployment import QUERY_PARAMETERS
from tests.market import pass_blocks
from tests.models.disputes.parties import Griefer

WINDOW = QUERY_PARAMETERS.move_window


@pytest.fixture
def case(challenger, wrong):
    return wrong.challenge(challenger)


@pytest.fixture
def signer(wrong):
    return wrong.signers(0)[0]


@pytest.fixture
def match(case, signer, lie):
    return case.defend(signer, lie)


def test_a_defence_begins_a_game(court, case, signer, match, lie):
    position, deadline, is_defenders = court.game(case.number, signer)
    assert position == keccak(encoded_position(case.charge, match.state))[:26]
    assert (deadline, is_defenders) == (boa.env.timestamp - 1 + WINDOW, False)
    assert court.standing(case.number)[0] == 1


def test_the_move_is_announced(court, case, signer, lie):
    case.defend(signer, lie)
    (moved,) = events(court, "Moved")
    opened = Opened(case.charge)
    assert moved.move == encoded_move(opened, Defender(lie, 0).reply(opened))
    assert (moved.challenge_id, moved.defender) == (case.number, signer)
    assert moved.deadline == boa.env.timestamp - 1 + WINDOW


def test_the_operator_may_defend_in_its_signers_name(case, wrong, lie):
    """The signing key may be lost; the stake is the operator's."""
    signer = wrong.signers(0)[2]
    match = case.defend(signer, lie, sender=wrong.operator(signer))
    match.play(Pick(1), case.challenger)
    match.play(match.defender.reply(match.state), wrong.operator(signer))


@pytest.mark.parametrize("who", ["outsider", "challenger", "another signer"])
def test_nobody_else_defends(case, wrong, lie, outsider, challenger, who):
    sender = {"outsider": outsider, "challenger": challenger}.get(who, wrong.signers(0)[1])
    with boa.reverts("court: not the defender"):
        case.defend(wrong.signers(0)[0], lie, sender=sender)


def test_only_who_signed_the_digest_defends(case, wrong, lie):
    with boa.reverts("court: not a signer"):
        case.defend(wrong.signers(1)[0], lie)


def test_a_signer_defends_once(case, signer, match, lie):
    with boa.reverts("court: defends already"):
        case.defend(signer, lie)
    match.expire()
    with boa.reverts("court: digest is defended"):
        case.defend(signer, lie)


def test_a_lost_defence_is_not_repeated(case, signer, match, truth, lie):
    match.to_the_end(Challenger(truth, 0))
    with boa.reverts("court: defends already"):
        case.defend(signer, lie)


def test_the_last_second_of_the_defence_window_counts(case, wrong, lie):
    first, second, *_ = wrong.signers(0)
    pass_blocks(1, case.defence_ends - boa.env.timestamp)
    case.defend(first, lie)
    with boa.reverts("court: defence is over"):
        case.defend(second, lie)


def test_sides_take_turns(case, signer, match, challenger, outsider):
    pick = encoded_move(match.state, Pick(0))
    for sender in (signer, outsider):
        with boa.reverts("court: not the challenger"):
            case.court.play(case.challenge, signer, match.position, pick, sender=sender)
    match.play(Pick(len(match.state.nodes) - 1), challenger)
    shown = encoded_move(match.state, match.defender.reply(match.state))
    for sender in (challenger, outsider):
        with boa.reverts("court: not the defender"):
            case.court.play(case.challenge, signer, match.position, shown, sender=sender)


def test_another_position_is_refused(case, signer, match, challenger, truth):
    move = Pick(len(match.state.nodes) - 1)
    data, before = encoded_move(match.state, move), match.position
    for position in (b"", before[:-32], before + bytes(32), bytes([1]) + before[1:]):
        with boa.reverts("court: another position"):
            case.court.play(case.challenge, signer, position, data, sender=challenger)
    match.play(move, challenger)
    with boa.reverts("court: another position"):
        case.court.play(case.challenge, signer, before, data, sender=challenger)


def test_a_game_that_nobody_began_has_no_position(case, wrong, match, challenger):
    other = wrong.signers(0)[3]
    data = encoded_move(match.state, Pick(0))
    with boa.reverts("court: another position"):
        case.court.play(case.challenge, other, match.position, data, sender=challenger)
    with boa.reverts("court: no open game"):
        case.court.expire(case.challenge, other)


def test_a_late_move_is_none(court, case, signer, match, challenger, outsider):
    _, deadline, _ = court.game(case.number, signer)
    pass_blocks(1, deadline - boa.env.timestamp)
    with boa.reverts("court: there is time left"):
        court.expire(case.challenge, signer, sender=outsider)
    with boa.env.anchor():
        match_state = match.state
        match.play(Pick(len(match.state.nodes) - 1), challenger)
        match.state = match_state
    pass_blocks(1, deadline + 1 - boa.env.timestamp)
    data = encoded_move(match.state, Pick(0))
    with boa.reverts("court: too late"):
        court.play(case.challenge, signer, match.position, data, sender=challenger)
    court.expire(case.challenge, signer, sender=outsider)
    with boa.reverts("court: digest is defended"):
        court.expire(case.challenge, signer, sender=outsider)


def test_a_move_that_the_game_refuses_stops_no_clock(court, case, signer, match, challenger):
    before = court.game(case.number, signer)
    data = encoded_move(match.state, Pick(99))
    with boa.reverts("game: no such choice"):
        court.play(case.challenge, signer, match.position, data, sender=challenger)
    assert court.game(case.number, signer) == before


def to_the_accusation(match, challenger):
    """Plays until the challenger could convict; its last move, not made."""
    while True:
        if to_move(match.state) is Side.DEFENDER:
            match.play(match.defender.reply(match.state), match.signer)
            continue
        answer = challenger.reply(match.state)
        if isinstance(answer, Convict):
            return answer
        match.play(answer, match.case.challenger)


def test_a_conviction_is_the_challengers(court, case, signer, match, truth, outsider):
    convict = to_the_accusation(match, Challenger(truth, 0))
    assert isinstance(match.state, Claimed)
    data = encoded_accusation(match.state, convict)
    arguments = (case.challenge, signer, match.position, data)
    for sender in (outsider, signer):
        with boa.reverts("court: not the challenger"):
            court.convict(*arguments, sender=sender)
    with boa.env.anchor():
        pass_blocks(1, WINDOW + 1)
        with boa.reverts("court: too late"):
            court.convict(*arguments, sender=case.challenger)
    court.convict(*arguments, sender=case.challenger)
    (ended,) = events(court, "GameEnded")
    assert (ended.challenge_id, ended.defender, ended.result) == (case.number, signer, 4)
    with boa.reverts("court: another position"):
        court.convict(*arguments, sender=case.challenger)


def test_a_forged_challenge_convicts_nobody(court, case, signer, match, truth):
    """Else its challenger would choose what the seat is worth."""
    convict = to_the_accusation(match, Challenger(truth, 0))
    data = encoded_accusation(match.state, convict)
    forged = (*case.challenge[:6], 2 * case.challenge[6], *case.challenge[7:])
    with boa.reverts("court: another challenge"):
        court.convict(forged, signer, match.position, data, sender=case.challenger)


def test_after_a_win_nobody_is_convicted(court, case, wrong, truth, lie):
    """A digest that one signer defended is not fallen by another's game."""
    first, second, *_ = wrong.signers(0)
    winner, other = case.defend(first, lie), case.defend(second, lie)
    convict = to_the_accusation(other, Challenger(truth, 0))
    data = encoded_accusation(other.state, convict)
    winner.expire()
    with boa.reverts("court: digest is defended"):
        court.convict(case.challenge, second, other.position, data, sender=case.challenger)
    assert not court.is_convicted(wrong.query.query_id, 0, second)


def test_what_is_right_convicts_nobody(court, challenger, right, truth):
    """A griefing challenger names a right element and opens everything, rightly or wrongly."""
    case = right.challenge(challenger)
    signer = right.signers(0)[0]
    match = case.defend(signer, truth)
    convict = to_the_accusation(match, Griefer(truth, 0, lambda count: 0))
    for tensors, reason in (
        (convict.tensors, "court: nothing is wrong"),
        ((bytes(32), *convict.tensors[1:]), "game: other values"),
    ):
        data = encoded_accusation(match.state, replace(convict, tensors=tensors))
        with boa.reverts(reason):
            court.convict(case.challenge, signer, match.position, data, sender=challenger)


def test_several_signers_play_their_own_games(court, case, wrong, truth, lie):
    first, second, *_ = wrong.signers(0)
    games = [case.defend(one, lie) for one in (first, second)]
    assert court.standing(case.number)[0] == 2
    for game in games:
        assert game.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    assert court.standing(case.number)[0] == 0
    assert all(court.is_convicted(wrong.query.query_id, 0, one) for one in (first, second))


def test_after_a_win_nobody_loses_any_more(court, challenger, right, truth):
    """Other games of the challenge end without result."""
    case = right.challenge(challenger)
    first, second, *_ = right.signers(0)
    winner, other = case.defend(first, truth), case.defend(second, truth)
    other.play(Pick(len(other.state.nodes) - 1), challenger)
    winner.expire()
    with boa.reverts("court: digest is defended"):
        other.expire()
    with boa.reverts("court: digest is defended"):
        other.play(other.defender.reply(other.state), second)
    case.conclude()
    with boa.reverts("court: challenge is over"):
        other.expire()
