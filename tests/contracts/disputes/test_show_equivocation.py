"""One member, one input, two outputs: one transaction."""

from dataclasses import replace
from typing import Any

import boa
import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.commitments import commitment
from nesa.protocol.ids import Address, Digest
from tests.contracts.disputes.equivocation import (
    Evidence,
    another,
    equivocation,
    shard_of,
    statement,
)
from tests.deployment import REQUEST_LIMITS, deployer
from tests.market import pass_blocks
from tests.reports import changed, signer_address

PLACE = 1
STAKE = REQUEST_LIMITS.seat_stake


@pytest.fixture
def work(world, client):
    """The first shard's work in an open query."""
    return world.works(world.request(client, 2))[0]


@pytest.fixture
def evidence(work):
    return equivocation(work, PLACE)


def announce(court, challenger, evidence):
    court.announce(court.claim_of(challenger, evidence.digest), sender=challenger)
    pass_blocks(1)


def convict(court, challenger, evidence):
    announce(court, challenger, evidence)
    return court.show_equivocation(*evidence.arguments, sender=challenger)


def owner_of(world, work, position=PLACE):
    return world.owners[signer_address(work.members[position])]


def test_everybody_sees_who_was_convicted(world, court, challenger, work, evidence):
    signer = signer_address(work.members[PLACE])
    assert not court.is_convicted(work.context.query_id, 0, signer)
    convict(court, challenger, evidence)
    (event,) = [log for log in court.get_logs() if type(log).__name__ == "EquivocationShown"]
    assert (event.operator, event.challenger) == (owner_of(world, work), challenger)
    assert (event.query_id, event.shard, event.taken) == (work.context.query_id, 0, STAKE)
    assert court.is_convicted(work.context.query_id, 0, signer)
    assert not court.is_convicted(work.context.query_id, 1, signer)


def test_nobody_is_convicted_twice(court, challenger, work, evidence):
    convict(court, challenger, evidence)
    again = swapped(evidence)
    third = Evidence(evidence.shard, evidence.first, statement(another(work, "third"), PLACE))
    for one in (again, third):
        with boa.reverts("court: convicted before"):
            convict(court, challenger, one)


def test_the_rest_is_taken_once_it_is_there(world, court, challenger, work, evidence):
    """Who had less than a seat's stake at first loses the rest later, and no more than that."""
    vault, operator = world.lower.vault, owner_of(world, work)
    spare = vault.ledger(operator).stake - STAKE // 4
    vault.slash(operator, spare, challenger, challenger, 0, sender=court.address)
    assert convict(court, challenger, evidence) == STAKE // 4
    world.give(challenger, STAKE)
    world.lower.token.approve(vault, STAKE, sender=challenger)
    vault.deposit_for(operator, STAKE, sender=challenger)
    assert convict(court, challenger, swapped(evidence)) == STAKE - STAKE // 4
    third = Evidence(evidence.shard, evidence.first, statement(another(work, "third"), PLACE))
    with boa.reverts("court: convicted before"):
        convict(court, challenger, third)


def test_each_of_two_members_is_convicted(world, court, challenger, work):
    for position in (0, 3):
        assert convict(court, challenger, equivocation(work, position)) == STAKE


def test_unannounced_evidence_is_refused(court, challenger, evidence):
    with boa.reverts("court: not announced"):
        court.show_equivocation(*evidence.arguments, sender=challenger)


def test_read_evidence_comes_too_late(court, challenger, outsider, evidence):
    """Who reads it in a waiting transaction announces in that block and shows in the next."""
    announce(court, challenger, evidence)
    court.announce(court.claim_of(outsider, evidence.digest), sender=outsider)
    with boa.reverts("court: announced just now"):
        court.show_equivocation(*evidence.arguments, sender=outsider)
    with boa.reverts("court: not announced"):
        court.show_equivocation(*swapped(evidence).arguments, sender=outsider)
    assert court.show_equivocation(*evidence.arguments, sender=challenger) == STAKE


def swapped(evidence):
    return Evidence(evidence.shard, evidence.second, evidence.first)


def test_a_claim_is_announced_once(court, challenger, outsider, evidence):
    """Nobody moves the block of somebody else's claim."""
    claim = court.claim_of(challenger, evidence.digest)
    court.announce(claim, sender=challenger)
    at = court.announced_at(claim)
    pass_blocks(1)
    with boa.reverts("court: announced before"):
        court.announce(claim, sender=outsider)
    assert court.announced_at(claim) == at


