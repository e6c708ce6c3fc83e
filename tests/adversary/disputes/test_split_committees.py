"""Attacks around committees that split without a quorum, where no answer is there to challenge."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.moves import Pick
from nesa.models.disputes.parties import Challenger
from nesa.protocol.ids import Digest
from nesa.protocol.queries import QueryStatus
from tests.contracts.disputes.disputed import (
    after_the_defence,
    answer,
    ask,
    false_trace,
    rich,
    split,
)
from tests.contracts.disputes.equivocation import Evidence
from tests.deployment import REQUEST_LIMITS
from tests.market import go_to, pass_blocks, seed_of

STAKE = REQUEST_LIMITS.seat_stake
BOND = STAKE * REQUEST_LIMITS.challenger_bond_bps // 10_000
STANDING, FALLEN, FALLEN_ELSEWHERE = 1, 2, 4
HONEST, LIARS = (0, 1), (2, 3)


def test_a_split_committee_sues_itself(world, court, torn, truth, lie):
    """Two of four lie, so that no quorum comes about, no outcome stands, and nobody could be
    challenged: each side can sue the other for what it signed, and only the liars lose stake."""
    before = [torn.stake(place) for place in range(4)]
    suits = []
    for place in (*LIARS, *HONEST):
        accuser = rich(world, f"accuser of {place}", court)
        suits.append(torn.sue(accuser, place))
    for place, case in zip((*LIARS, *HONEST), suits, strict=True):
        held = truth if place in HONEST else lie
        ended = case.defend(torn.member(place), held).to_the_end(Challenger(truth, 0))
        assert (ended == Ended(Side.CHALLENGER, Cause.FACT)) == (place in LIARS)
    for place, case in zip(HONEST, suits[2:], strict=True):
        case.games[torn.member(place)].expire()
    go_to(max(case.defence_ends for case in suits) + 1)
    assert [case.conclude() for case in suits] == [FALLEN, FALLEN, STANDING, STANDING]
    lost = [stake - torn.stake(place) for place, stake in enumerate(before)]
    assert lost == [0, 0, STAKE, STAKE]
    assert [court.credit_of(torn.operator(place)) for place in HONEST] == [BOND // 2] * 2


def test_a_silent_member_of_a_split_committee_loses_its_seat(challenger, torn):
    """A liar signs, and then neither defends nor answers anybody: its statement falls."""
    case, before = torn.sue(challenger, 3), torn.stake(3)
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert torn.stake(3) == before - STAKE


def test_a_statement_of_another_history_convicts_nobody(world, court, challenger, client, truth):
    """A reorganisation gave the query's number to another model, and an honest member's signature
    from before it, true there, is wrong here: its seed is the hash of no block of this chain."""
    query = ask(world, client, truth)
    honest = split(world, court, query, (truth,) * 4)
    work = honest.works[1]
    elsewhere = replace(
        work,
        context=replace(work.context, seed=Digest(keccak(text="a block that is gone"))),
        out_digest=Digest(keccak(text="what another model makes of it")),
    )
    uprooted = replace(honest)
    uprooted.__dict__["works"] = (elsewhere,) * 4
    statement = uprooted.statement(1)
    assert statement.reveal.context.seed != seed_of(query)
    with boa.reverts("court: seed of another history"):
        uprooted.sue(challenger, 1)
    # Said to be of this history it opens no commitment of its set.
    context = replace(statement.reveal.context, seed=seed_of(query))
    forged = replace(statement, reveal=replace(statement.reveal, context=context))
    with boa.reverts("court: not committed"):
        uprooted.sue(challenger, 1, statement=forged)


def test_a_sham_suit_costs_its_bond(world, court, challenger, torn, truth):
    """A liar sues the honest side first, to be the one who is believed: half of the bond goes to
    whom it sued, half is gone, and its own statement can be sued as before."""
    supply, before = world.lower.token.totalSupply(), torn.stake(0)
    sham = torn.sue(challenger, 0)
    sham.defend(torn.member(0), truth).expire()
    assert sham.conclude() == STANDING
    assert torn.stake(0) == before
    assert court.credit_of(torn.operator(0)) == BOND // 2
    assert supply - world.lower.token.totalSupply() == BOND - BOND // 2
    honest = rich(world, "honest", court)
    case = torn.sue(honest, 2)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_a_friendly_suit_clears_nobody(world, court, challenger, torn, lie):
    """A liar has an accomplice sue it and give up, so that its statement counts as defended: that
    suit is won, and the next falls all the same."""
    accomplice = rich(world, "accomplice", court)
    friendly, case = torn.sue(accomplice, 2), torn.sue(challenger, 2)
    before = torn.stake(2)
    friendly.defend(torn.member(2), lie).expire()
    assert friendly.conclude() == STANDING
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert torn.stake(2) == before - STAKE


def test_two_suits_at_once_take_one_stake(world, court, torn, truth, lie):
    """Both honest members sue the same liar, and somebody shows that it equivocated besides, to
    take its stake three times: a shard of a query costs one seat."""
    first, second = (rich(world, name, court) for name in ("first", "second"))
    suits, before = [torn.sue(one, 2) for one in (first, second)], torn.stake(2)
    for case in suits:
        case.defend(torn.member(2), lie).to_the_end(Challenger(truth, 0))
    other = replace(torn.works[0], round=1)
    signed = other.result(2, other.commitments())
    head = (1, other.out_digest, other.payload_hash, list(other.commitments()), 2)
    said = torn.statement(2)
    evidence = Evidence(
        said.shard_as_abi(), said.as_abi(), (*head, signed.salt, signed.r, signed.vs)
    )
    court.announce(court.claim_of(first, evidence.digest), sender=first)
    pass_blocks(1)
    with boa.reverts("court: convicted before"):
        court.show_equivocation(*evidence.arguments, sender=first)
    go_to(suits[1].defence_ends + 1)
    assert [case.conclude() for case in suits] == [FALLEN, FALLEN_ELSEWHERE]
    assert torn.stake(2) == before - STAKE
    assert world.lower.vault.rewards(first) == STAKE // 4
    assert [court.credit_of(one) for one in (first, second)] == [BOND, BOND]


def test_a_retry_does_not_wash_a_statement_away(world, challenger, client, torn, truth):
    """The client is a friend of the liars and asks again, or takes its fee back, as soon as it may:
    what was signed in the first attempt is sued under the terms of the second."""
    before, statement = torn.stake(2), torn.statement(2)
    torn.announce(challenger, statement)
    go_to(torn.query.answer_deadline + 1)
    world.market.retry(torn.query.as_abi(), sender=client)
    again = type(torn.query).from_abi(world.event("AttemptOpened").query)
    with boa.env.anchor():
        case = torn.open(challenger, statement, query=again)
        after_the_defence(case)
        assert case.conclude() == FALLEN
        assert torn.stake(2) == before - STAKE
    go_to(again.answer_deadline + 1)
    world.market.refund(again.as_abi(), sender=client)
    case = torn.open(challenger, statement, query=again)
    after_the_defence(case)
    assert case.conclude() == FALLEN


def test_a_suit_goes_on_when_its_digest_settles(world, court, challenger, client, truth, lie):
    """Liars sue themselves just before their lie is answered, so that the answer counts as judged:
    the suit is about one member, and the answer is challenged and falls as any other."""
    query = ask(world, client, truth)
    case = split(world, court, query, (lie,) * 4).sue(challenger, 1)
    answered = answer(world, court, query, lie)
    member = case.challenge[5][0]
    before = world.lower.vault.ledger(answered.operator(member)).stake
    other = answered.challenge(rich(world, "watcher", court))
    assert world.lower.vault.ledger(answered.operator(member)).holds == 2
    go_to(other.defence_ends + 1)
    assert other.conclude() == FALLEN
    assert case.conclude() == FALLEN
    assert world.lower.vault.ledger(answered.operator(member)).stake == before - STAKE
    assert world.market.status_of(query.query_id) == QueryStatus.OVERTURNED
    assert court.credit_of(challenger) == BOND


def test_a_right_statement_is_defended_though_its_query_settled(
    world, court, challenger, client, truth
):
    """A rival sues a member for what a quorum then signs as well: the member defends it alone, and
    neither its pay nor the query is held up meanwhile."""
    query = ask(world, client, truth)
    case = split(world, court, query, (truth,) * 4).sue(challenger, 1)
    answered = answer(world, court, query, truth)
    case.defend(case.challenge[5][0], truth).expire()
    go_to(world.market.closes_at(query.query_id) + 1)
    assert world.market.status_of(query.query_id) == QueryStatus.FINAL
    assert case.conclude() == STANDING
    assert world.lower.vault.ledger(answered.operator(case.challenge[5][0])).holds == 0


def test_a_false_trace_costs_only_its_author(world, court, challenger, torn, truth):
    """A bribed honest member defends its right statement with a wrong trace: it loses its own seat,
    and nobody else's statement is touched."""
    case, before = torn.sue(challenger, 0), [torn.stake(place) for place in range(4)]
    match = case.defend(torn.member(0), false_trace(truth))
    assert match.to_the_end(Challenger(truth, 0)) == Ended(Side.CHALLENGER, Cause.FACT)
    after_the_defence(case)
    case.conclude()
    lost = [stake - torn.stake(place) for place, stake in enumerate(before)]
    assert lost == [STAKE, 0, 0, 0]
    other = torn.sue(rich(world, "other", court), 1)
    other.defend(torn.member(1), truth).expire()
    assert other.conclude() == STANDING


