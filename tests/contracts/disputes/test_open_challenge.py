"""Who may challenge what, when, and at what price."""

from dataclasses import astuple, replace
from typing import Any

import boa

from nesa.chain.court import NO_VIEW
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import QueryStatus
from tests.contracts.disputes.disputed import answer, ask, events, lying_witness, rich
from tests.deployment import QUERY_PARAMETERS, REQUEST_LIMITS
from tests.market import pass_blocks

STAKE = REQUEST_LIMITS.seat_stake


def test_everything_is_announced(world, court, challenger, client, wrong):
    case = wrong.challenge(challenger)
    (opened,) = events(court, "ChallengeOpened")
    number, who, query_id, requester, charge, signers, *rest = case.challenge
    stake, bond, penalty, ends, window, accused = rest
    assert accused == boa.eval("empty(address)")
    assert (opened.challenge_id, opened.challenger, opened.query_id) == (number, who, query_id)
    assert (number, who, query_id, requester) == (1, challenger, wrong.query.query_id, client)
    settled = wrong.outcome.shards
    assert tuple(charge) == (
        wrong.signed.rows.root,
        0,
        2,
        wrong.query.input_digest,
        settled[0].out_digest,
    )
    assert list(signers) == wrong.signers(0)
    assert (stake, bond, penalty) == (STAKE, STAKE // 10, STAKE // 20)
    assert ends == boa.env.timestamp + QUERY_PARAMETERS.defence_window
    assert window == QUERY_PARAMETERS.move_window
    assert court.standing(number) == (0, boa.eval("empty(address)"), False)
    assert not court.has_fallen(query_id, 0)


def test_the_second_shard_begins_where_the_first_ends(challenger, wrong):
    case = wrong.challenge(challenger, 1)
    assert case.charge.in_digest == wrong.outcome.shards[0].out_digest
    assert case.charge.out_digest == wrong.outcome.shards[1].out_digest


def test_everything_stands_still(world, challenger, wrong):
    vault, market = world.lower.vault, world.market
    wrong.challenge(challenger)
    operator = wrong.operator(wrong.signers(0)[0])
    assert vault.ledger(operator).holds == 1
    pass_blocks(1, 10_000)
    assert market.status_of(wrong.query.query_id) == QueryStatus.FULFILLED
    with boa.reverts("market: held"):
        market.close(*wrong.arguments)
    version = world.versions[9]
    vault.leave_seat(version, *vault.seat_of(version, operator), sender=operator)
    pass_blocks(1, 10_000)
    with boa.reverts("vault: seat is held"):
        vault.release_seat(version, *vault.seat_of(version, operator))


def test_the_bond_is_pulled(world, court, challenger, wrong):
    token = world.lower.token
    before = token.balanceOf(challenger)
    case = wrong.challenge(challenger)
    assert before - token.balanceOf(challenger) == case.bond == token.balanceOf(court)
    assert court.bonds_owed() == case.bond


def test_without_a_bond_there_is_no_challenge(world, court, wrong):
    poor = rich(world, "poor challenger", court, STAKE // 10 - 1)
    with boa.reverts():
        wrong.challenge(poor)
    assert court.bonds_owed() == 0


def test_it_is_announced_first(court, challenger, outsider, wrong):
    arguments = (*wrong.arguments, 0, wrong.members(0), wrong.version, NO_VIEW.as_abi())
    with boa.reverts("court: not announced"):
        court.open_challenge(*arguments, sender=challenger)
    wrong.announce(challenger, 1)
    with boa.reverts("court: not announced"):
        court.open_challenge(*arguments, sender=challenger)
    wrong.announce(challenger)
    with boa.reverts("court: not announced"):
        court.open_challenge(*arguments, sender=outsider)


def test_a_read_challenge_comes_a_block_later(world, court, challenger, wrong):
    """Who reads it in a waiting transaction can announce in that block at the earliest."""
    copier = rich(world, "copier", court)
    wrong.announce(challenger)
    out_digest = wrong.outcome.shards[0].out_digest
    evidence = court.challenge_evidence(wrong.query.query_id, 0, out_digest)
    court.announce(court.claim_of(copier, evidence), sender=copier)
    arguments = (*wrong.arguments, 0, wrong.members(0), wrong.version, NO_VIEW.as_abi())
    with boa.reverts("court: announced just now"):
        court.open_challenge(*arguments, sender=copier)
    court.open_challenge(*arguments, sender=challenger)


def test_a_changed_argument_is_refused(world, court, challenger, wrong):
    wrong.announce(challenger)
    query, outcome = wrong.arguments
    members, version = wrong.members(0), wrong.version
    other = replace(wrong.query, replicas=5).as_abi()
    later = outcome_as_abi(replace(wrong.outcome, fulfilled_at=1))
    refused = [
        ((other, outcome, 0, members, version), "court: another outcome"),
        ((query, later, 0, members, version), "court: another outcome"),
        ((query, outcome, 2, members, version), "court: no such shard"),
        ((query, outcome, 0, members[:-1], version), "court: other members"),
        ((query, outcome, 0, members[::-1], version), "court: other members"),
        ((query, outcome, 0, wrong.members(1), version), "court: other members"),
    ]
    for field in range(4):
        changed = list(version)
        changed[field] = challenger if field == 0 else bytes(32)
        refused.append(((query, outcome, 0, members, tuple(changed)), "court: another version"))
    for arguments, reason in refused:
        with boa.reverts(reason):
            court.open_challenge(*arguments, NO_VIEW.as_abi(), sender=challenger)
    court.open_challenge(query, outcome, 0, members, version, NO_VIEW.as_abi(), sender=challenger)


def test_the_last_second_of_the_window_counts(world, challenger, wrong):
    closes = world.market.closes_at(wrong.query.query_id)
    pass_blocks(1, closes - 1 - boa.env.timestamp)
    wrong.challenge(challenger)
    assert world.market.closes_at(wrong.query.query_id) == boa.env.timestamp


def test_after_the_window_it_is_too_late(world, challenger, wrong):
    closes = world.market.closes_at(wrong.query.query_id)
    pass_blocks(1, closes - boa.env.timestamp)
    with boa.reverts("market: not to be held"):
        wrong.challenge(challenger)


def test_an_unanswered_query_has_nothing_to_challenge(world, court, challenger, client, truth):
    query = ask(world, client, truth)
    outcome: Any = (bytes(32), bytes(32), bytes(32), challenger, 0, [])
    with boa.reverts("court: another outcome"):
        court.open_challenge(
            query.as_abi(), outcome, 0, [], (challenger, *[bytes(32)] * 3), NO_VIEW.as_abi()
        )


def test_what_has_fallen_is_not_challenged_again(world, court, challenger, wrong):
    case = wrong.challenge(challenger)
    pass_blocks(1, case.defence_ends + 1 - boa.env.timestamp)
    case.conclude()
    with boa.reverts("court: has fallen"):
        wrong.challenge(rich(world, "late challenger", court))


def test_parameters_of_the_request_and_of_the_moment(world, court, challenger, wrong, client):
    """Clocks are the query's, sums those of the moment at which the challenge opens."""
    knobs = world.lower.parameters
    clocks = replace(QUERY_PARAMETERS, defence_window=7, move_window=3)
    limits = replace(REQUEST_LIMITS, challenger_bond_bps=2_000, defence_penalty_bps=3)
    knobs.set_query_parameters(astuple(clocks), sender=world.deployer)
    knobs.set_request_limits(astuple(limits), sender=world.deployer)
    case = wrong.challenge(challenger)
    assert case.defence_ends == boa.env.timestamp + QUERY_PARAMETERS.defence_window
    assert case.challenge[10] == QUERY_PARAMETERS.move_window
    assert (case.bond, case.penalty) == (STAKE // 5, STAKE * 3 // 10_000)


def test_who_was_left_out_and_claimed_its_slot_signed_too(world, court, challenger, client, truth):
    lie = lying_witness(truth)
    query = ask(world, client, truth)
    partial = answer(world, court, query, lie, paid={0: (0, 1, 3)})
    assert partial.signers(0) == [one for k, one in enumerate(partial.members(0)) if k != 2]
    work = partial.works[0]
    signed = work.result(2, work.commitments())
    world.market.claim_slot(
        *partial.arguments,
        0,
        list(work.commitments()),
        (signed.position, signed.salt, signed.r, signed.vs),
    )
    shards = list(partial.outcome.shards)
    shards[0] = replace(shards[0], paid=0b1111)
    partial.outcome = replace(partial.outcome, shards=tuple(shards))
    case = partial.challenge(challenger)
    assert list(case.challenge[5]) == partial.members(0)


def test_who_was_left_out_and_claimed_nothing_signed_nothing(
    world, court, challenger, client, truth
):
    """Its stake is no part of a challenge, and it cannot answer for the others."""
    lie = lying_witness(truth)
    partial = answer(world, court, ask(world, client, truth), lie, paid={0: (0, 1, 3)})
    absent = partial.members(0)[2]
    case = partial.challenge(challenger)
    assert list(case.challenge[5]) == partial.signers(0)
    with boa.reverts("court: not a signer"):
        case.defend(absent, truth)
    assert world.lower.vault.ledger(partial.operator(absent)).holds == 0
