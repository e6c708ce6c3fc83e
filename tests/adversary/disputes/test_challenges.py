"""Attacks on disputes: on who challenges, on who defends, on what either is paid."""

import boa
import numpy as np
import pytest

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.moves import Pick
from nesa.models.disputes.parties import Challenger
from nesa.models.judging import Witness
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import Address
from nesa.protocol.queries import QueryStatus
from nesa.protocol.slashing import credited
from tests.contracts.disputes.disputed import (
    CONTENT_KEY,
    MODEL,
    after_the_defence,
    answer,
    ask,
    false_trace,
    rich,
    stakes,
)
from tests.contracts.disputes.equivocation import equivocation
from tests.deployment import REQUEST_LIMITS
from tests.judging import witness_of
from tests.market import pass_blocks
from tests.models.disputes.parties import falsified, recomputed
from tests.reports import keys_of, signer_address

STAKE = REQUEST_LIMITS.seat_stake
STANDING, FALLEN, FALLEN_ELSEWHERE = 1, 2, 4


def test_dispute_late(world, challenger, right):
    """A challenger waits until everybody has gone home and challenges then: after the window no
    challenge is taken, and what was earned can be withdrawn."""
    closes = world.market.closes_at(right.query.query_id)
    pass_blocks(1, closes - boa.env.timestamp)
    assert world.market.status_of(right.query.query_id) == QueryStatus.FULFILLED
    with boa.reverts("market: not to be held"):
        right.challenge(challenger)
    assert world.market.status_of(right.query.query_id) == QueryStatus.FINAL


def test_silent_prover_loses(world, challenger, wrong, lie):
    """A liar defends and then says nothing, so that the challenger waits for ever: its time runs
    out, it pays for the delay, and the digest falls all the same."""
    case, before = wrong.challenge(challenger), stakes(wrong)
    signer = wrong.signers(0)[1]
    match = case.defend(signer, lie)
    match.play(Pick(len(match.state.nodes) - 1), challenger)
    match.expire()
    assert stakes(wrong)[signer] == before[signer] - case.penalty
    assert world.lower.vault.rewards(challenger) == credited(case.penalty)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert stakes(wrong)[signer] == max(0, before[signer] - case.penalty - STAKE)


def test_an_input_out_of_range_is_no_cover(world, court, challenger, client, truth):
    """A liar's client sends an input out of its range, which no honest member answers and no judge
    would take as an operand: a lie about it falls as any other."""
    given = truth.values[0].copy()
    given.reshape(-1)[0] = -128
    natural = recomputed(Witness(truth.table, {**truth.values, 0: given}), 0)
    true = int(natural.values[1].reshape(-1)[0])
    said = falsified(natural, 0, 0, true + 1, hide=False)
    for witness in (natural, said):
        witness.keep(0, given.astype(np.int8).tobytes())
    wrong = answer(world, court, ask(world, client, said), said)
    case = wrong.challenge(challenger)
    ended = case.defend(wrong.signers(0)[0], said).to_the_end(Challenger(natural, 0))
    assert ended == Ended(Side.CHALLENGER, Cause.FACT)


@pytest.mark.parametrize("key", [None, CONTENT_KEY], ids=["open", "sealed"])
def test_a_plausible_answer_to_an_input_out_of_range_falls(
    world, court, challenger, client, truth, key
):
    """A liar's client sends an input out of its range, and the liars give what the nearest input
    within would give, so that no value differs from what anybody computes: one element reads what
    is out of range, and whatever is claimed of it is wrong."""
    edge = truth.table.inputs[0]
    data = bytes([edge.low - 1 & 255] * edge.elements)
    said = witness_of(truth.table, [bytes([edge.low & 255] * edge.elements)])
    said.keep(0, data)
    query = ask(world, client, said, content_key=key)
    wrong = answer(world, court, query, said, content_key=key)
    case, before = wrong.challenge(challenger), stakes(wrong)
    signer = wrong.signers(0)[0]
    watchtower = Challenger(Witness.of_shard(truth.table, 0, [data]), 0)
    ended = case.defend(signer, said).to_the_end(watchtower)
    assert ended == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert stakes(wrong) == {one: before[one] - STAKE for one in before}


def test_a_false_friend_ruins_nobody_but_itself(court, challenger, right, truth):
    """A challenger's friend among the signers defends a right digest with a wrong trace, to have
    it fall for all: a lost game convicts its trace, and one honest defence saves the digest."""
    case, before = right.challenge(challenger), stakes(right)
    friend, honest, *_ = right.signers(0)
    false = case.defend(friend, false_trace(truth))
    saved = case.defend(honest, truth)
    assert false.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    with boa.reverts("court: defence may come"):
        case.conclude()
    saved.expire()
    assert case.conclude() == STANDING
    assert stakes(right) == {**before, friend: before[friend] - STAKE}
    assert not court.has_fallen(right.query.query_id, 0)


