"""Attacks with stake: leaving before a fraud is found, losing less than is due, gaining by it."""

from dataclasses import astuple, replace
from itertools import count

import boa
import pytest

from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import Address
from nesa.protocol.slashing import credited
from tests.contracts.disputes.disputed import deploy_court
from tests.contracts.disputes.equivocation import (
    Evidence,
    another,
    equivocation,
    shard_of,
    statement,
)
from tests.deployment import (
    EPOCH_SECONDS,
    REQUEST_LIMITS,
    UNBONDING_SECONDS,
    deployer,
)
from tests.market import go_to, pass_blocks
from tests.reports import keys_of, signer_address

PLACE = 1
STAKE = REQUEST_LIMITS.seat_stake


@pytest.fixture
def court(world):
    return deploy_court(world)


@pytest.fixture
def challenger():
    return boa.env.generate_address("challenger")


@pytest.fixture
def query(world, client):
    return world.request(client, 2)


@pytest.fixture
def work(world, query):
    """The first shard's work in an open query."""
    return world.works(query)[0]


@pytest.fixture
def operator(world, work):
    """Owner of the member that lies."""
    return world.owners[signer_address(work.members[PLACE])]


def convict(court, challenger, evidence):
    """What the court took for announced evidence."""
    court.announce(court.claim_of(challenger, evidence.digest), sender=challenger)
    pass_blocks(1)
    return court.show_equivocation(*evidence.arguments, sender=challenger)


def swapped(evidence):
    return Evidence(evidence.shard, evidence.second, evidence.first)


def seat_of(world, operator):
    version_id = world.versions[2]
    return version_id, *world.lower.vault.seat_of(version_id, operator)


# --- Leaving ---


def test_unbond_before_window(world, client, query, operator):
    """A member answers wrongly and takes its stake before the answer can be disputed: seats stay
    locked until every query that could draw them is closed, and thawing takes as long."""
    vault = world.lower.vault
    world.fulfil(query)
    closing = world.market.closes_at(query.query_id)
    with boa.reverts("vault: too little free stake"):
        vault.begin_unbonding(vault.ledger(operator).stake, sender=operator)
    version_id, shard, slot = seat_of(world, operator)
    vault.leave_seat(version_id, shard, slot, sender=operator)
    while boa.env.timestamp <= closing:
        with boa.reverts("vault: seat may be needed"):
            vault.release_seat(version_id, shard, slot)
        with boa.reverts("vault: too little free stake"):
            vault.begin_unbonding(1, sender=operator)
        go_to(boa.env.timestamp + 30)
    go_to(query.epoch * EPOCH_SECONDS + 2 * EPOCH_SECONDS + UNBONDING_SECONDS)
    vault.release_seat(version_id, shard, slot)
    vault.begin_unbonding(STAKE, sender=operator)
    with boa.reverts("vault: still unbonding"):
        vault.withdraw(sender=operator)


def test_slash_after_deregister(world, court, challenger, work, operator):
    """A liar leaves its seat, begins to unbond what is free and rotates its signer before the
    evidence is shown: a signer is its operator's for good, and stake that leaves can still be
    taken."""
    vault, key = world.lower.vault, keys_of(["fresh"])["fresh"]
    world.give(operator, 5)
    world.lower.token.approve(vault, 5, sender=operator)
    vault.deposit(5, sender=operator)
    vault.leave_seat(*seat_of(world, operator), sender=operator)
    vault.begin_unbonding(5, sender=operator)
    consent = sign_consent(key, world.chain_id, Address(vault.address), Address(operator))
    vault.rotate_signer(signer_address(key), consent, sender=operator)
    go_to(boa.env.timestamp + UNBONDING_SECONDS - 1)
    before = vault.ledger(operator).stake
    assert convict(court, challenger, equivocation(work, PLACE)) == STAKE
    assert vault.ledger(operator).stake == before - STAKE
    assert vault.rewards(challenger) == credited(STAKE)


def test_a_held_operator_cannot_leave(world, court, operator):
    """A member whose game is open takes its thawed stake in the middle of it: while it is held it
    neither withdraws nor has a seat released."""
    vault = world.lower.vault
    world.give(operator, 5)
    world.lower.token.approve(vault, 5, sender=operator)
    vault.deposit(5, sender=operator)
    place = seat_of(world, operator)
    vault.leave_seat(*place, sender=operator)
    vault.begin_unbonding(5, sender=operator)
    vault.hold(operator, sender=court.address)
    go_to(boa.env.timestamp + UNBONDING_SECONDS + 2 * EPOCH_SECONDS)
    with boa.reverts("vault: operator is held"):
        vault.withdraw(sender=operator)
    with boa.reverts("vault: seat is held"):
        vault.release_seat(*place)


# --- Losing ---


def test_equivocation_one_tx(world, court, challenger, work, operator):
    """A member signs two outputs of one input and relies on somebody having to judge: both
    signatures in one transaction of anybody take its seat's stake, of which a quarter is a
    reward."""
    vault, token = world.lower.vault, world.lower.token
    before, supply = vault.ledger(operator).stake, token.totalSupply()
    assert convict(court, challenger, equivocation(work, PLACE)) == STAKE
    assert vault.ledger(operator).stake == before - STAKE
    assert token.totalSupply() == supply - STAKE + credited(STAKE)
    vault.withdraw_reward(challenger)
    assert token.balanceOf(challenger) == credited(STAKE)