def test_one_output_twice_is_no_equivocation(court, challenger, work):
    """Rounds go by, sets change; an honest member's output does not."""
    later = replace(work, round=5)
    honest = Evidence(shard_of(work), statement(work, PLACE), statement(later, PLACE))
    with boa.reverts("court: one output"):
        convict(court, challenger, honest)


def test_two_members_may_differ(court, challenger, work):
    mixed = Evidence(shard_of(work), statement(work, 0), statement(another(work), 1))
    with boa.reverts("court: two signers"):
        convict(court, challenger, mixed)


@pytest.mark.parametrize(
    "context", [{"seed": Digest(keccak(text="other branch"))}, {"attempt": 1}, {"shard": 1}]
)
def test_another_history_or_attempt_contradicts_nothing(court, challenger, work, context):
    """The same query number may mean another model there."""
    elsewhere = changed(another(work), **context)
    mixed = Evidence(shard_of(work), statement(work, PLACE), statement(elsewhere, PLACE))
    with boa.reverts():
        convict(court, challenger, mixed)
    reverse = Evidence(shard_of(elsewhere), mixed.first, mixed.second)
    with boa.reverts():
        convict(court, challenger, reverse)


def test_another_input_contradicts_nothing(court, challenger, work):
    corrected = replace(another(work), in_digest=Digest(keccak(text="corrected")))
    for shard in (shard_of(work), shard_of(corrected)):
        mixed = Evidence(shard, statement(work, PLACE), statement(corrected, PLACE))
        with boa.reverts():
            convict(court, challenger, mixed)


def other_than(entry: Any) -> Any:
    match entry:
        case list():
            return [*entry[:-1], keccak(text="x")]
        case bytes():
            return keccak(text="x")
        case _:
            return entry + 1


@pytest.mark.parametrize("field", range(5))
def test_a_changed_shard_convicts_nobody(court, challenger, evidence, field):
    entry = evidence.shard[field]
    forged = (*evidence.shard[:field], other_than(entry), *evidence.shard[field + 1 :])
    with boa.reverts():
        convict(court, challenger, replace(evidence, shard=forged))


@pytest.mark.parametrize("which", ["first", "second"])
@pytest.mark.parametrize("field", range(8))
def test_a_changed_field_convicts_nobody(court, challenger, evidence, which, field):
    given = getattr(evidence, which)
    forged = (*given[:field], other_than(given[field]), *given[field + 1 :])
    with boa.reverts():
        convict(court, challenger, replace(evidence, **{which: forged}))


def test_a_place_beyond_the_set_is_refused(court, challenger, evidence):
    beyond = (*evidence.first[:4], 8, *evidence.first[5:])
    with boa.reverts("court: no such place"):
        convict(court, challenger, replace(evidence, first=beyond))


def test_a_signer_of_nobody_costs_nobody(court, challenger, work):
    """Keys that no operator consented to."""
    strangers = replace(work, members=tuple(stranger(place) for place in range(4)))
    with boa.reverts("court: no operator"):
        convict(court, challenger, equivocation(strangers, PLACE))


def test_a_signature_of_nobody_is_refused(court, challenger, work, evidence):
    """Its author would be the zero address, for which anybody can commit."""
    nobody, salt = Address("0x" + "00" * 20), bytes(32)
    hidden = commitment(work.context, 0, nobody, work.in_digest, work.out_digest, salt)
    unsigned = (0, work.out_digest, work.payload_hash, [hidden], 0, salt, bytes(32), bytes(32))
    with boa.reverts("court: no signature"):
        convict(court, challenger, replace(evidence, first=unsigned))


def stranger(place):
    return PrivateKey(keccak(text=f"stranger {place}"))


@pytest.mark.parametrize("missing", range(9))
def test_a_court_over_nothing_is_not_deployed(world, missing):
    given = [boa.env.generate_address() for _ in range(9)]
    given[missing] = "0x" + "00" * 20
    with boa.reverts("court: no contract"):
        deployer("disputes/DisputeCourt").deploy(*given)


def test_a_conviction_without_code_is_not_asked():
    """A bare call of an address without code succeeds, and would convict everybody."""
    given = [boa.env.generate_address() for _ in range(9)]
    with boa.reverts("court: no conviction"):
        deployer("disputes/DisputeCourt").deploy(*given)
