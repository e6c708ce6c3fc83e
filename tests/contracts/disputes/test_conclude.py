"""A wrong digest falls, a right one stands, and every unit is where docs/disputes.md says."""

import boa
import pytest

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.parties import Challenger
from nesa.protocol.queries import QueryStatus
from tests.contracts.disputes.disputed import (
    after_the_defence,
    answer,
    ask,
    events,
    lying_witness,
    rich,
    stakes,
)
from tests.deployment import REQUEST_LIMITS
from tests.market import pass_blocks

STAKE = REQUEST_LIMITS.seat_stake
STANDING, FALLEN, FALLEN_ELSEWHERE = 1, 2, 4


def assert_nobody_is_held(answered, shard=0):
    ledger = answered.world.lower.vault.ledger
    assert {ledger(answered.operator(one)).holds for one in answered.signers(shard)} == {0}


def test_a_lie_is_found_and_costs_every_signer_a_seat(world, court, challenger, wrong, truth, lie):
    case, before = wrong.challenge(challenger), stakes(wrong)
    match = case.defend(wrong.signers(0)[0], lie)
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    assert match.moves <= 26
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert stakes(wrong) == {one: stake - STAKE for one, stake in before.items()}
    assert all(court.is_convicted(wrong.query.query_id, 0, one) for one in before)
    assert_nobody_is_held(wrong)
    assert court.has_fallen(wrong.query.query_id, 0)
    assert world.market.status_of(wrong.query.query_id) == QueryStatus.OVERTURNED
    assert court.credit_of(challenger) == case.bond


def test_silence_costs_as_much(world, court, challenger, client, wrong):
    """Else every liar would be silent. The client is whole, the challenger earns a quarter of a
    seat of each signer less what honest work kept of the fee, and the rest is burned."""
    vault, token, market = world.lower.vault, world.lower.token, world.market
    case, before = wrong.challenge(challenger), stakes(wrong)
    supply, stake = token.totalSupply(), vault.total_stake()
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert stakes(wrong) == {one: held - STAKE for one, held in before.items()}
    returned = market.credit_of(client)[0]
    repaid = vault.rewards(client)
    query = wrong.query
    assert returned + repaid == query.base_fee + query.proof_fee + query.callback_fee
    assert min(repaid, returned) > 0
    assert vault.rewards(challenger) == len(before) * STAKE // 4 - repaid
    assert stake - vault.total_stake() == len(before) * STAKE
    assert supply - token.totalSupply() == len(before) * STAKE * 3 // 4
    assert court.bonds_owed() == court.credit_of(challenger) == case.bond == STAKE // 10
    world.assert_solvent()


def test_a_right_digest_stands(world, court, challenger, right, truth):
    """A sham challenge pays the defender; the query goes on where it stood."""
    token, market = world.lower.token, world.market
    left = market.closes_at(right.query.query_id) - boa.env.timestamp
    case, before = right.challenge(challenger), stakes(right)
    left -= 1
    supply, signer = token.totalSupply(), right.signers(0)[2]
    match = case.defend(signer, truth)
    assert match.to_the_end(Challenger(truth, 0)) != Ended(Side.CHALLENGER, Cause.FACT)
    match.expire()
    assert case.conclude() == STANDING
    assert stakes(right) == before
    assert_nobody_is_held(right)
    assert court.credit_of(right.operator(signer)) == case.bond // 2
    assert supply - token.totalSupply() == case.bond - case.bond // 2
    assert court.bonds_owed() == case.bond // 2
    assert market.status_of(right.query.query_id) == QueryStatus.FULFILLED
    assert market.closes_at(right.query.query_id) - boa.env.timestamp == left
    world.assert_solvent()


def test_two_challengers_at_once(world, court, challenger, wrong, truth, lie):
    """Who finds the lie first earns it; the other gets its bond back, whatever it did."""
    late = rich(world, "late challenger", court)
    first, second = wrong.challenge(challenger), wrong.challenge(late)
    signer = wrong.signers(0)[0]
    open_game = second.defend(signer, lie)
    after_the_defence(first)
    assert first.conclude() == FALLEN
    before = stakes(wrong)
    with boa.reverts("court: has fallen"):
        open_game.play(Challenger(truth, 0).reply(open_game.state), late)
    assert second.conclude() == FALLEN_ELSEWHERE
    assert stakes(wrong) == before
    assert_nobody_is_held(wrong)
    assert court.credit_of(late) == second.bond
    assert world.lower.vault.rewards(late) == 0


def test_holds_of_two_challenges_end_with_the_last(world, court, challenger, right, truth):
    other = rich(world, "other", court)
    first, second = right.challenge(challenger), right.challenge(other)
    for case in (first, second):
        case.defend(right.signers(0)[0], truth)
    first.games[right.signers(0)[0]].expire()
    first.conclude()
    closes = world.market.closes_at(right.query.query_id)
    held = world.lower.vault.ledger(right.operator(right.signers(0)[0])).holds
    assert held == 1
    pass_blocks(1, 500)
    assert world.market.status_of(right.query.query_id) == QueryStatus.FULFILLED
    second.games[right.signers(0)[0]].expire()
    second.conclude()
    assert world.market.closes_at(right.query.query_id) > closes
    assert_nobody_is_held(right)