def test_slash_twice(world, court, challenger, outsider, work, operator):
    """A challenger shows the same lie again, the other way round, with a third output, or through
    an accomplice, to be rewarded for each: a signer loses one seat's stake for a shard of a
    query."""
    vault, evidence = world.lower.vault, equivocation(work, PLACE)
    before = vault.ledger(operator).stake
    assert convict(court, challenger, evidence) == STAKE
    third = statement(another(work, "third"), PLACE)
    others = [
        swapped(evidence),
        Evidence(evidence.shard, evidence.first, third),
        Evidence(evidence.shard, evidence.second, third),
    ]
    for again in others:
        for accuser in (challenger, outsider):
            with boa.reverts("court: convicted before"):
                convict(court, accuser, again)
    assert vault.ledger(operator).stake == before - STAKE
    assert vault.rewards(outsider) == 0


def test_slash_more_than_stake(world, court, challenger, work, operator):
    """A liar keeps so little stake that taking what is due would fail, and with it the conviction:
    what is there is taken, down to nothing, and the burn and the reward are made of it."""
    vault, token = world.lower.vault, world.lower.token
    held, supply = vault.ledger(operator).stake, token.totalSupply()
    works = [
        replace(work, context=replace(work.context, shard=shard))
        for shard in range(held // STAKE + 2)
    ]
    taken = [convict(court, challenger, equivocation(one, PLACE)) for one in works]
    assert sum(taken) == held
    assert taken[-2:] == [0, 0]
    assert vault.ledger(operator).stake == 0
    rewarded = sum(credited(one) for one in taken)
    assert vault.rewards(challenger) == rewarded
    assert token.totalSupply() == supply - held + rewarded


def test_slash_while_paused(world, court, challenger, work, operator):
    """The owner of everything is bribed and turns every knob it has, up to giving ownership away,
    so that a slash fails: there is no pause, and the slash lands to the last unit."""
    lower, owner = world.lower, world.deployer
    silly = replace(
        REQUEST_LIMITS, max_replicas=1, min_seats=64, exposure_bps=1, max_callback_gas=0
    )
    lower.parameters.set_request_limits(astuple(silly), sender=owner)
    lower.registry.retire(world.versions[2], sender=world.developer)
    lower.vault.hold(operator, sender=court.address)
    lower.parameters.renounce_ownership(sender=owner)
    lower.token.renounce_ownership(sender=owner)
    before = lower.vault.ledger(operator).stake
    assert convict(court, challenger, equivocation(work, PLACE)) == STAKE
    assert lower.vault.ledger(operator).stake == before - STAKE


def test_nobody_else_slashes(world, court, operator, outsider):
    """Somebody slashes operators itself, with itself as the beneficiary: the vault has one slasher,
    named once and for good."""
    vault = world.lower.vault
    setter = world.setter
    for thief in (outsider, setter, world.deployer, operator, world.market.address):
        with boa.reverts("vault: not the slasher"):
            vault.slash(operator, STAKE, thief, thief, 0, sender=thief)
        with boa.reverts():
            vault.set_slasher(thief, sender=thief)
    assert vault.slasher() == court.address


# --- Gaining ---


def test_dispute_self(world, court, work, operator):
    """A liar that is about to be caught convicts itself through an accomplice to keep its stake: a
    quarter of what is taken is a reward, and the rest is gone."""
    vault, token = world.lower.vault, world.lower.token
    accomplice = boa.env.generate_address("accomplice")
    before, supply = vault.ledger(operator).stake, token.totalSupply()
    assert convict(court, accomplice, equivocation(work, PLACE)) == STAKE
    vault.withdraw_reward(accomplice)
    kept = vault.ledger(operator).stake + token.balanceOf(accomplice)
    assert before - kept == supply - token.totalSupply() == STAKE - STAKE // 4


def test_evidence_is_not_stolen_from_the_mempool(court, challenger, outsider, work):
    """A thief copies evidence out of a waiting transaction for the reward: a claim is announced by
    its hash a block before it is shown, and holds who announced it."""
    evidence = equivocation(work, PLACE)
    court.announce(court.claim_of(challenger, evidence.digest), sender=challenger)
    pass_blocks(1)
    court.announce(court.claim_of(outsider, evidence.digest), sender=outsider)
    with boa.reverts("court: announced just now"):
        court.show_equivocation(*evidence.arguments, sender=outsider)
    with boa.reverts("court: not announced"):
        court.show_equivocation(*swapped(evidence).arguments, sender=outsider)
    assert court.show_equivocation(*evidence.arguments, sender=challenger) == STAKE


def test_a_redraw_convicts_nobody_honest(world, client, court, challenger, query, work):
    """A challenger makes an honest member sign twice, in a redraw or another round, and shows both:
    only two outputs of one input under one seed and attempt convict."""
    later = replace(work, round=5)
    honest = Evidence(shard_of(work), statement(work, PLACE), statement(later, PLACE))
    with boa.reverts("court: one output"):
        convict(court, challenger, honest)
    go_to(query.answer_deadline + 1)
    world.market.retry(query.as_abi(), sender=client)
    pass_blocks(2)
    redrawn = replace(another(work), context=replace(work.context, attempt=1))
    for first, second in ((work, redrawn), (redrawn, work)):
        mixed = Evidence(shard_of(first), statement(first, PLACE), statement(second, PLACE))
        with boa.reverts("court: not committed"):
            convict(court, challenger, mixed)


# --- Robbing ---


@pytest.fixture
def friend():
    """Who shows what the operator signs for it to be shown."""
    return boa.env.generate_address("friend")


@pytest.fixture
def pool(world, operator):
    """Takes delegations for the operator."""
    lower = world.lower
    pool = deployer("staking/DelegationPool").deploy(lower.token, lower.vault)
    lower.vault.set_delegation_pool(pool, sender=world.setter)
    pool.announce_commission(5_000, sender=operator)
    return pool


def delegate(world, pool, operator, amount, name="delegator"):
    delegator = world.client(name, amount=amount)
    world.lower.token.approve(pool, amount, sender=delegator)
    pool.delegate(operator, amount, 0, sender=delegator)


def contradictions(work, first=1_000):
    """Evidence against the operator, of as many queries as somebody wants."""
    for query_id in count(first):
        context = replace(work.context, query_id=query_id)
        yield equivocation(replace(work, context=context), PLACE)


def own_stake(vault, operator):
    return vault.ledger(operator).stake - vault.backing(operator).delegated


def test_who_robs_its_delegators_gains_nothing(world, court, pool, work, operator, friend):
    """An operator takes all the stake that anybody lends it, contradicts itself in one query after
    another, and a friend collects for it: half of what the operator put up is gone."""
    vault = world.lower.vault
    own = own_stake(vault, operator)
    delegate(world, pool, operator, own)
    for evidence in contradictions(work):
        if convict(court, friend, evidence) == 0:
            break
        assert 2 * vault.rewards(friend) <= own - own_stake(vault, operator)
    assert vault.ledger(operator).stake == 0
    assert vault.rewards(friend) == own // 2


def test_own_stake_does_not_leave_before_a_robbery(world, court, pool, work, operator, friend):
    """The same, but the operator first leaves its seats and thaws nearly all of its own: what a
    friend collects is half of what is left of it."""
    vault = world.lower.vault
    own = own_stake(vault, operator)
    delegate(world, pool, operator, own)
    vault.leave_seat(*seat_of(world, operator), sender=operator)
    go_to(boa.env.timestamp + UNBONDING_SECONDS + 2 * EPOCH_SECONDS)
    vault.release_seat(*seat_of(world, operator))
    ledger = vault.ledger(operator)
    vault.begin_unbonding(own - ledger.locked // 2 - 9, sender=operator)
    go_to(boa.env.timestamp + UNBONDING_SECONDS)
    vault.withdraw(sender=operator)
    left = own_stake(vault, operator)
    assert 0 < left < own // 2
    for evidence in contradictions(work):
        if convict(court, friend, evidence) == 0:
            break
    assert vault.rewards(friend) == left // 2


def test_what_was_lost_before_robs_nobody_who_comes_later(
    world, court, challenger, pool, work, operator, friend
):
    """An operator that has lost its stake to an honest challenger puts up a little, finds new
    delegators and robs them of what it lost: they answer for nothing that was lost before."""
    vault = world.lower.vault
    own, evidence = own_stake(vault, operator), contradictions(work)
    delegate(world, pool, operator, own)
    while own_stake(vault, operator):
        convict(court, challenger, next(evidence))
    with boa.reverts("vault: operator owns too little"):
        delegate(world, pool, operator, 1, "too early")
    again = own + 2
    world.give(operator, again)
    world.lower.token.approve(vault, again, sender=operator)
    vault.deposit(again, sender=operator)
    delegate(world, pool, operator, 1, "another delegator")
    assert vault.backing(operator).creditable == 0
    while convict(court, friend, next(evidence)):
        assert 2 * vault.rewards(friend) <= again - own_stake(vault, operator)


def test_nobody_delegates_to_take_a_challengers_reward_away(
    world, court, challenger, pool, work, operator, friend
):
    """A liar is shown once, and its friend delegates a unit so that what it lost rewards nobody
    who shows the rest: the delegation is refused, and each seat is worth its whole share."""
    vault = world.lower.vault
    own, evidence = own_stake(vault, operator), contradictions(work)
    delegate(world, pool, operator, own)
    for shown in range(1, own * 2 // STAKE):
        assert convict(court, challenger, next(evidence)) == STAKE
        assert vault.rewards(challenger) == shown * STAKE // 4
        with boa.reverts("vault: operator owns too little"):
            delegate(world, pool, operator, 1, f"dust {shown}")
    assert convict(court, challenger, next(evidence)) == STAKE
    assert vault.rewards(challenger) == own // 2