def test_a_sham_challenge_clears_nothing(world, court, challenger, wrong, lie):
    """A liar's friend challenges and gives up, so that the lie counts as defended: it stands in
    that challenge alone, and falls in the next."""
    friend = rich(world, "friend", court)
    sham = wrong.challenge(friend)
    sham.defend(wrong.signers(0)[0], lie).expire()
    assert sham.conclude() == STANDING
    case = wrong.challenge(challenger)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_a_griefing_challenger_pays_whom_it_keeps_busy(court, challenger, right, truth):
    """A rival challenges right answers to make their signers pay gas and to freeze them: half of
    its bond is theirs, the rest is gone, and nobody loses anything else."""
    case, before = right.challenge(challenger), stakes(right)
    signer = right.signers(0)[2]
    case.defend(signer, truth).expire()
    assert case.conclude() == STANDING
    assert court.credit_of(right.operator(signer)) == case.bond // 2
    assert court.credit_of(challenger) == 0
    assert court.bonds_owed() == case.bond // 2
    assert stakes(right) == before


def test_a_copier_of_moves_earns_nothing(world, court, challenger, wrong, truth, lie):
    """A copier has no model: it opens a challenge of its own and repeats every move that it reads.
    Its challenge begins a block later and so ends later, after the digest has fallen."""
    copier = rich(world, "copier", court)
    case, copy = wrong.challenge(challenger), wrong.challenge(copier)
    signer = wrong.signers(0)[0]
    match, copied = case.defend(signer, lie), copy.defend(signer, lie)
    for one in (match, copied):
        assert one.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    with boa.reverts("court: defence may come"):
        copy.conclude()
    assert case.conclude() == FALLEN
    assert copy.conclude() == FALLEN_ELSEWHERE
    assert world.lower.vault.rewards(copier) == 0
    assert court.credit_of(copier) == copy.bond


def test_a_liar_that_runs_is_hit_all_the_same(world, court, challenger, wrong):
    """A liar rotates its signer, leaves its seat and unbonds what is free as soon as it is
    challenged: it is held, and what is taken is taken from whatever it has."""
    vault, version = world.lower.vault, world.versions[MODEL]
    signer = wrong.signers(0)[3]
    operator, key = wrong.operator(signer), keys_of(["fresh"])["fresh"]
    case, before = wrong.challenge(challenger), stakes(wrong)
    consent = sign_consent(key, world.chain_id, Address(vault.address), Address(operator))
    vault.rotate_signer(signer_address(key), consent, sender=operator)
    vault.leave_seat(version, *vault.seat_of(version, operator), sender=operator)
    pass_blocks(1, 10_000)
    with boa.reverts("vault: seat is held"):
        vault.release_seat(version, *vault.seat_of(version, operator))
    assert case.conclude() == FALLEN
    assert vault.ledger(operator).stake == before[signer] - STAKE


def test_a_liar_cannot_forfeit_against_itself(world, court, wrong, lie):
    """A liar challenges itself through an accomplice and lets itself be convicted first, to keep
    its stake: three quarters are burned whoever is first, and the client is repaid out of the
    rest."""
    vault, token = world.lower.vault, world.lower.token
    accomplice = rich(world, "accomplice", court)
    case, supply = wrong.challenge(accomplice), token.totalSupply()
    after_the_defence(case)
    case.conclude()
    lost = STAKE * len(wrong.signers(0))
    assert supply - token.totalSupply() == lost * 3 // 4
    assert vault.rewards(accomplice) == lost // 4 - vault.rewards(wrong.query.requester)


def test_a_conviction_is_not_had_for_nothing(world, court, challenger, wrong):
    """A liar has an accomplice convict it of contradicting itself in a query while no stake is
    there, best before the query is asked, so that it counts as punished when its lie falls: only
    what was taken counts."""
    vault, signer = world.lower.vault, wrong.signers(0)[0]
    operator, evidence = wrong.operator(signer), equivocation(wrong.works[0], 0)
    nobody = "0x" + "00" * 20
    held = vault.ledger(operator).stake
    vault.slash(operator, held, nobody, nobody, 0, sender=court.address)
    accomplice = rich(world, "accomplice", court)
    court.announce(court.claim_of(accomplice, evidence.digest), sender=accomplice)
    pass_blocks(1)
    assert court.show_equivocation(*evidence.arguments, sender=accomplice) == 0
    assert not court.is_convicted(wrong.query.query_id, 0, signer)
    world.lower.token.approve(vault, STAKE, sender=accomplice)
    vault.deposit_for(operator, STAKE, sender=accomplice)
    case = wrong.challenge(challenger)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert vault.ledger(operator).stake == 0
