"""A proof of another output opens a challenge without a bond; the judge has the last word."""

import boa
import pytest

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.parties import Challenger
from tests.contracts.disputes.disputed import (
    PROVABLE,
    Case,
    answer,
    ask,
    events,
    honest_witness,
    lying_witness,
)
from tests.contracts.verifiers import true_proof
from tests.deployment import REQUEST_LIMITS
from tests.market import pass_blocks

STAKE = REQUEST_LIMITS.seat_stake
STANDING, FALLEN = 1, 2


@pytest.fixture
def truth():
    return honest_witness(model=PROVABLE)


@pytest.fixture
def lie(truth):
    return lying_witness(truth)


@pytest.fixture
def right(world, court, client, truth):
    return answer(world, court, ask(world, client, truth, PROVABLE), truth)


@pytest.fixture
def wrong(world, court, client, truth, lie):
    return answer(world, court, ask(world, client, truth, PROVABLE), lie)


def proved(witness):
    """Input, output and what the stand-in takes for a proof of them."""
    table = witness.table
    values = (table.shards[0].inputs[0], table.outputs[0])
    tensors = [witness.encoded(value) for value in values]
    return (*tensors, true_proof(table.types_of(values), tensors))


def show(court, answered, witness, sender):
    """Announces and shows a proof of what a witness holds."""
    out_digest = answered.outcome.shards[0].out_digest
    evidence = court.challenge_evidence(answered.query.query_id, 0, out_digest)
    claim = court.claim_of(sender, evidence)
    if not court.announced_at(claim):
        court.announce(claim, sender=sender)
        pass_blocks(1)
    given = (0, answered.members(0), answered.version, *proved(witness))
    court.show_fault(*answered.arguments, *given, sender=sender)
    (event,) = events(court, "ChallengeOpened")
    return Case(answered, tuple(event.challenge), sender, 0)


def stakes(answered):
    ledger = answered.world.lower.vault.ledger
    return [ledger(answered.operator(one)).stake for one in answered.signers(0)]


def test_an_unrebutted_proof_convicts(court, outsider, wrong, truth):
    case, before = show(court, wrong, truth, outsider), stakes(wrong)
    assert (case.bond, court.bonds_owed()) == (0, 0)
    pass_blocks(1, case.defence_ends + 1 - boa.env.timestamp)
    assert case.conclude() == FALLEN
    assert stakes(wrong) == [stake - STAKE for stake in before]


def test_a_circuit_that_disagrees_with_its_table_costs_no_honest_signer(
    court, outsider, right, truth, lie
):
    """Somebody proves a wrong output by an erring circuit; a signer shows what the table says."""
    case, before = show(court, right, lie, outsider), stakes(right)
    match = case.defend(right.signers(0)[1], truth)
    with boa.reverts("court: nothing is wrong"):
        match.to_the_end(Challenger(lie, 0))
    match.expire()
    assert case.conclude() == STANDING
    assert stakes(right) == before
    assert not court.has_fallen(right.query.query_id, 0)


def test_a_liar_loses_the_game_as_well(court, outsider, wrong, truth, lie):
    case = show(court, wrong, truth, outsider)
    match = case.defend(wrong.signers(0)[0], lie)
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)


def test_a_fault_is_shown_once(court, outsider, right, lie, truth):
    """So that an erring circuit gives nobody a way to challenge for nothing for ever."""
    case = show(court, right, lie, outsider)
    case.defend(right.signers(0)[1], truth).expire()
    case.conclude()
    with boa.reverts("court: fault shown before"):
        show(court, right, lie, outsider)


def test_it_is_announced_like_a_challenge(court, outsider, wrong, truth):
    given = (0, wrong.members(0), wrong.version, *proved(truth))
    with boa.reverts("court: not announced"):
        court.show_fault(*wrong.arguments, *given, sender=outsider)


def test_a_proof_of_the_signed_output_is_no_fault(court, outsider, wrong, lie):
    with boa.reverts("court: proof of the same output"):
        show(court, wrong, lie, outsider)


def test_a_proof_of_another_input_is_no_fault(court, outsider, wrong):
    with boa.reverts("court: proof of other input"):
        show(court, wrong, honest_witness(5, PROVABLE), outsider)


def test_a_false_proof_is_refused(court, outsider, wrong, truth):
    input, output, proof = proved(truth)
    out_digest = wrong.outcome.shards[0].out_digest
    evidence = court.challenge_evidence(wrong.query.query_id, 0, out_digest)
    court.announce(court.claim_of(outsider, evidence), sender=outsider)
    pass_blocks(1)
    with boa.reverts("router: proof refused"):
        court.show_fault(
            *wrong.arguments,
            0,
            wrong.members(0),
            wrong.version,
            input,
            output,
            bytes(len(proof)),
            sender=outsider,
        )
