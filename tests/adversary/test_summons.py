"""Attacks with silence, and with summonses against those who are not silent."""

from dataclasses import replace

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.queries import QueryStatus
from nesa.protocol.summons import sign_answer
from tests.deployment import SUMMONS_RULES, next_epoch
from tests.market import go_to
from tests.reports import signer_address

BOND = SUMMONS_RULES.bond


@pytest.fixture
def caller(world):
    return world.client("caller", 100 * BOND)


def drawing(world, client, operator):
    """A query that draws an operator for its first shard, and its position."""
    for _ in range(40):
        query = world.request(client)
        owners = [world.owners[signer_address(key)] for key in world.drawn(query, 0, 4)]
        if operator in owners:
            return query, owners.index(operator)
    raise AssertionError("never drawn")


def miss(summoning, client, caller, operator):
    """One more unanswered summons of an operator."""
    query, position = drawing(summoning.world, client, operator)
    summoning.may_summon(query)
    summoning.find_absent(query, position, caller)
    next_epoch()


def test_missed_summons_jails_a_seat(world, client, summoning, caller, outsider):
    """A seat is held and never worked in, so that committees come up short."""
    vault, first = world.lower.vault, world.request(client)
    operator, version = summoning.owner(first, 0), first.version_id
    stake = vault.ledger(operator).stake
    for _ in range(SUMMONS_RULES.jail_misses):
        miss(summoning, client, caller, operator)
    summoning.contract.jail(version, operator, sender=outsider)
    place = vault.seat_of(version, operator)
    assert vault.seats(version, place[0], [place[1]])[0].to_epoch == vault.epoch() + 1
    assert vault.ledger(operator).stake == stake
    next_epoch()
    digests = world.lower.registry.facts(version, 0)
    with boa.reverts("vault: already seated"):
        vault.take_seat(version, 0, *digests, sender=operator)


def test_no_reveal_slashed(world, client, summoning, caller, outsider):
    """It commits and opens only what it likes: a spare gets its slot and its pay, and it a miss."""
    query = world.request(client)
    summoning.may_summon(query)
    summoning.find_absent(query, 2, caller)
    summoning.fulfil(query, outsider, summoning.report(query))
    assert world.waiting(summoning.owner(query, 2)) == 0
    assert world.waiting(summoning.owner(query, 4)) == split_fee(query).slot
    assert summoning.contract.misses(query.version_id, summoning.owner(query, 2)) == 1


def test_colluders_jail_nobody_whom_anybody_hears(world, client, summoning, outsider):
    """Three members drop the messages of the fourth and summon it, to have its seat."""
    for _ in range(SUMMONS_RULES.jail_misses):
        query = world.request(client)
        colluder = summoning.owner(query, 0)
        world.give(colluder, BOND)
        summoning.may_summon(query)
        call = summoning.summon(query, 3, colluder)
        with boa.reverts("summons: not over"):
            summoning.contract.declare_absent(call.as_abi(), sender=colluder)
        # It reaches none of the others, and somebody who is nobody's friend.
        summoning.answer(call, sender=outsider)
        go_to(call.deadline + 1)
        with boa.reverts("summons: no such summons"):
            summoning.contract.declare_absent(call.as_abi(), sender=colluder)
        assert summoning.contract.misses(query.version_id, call.operator) == 0
        assert world.lower.token.balanceOf(call.operator) >= BOND
        with boa.reverts("summons: too few misses"):
            summoning.contract.jail(query.version_id, call.operator, sender=colluder)


def test_a_false_summons_costs_its_bond(world, client, summoning, caller):
    """A competitor summons members that are there, in the hope that one is slow."""
    query = world.request(client)
    summoning.may_summon(query)
    before = world.lower.token.balanceOf(caller)
    for position in range(4):
        summoning.answer(summoning.summon(query, position, caller))
    assert world.lower.token.balanceOf(caller) == before - 4 * BOND
    assert summoning.absent_slots(query) == ()


def test_a_summons_in_the_last_moment_is_refused(world, client, summoning, caller):
    """A member that may not be paid lets the query run out by a summons nobody can answer."""
    query = world.request(client)
    go_to(query.answer_deadline - SUMMONS_RULES.answer_window + 1)
    with boa.reverts("summons: too late"):
        summoning.summon(query, 0, caller)
    world.fulfil(query, sender=boa.env.generate_address("anybody"))
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_an_open_summons_holds_up_no_report(world, client, summoning, caller, outsider):
    """The answer is there, and a summons of one of its members is to keep it from the client."""
    query = world.request(client)
    summoning.may_summon(query)
    calls = [summoning.summon(query, position, caller) for position in range(4)]
    outcome = summoning.fulfil(query, outsider, *world.reports(query))
    assert outcome.shards[0].paid == 0b1111
    summoning.declare_absent(calls[0])
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_one_outage_jails_nobody(world, client, summoning, caller):
    """A client asks many queries while a competitor is known to be away."""
    first = world.request(client)
    operator = summoning.owner(first, 0)
    asked = [(first, 0), *(drawing(world, client, operator) for _ in range(3))]
    summoning.may_summon(asked[-1][0])
    calls = [summoning.summon(query, position, caller) for query, position in asked]
    next_epoch(2)
    for call in calls:
        summoning.contract.declare_absent(call.as_abi())
    assert summoning.contract.misses(first.version_id, operator) == 1


def test_spares_push_nobody_out(world, client, summoning, outsider):
    """A spare signs beside three members, to be paid for a slot whose member is there."""
    query = world.request(client)
    honest = world.works(query)[0]
    spare = world.drawn(query, 0, 5)[4]
    work = replace(honest, members=(*honest.members[:3], spare))
    commitments = work.commitments()
    results = tuple(work.result(p, commitments, slot=4 if p == 3 else p) for p in range(4))
    report = replace(work.report(), results=results, spares=(3,))
    with boa.reverts("committee: no such member"):
        summoning.fulfil(query, outsider, report)


def test_an_answer_is_for_its_own_summons(world, client, summoning, caller):
    """It keeps what a member once signed, and closes a later summons with it."""
    queries = [world.request(client) for _ in range(2)]
    summoning.may_summon(queries[-1])
    first = summoning.summon(queries[0], 0, caller)
    operators = [summoning.owner(queries[1], position) for position in range(4)]
    position = operators.index(first.operator) if first.operator in operators else 0
    second = summoning.summon(queries[1], position, caller)
    address = summoning.contract.address
    signed = sign_answer(world.keys[first.signer], world.chain_id, address, first)
    summoning.contract.answer(first.as_abi(), bytes(32), *signed)
    with boa.reverts("summons: not signed"):
        summoning.contract.answer(second.as_abi(), bytes(32), *signed)


def test_nobody_else_finds_members_absent(world, summoning):
    """The deployer, the court or an operator writes absences or ends seats at will."""
    vault, operator = world.lower.vault, next(iter(world.owners.values()))
    for account in (world.deployer, world.setter, operator):
        with boa.reverts("vault: not the summoner"):
            vault.record_absence(b"\x01" * 32, 0, sender=account)
        with boa.reverts("vault: not the summoner"):
            vault.jail(world.versions[1], operator, sender=account)
    with boa.reverts("vault: summoner is set"):
        vault.set_summoner(world.deployer, sender=world.setter)