def test_a_sued_liar_does_not_run(world, challenger, torn):
    """A sued liar leaves its seat and unbonds: it is held until the suit is over."""
    vault, operator, version = world.lower.vault, torn.operator(2), torn.query.version_id
    case, before = torn.sue(challenger, 2), torn.stake(2)
    vault.leave_seat(version, *vault.seat_of(version, operator), sender=operator)
    pass_blocks(1, 10_000)
    with boa.reverts("vault: seat is held"):
        vault.release_seat(version, *vault.seat_of(version, operator))
    assert case.conclude() == FALLEN
    assert vault.ledger(operator).stake == before - STAKE


def test_a_suit_is_not_stolen_from_the_mempool(world, court, challenger, torn):
    """A thief copies a suit out of a waiting transaction for its reward: it was announced in the
    accuser's name, a block before anybody saw the statement."""
    thief, statement = rich(world, "thief", court), torn.statement(2)
    torn.announce(challenger, statement)
    court.announce(court.claim_of(thief, statement.evidence), sender=thief)
    with boa.reverts("court: announced just now"):
        torn.open(thief, statement)
    torn.open(challenger, statement)


@pytest.mark.parametrize("late", [1, 10_000])
def test_old_statements_are_not_dug_out(world, challenger, torn, late):
    """A rival pins a seed and sues years later, when the member has forgotten its input: the time
    to sue ends with the dispute window that an answer in the last second would have had."""
    world.market.pin_seed(torn.query.seed_block)
    statement = torn.statement(0)
    torn.announce(challenger, statement)
    go_to(torn.query.answer_deadline + torn.query.rules.dispute_window + late)
    with boa.reverts("court: too late to sue"):
        torn.open(challenger, statement)


def test_a_sued_member_that_is_late_pays_for_the_delay(challenger, torn):
    """A liar defends and says nothing more, to keep its accuser waiting: it pays the penalty, and
    its statement falls."""
    case, before = torn.sue(challenger, 2), torn.stake(2)
    match = case.defend(torn.member(2), torn.sides[2])
    match.play(Pick(len(match.state.nodes) - 1), challenger)
    match.expire()
    assert torn.stake(2) == before - case.penalty
    after_the_defence(case)
    assert case.conclude() == FALLEN
    assert torn.stake(2) == before - case.penalty - STAKE