def test_both_shards_fall(world, court, client, challenger, truth):
    """Each lie is answered for by those who signed it."""
    lie = lying_witness(lying_witness(truth, 0), 1)
    both = answer(world, court, ask(world, client, truth), lie)
    first, second = both.challenge(challenger, 0), both.challenge(challenger, 1)
    before = {shard: stakes(both, shard) for shard in (0, 1)}
    after_the_defence(second)
    assert (second.conclude(), first.conclude()) == (FALLEN, FALLEN)
    for shard in (0, 1):
        assert stakes(both, shard) == {one: held - STAKE for one, held in before[shard].items()}
    world.assert_solvent()


def test_who_lied_in_another_shard_is_found_after_the_query_was_overturned(
    world, court, client, challenger, truth
):
    """Its fee is back by then, so the client gets nothing more."""
    lie = lying_witness(lying_witness(truth, 0), 1)
    both = answer(world, court, ask(world, client, truth), lie)
    first = both.challenge(challenger, 0)
    after_the_defence(first)
    first.conclude()
    repaid = world.lower.vault.rewards(client) + sum(world.market.credit_of(client))
    assert repaid == both.query.base_fee
    before = stakes(both, 1)
    second = both.challenge(challenger, 1)
    after_the_defence(second)
    assert second.conclude() == FALLEN
    assert stakes(both, 1) == {one: held - STAKE for one, held in before.items()}
    assert world.lower.vault.rewards(client) + sum(world.market.credit_of(client)) == repaid
    world.assert_solvent()


def test_honest_work_on_a_wrong_input_is_paid(world, court, challenger, wrong, lie):
    """Whoever signed the second shard computed what it was given, and can show it."""
    case = wrong.challenge(challenger)
    after_the_defence(case)
    case.conclude()
    waiting = [world.waiting(wrong.operator(one)) for one in wrong.signers(1)]
    assert min(waiting) > 0
    assert [world.waiting(wrong.operator(one)) for one in wrong.signers(0)] == [0] * 4


def test_a_challenge_ends_once(challenger, wrong):
    case = wrong.challenge(challenger)
    after_the_defence(case)
    case.conclude()
    with boa.reverts("court: challenge is over"):
        case.conclude()


def test_it_does_not_end_before_it_is_decided(challenger, wrong, lie):
    case = wrong.challenge(challenger)
    with boa.reverts("court: defence may come"):
        case.conclude()
    case.defend(wrong.signers(0)[0], lie)
    after_the_defence(case)
    with boa.reverts("court: a game is open"):
        case.conclude()


def test_another_query_is_refused(world, court, client, challenger, wrong, truth):
    case = wrong.challenge(challenger)
    after_the_defence(case)
    other = answer(world, court, ask(world, client, truth), truth)
    with boa.reverts("court: another query"):
        court.conclude(case.challenge, *other.arguments)


@pytest.mark.parametrize("field", range(11))
def test_a_changed_challenge_is_refused(court, challenger, wrong, field):
    case = wrong.challenge(challenger)
    after_the_defence(case)
    changed = list(case.challenge)
    value = changed[field]
    if field == 4:
        changed[field] = (bytes(32), *value[1:])
    elif field == 5:
        changed[field] = value[1:]
    else:
        changed[field] = boa.env.generate_address() if isinstance(value, str) else value + 1
    with boa.reverts("court: another challenge"):
        court.conclude(tuple(changed), *wrong.arguments)


def test_everybody_sees_how_it_ended(court, challenger, wrong):
    case = wrong.challenge(challenger)
    after_the_defence(case)
    case.conclude()
    (ended,) = events(court, "ChallengeEnded")
    assert (ended.challenge_id, ended.query_id, ended.ending) == (
        case.number,
        wrong.query.query_id,
        FALLEN,
    )
    convicted = events(court, "SignerConvicted")
    assert [log.signer for log in convicted] == wrong.signers(0)
    assert [log.taken for log in convicted] == [STAKE] * 4
    assert court.standing(case.number) == (0, boa.eval("empty(address)"), True)


def test_bonds_are_withdrawn_once(world, court, challenger, outsider, wrong):
    token = world.lower.token
    case = wrong.challenge(challenger)
    after_the_defence(case)
    case.conclude()
    before = token.balanceOf(challenger)
    assert court.withdraw(challenger, sender=outsider) == case.bond
    assert token.balanceOf(challenger) == before + case.bond
    assert (court.bonds_owed(), token.balanceOf(court)) == (0, 0)
    with boa.reverts("court: nothing to withdraw"):
        court.withdraw(challenger)
