"""New NES for queries that are final."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.emission import Schedule, reward_of
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Amount
from nesa.protocol.outcomes import outcome_as_abi, paid_slots
from nesa.protocol.queries import Assurance
from nesa.protocol.versions import version_root
from tests.contracts.token.emitter.conftest import (
    FIRST_BUDGET,
    HALVING_PERIODS,
    PERIOD_SECONDS,
    SHARE_BPS,
    deploy_emitter,
)
from tests.contracts.verifiers import Behaviour, deploy_verifier
from tests.deployment import with_circuits
from tests.market import facts, go_to, pass_blocks
from tests.reports import signer_address


def root_of(shards):
    return version_root(bytes([shards]) * 32, facts(shards), b"\x02" * 32)


def members_of(world, query):
    """Signers of every shard in draw order."""
    drawn = [world.drawn(query, shard, query.replicas) for shard in range(query.shards)]
    return [[signer_address(key) for key in keys] for keys in drawn]


def finished(world, query, **chosen):
    """The query's outcome, final; with the members of its draw."""
    members = members_of(world, query)
    outcome = world.fulfil(query, world.reports(query, **chosen))
    go_to(world.market.closes_at(query.query_id) + 1)
    return outcome, members


def reward(emitter, world, query, outcome, members, **changes):
    given = {
        "query": query.as_abi(),
        "outcome": outcome_as_abi(outcome),
        "members": members,
        "developer": world.developer,
        "root": root_of(query.shards),
    }
    return emitter.reward(*(given | changes).values())


@pytest.fixture
def query(world, client):
    return world.request(client)


@pytest.mark.parametrize("shards", [1, 2])
def test_everybody_who_was_paid_is_credited_alike(emitter, world, client, shards):
    query = world.request(client, shards)
    outcome, members = finished(world, query)
    expected = reward_of(query, SHARE_BPS, FIRST_BUDGET)
    amount = reward(emitter, world, query, outcome, members)
    assert amount == expected.total(paid_slots(outcome)) == emitter.total_credit() > 0
    assert emitter.credit_of(world.developer) == expected.developer
    assert emitter.credit_of(world.owners[outcome.reporter]) == expected.oracle
    for shard in members:
        assert {emitter.credit_of(world.owners[m]) for m in shard} == {expected.slot}
    assert emitter.emitted_in(emitter.period()) == amount == emitter.total_emitted()
    assert emitter.is_rewarded(query.query_id)


def test_no_more_than_its_share_of_the_treasurys_fee(emitter, world, query):
    outcome, members = finished(world, query)
    treasury = split_fee(query).treasury
    amount = reward(emitter, world, query, outcome, members)
    parts = 6
    assert treasury * SHARE_BPS // 10_000 - parts < amount <= treasury * SHARE_BPS // 10_000


def test_a_slot_that_nobody_claimed_earns_nothing(emitter, world, query):
    outcome, members = finished(world, query, signers=[0, 1, 3])
    expected = reward_of(query, SHARE_BPS, FIRST_BUDGET)
    assert reward(emitter, world, query, outcome, members) == expected.total(3)
    assert emitter.credit_of(world.owners[members[0][2]]) == 0


def test_a_closed_query_earns_the_same(emitter, world, query):
    outcome, members = finished(world, query, signers=[0, 1, 3])
    world.market.close(query.as_abi(), outcome_as_abi(outcome))
    assert reward(emitter, world, query, outcome, members) > 0


def test_a_prover_and_whoever_reports_last(emitter, world, client, outsider):
    query = world.request(client, assurance=Assurance.PROVED)
    reports = world.reports(query)
    rules = query.rules
    go_to(query.opened_at + rules.oracle_turn * rules.oracle_turns)
    outcome = world.fulfil_proved(query, reports, sender=outsider)
    go_to(world.market.closes_at(query.query_id) + 1)
    code_hash = keccak(boa.env.get_code(deploy_verifier(Behaviour.CHECKS).address))
    root = version_root(bytes([101]) * 32, with_circuits(facts(1), code_hash), b"\x02" * 32)
    expected = reward_of(query, SHARE_BPS, FIRST_BUDGET)
    reward(emitter, world, query, outcome, members_of(world, query), root=root)
    assert emitter.credit_of(outsider) == expected.oracle > 0


def test_before_it_is_final_reverts(emitter, world, query):
    members = members_of(world, query)
    outcome = world.fulfil(query)
    go_to(world.market.closes_at(query.query_id))
    with boa.reverts("emitter: not final"):
        reward(emitter, world, query, outcome, members)


def test_a_held_query_reverts_until_it_stands(emitter, world, query):
    world.court()
    members = members_of(world, query)
    outcome = world.fulfil(query)
    world.hold(query, outcome)
    pass_blocks(1, 10_000)
    with boa.reverts("emitter: not final"):
        reward(emitter, world, query, outcome, members)
    world.release(query, outcome)
    go_to(world.market.closes_at(query.query_id) + 1)
    assert reward(emitter, world, query, outcome, members) > 0


def test_an_overturned_query_reverts(emitter, world, query):
    world.court()
    members = members_of(world, query)
    outcome = world.fulfil(query)
    world.hold(query, outcome)
    world.overturn(query, outcome)
    pass_blocks(1, 10_000)
    with boa.reverts("emitter: not final"):
        reward(emitter, world, query, outcome, members)


def test_a_refunded_query_reverts(emitter, world, client, query):
    other = world.request(client)
    outcome, members = finished(world, other)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi())
    with boa.reverts("emitter: not final"):
        reward(emitter, world, query, outcome, members)


def test_another_outcome_reverts(emitter, world, query):
    outcome, members = finished(world, query, signers=[0, 1, 3])
    all_paid = replace(outcome.shards[0], paid=0b1111)
    with boa.reverts("emitter: other outcome"):
        reward(emitter, world, query, replace(outcome, shards=(all_paid,)), members)


def test_dearer_terms_revert(emitter, world, query):
    outcome, members = finished(world, query)
    dearer = replace(query, base_fee=query.base_fee * 2)
    with boa.reverts("emitter: other outcome"):
        reward(emitter, world, dearer, outcome, members)


def test_a_second_time_reverts(emitter, world, query):
    outcome, members = finished(world, query)
    reward(emitter, world, query, outcome, members)
    pass_blocks(1, PERIOD_SECONDS)
    with boa.reverts("emitter: rewarded before"):
        reward(emitter, world, query, outcome, members)


def test_neighbours_in_a_word_are_told_apart(emitter, world, client):
    queries = [world.request(client) for _ in range(3)]
    finals = [(query, *finished(world, query)) for query in queries[:1]]
    reward(emitter, world, *finals[0])
    assert [emitter.is_rewarded(q.query_id) for q in queries] == [True, False, False]


def test_other_members_revert(emitter, world, query, outsider):
    outcome, members = finished(world, query)
    for shard in (members[0][::-1], [outsider, *members[0][1:]], members[0][:3], []):
        with boa.reverts("emitter: other members"):
            reward(emitter, world, query, outcome, [shard])


def test_too_few_or_too_many_lists_revert(emitter, world, query):
    outcome, members = finished(world, query)
    none: list[list[str]] = []
    for lists in (none, members * 2):
        with boa.reverts("emitter: wrong member lists"):
            reward(emitter, world, query, outcome, lists)


def test_another_developer_or_root_reverts(emitter, world, query, outsider):
    outcome, members = finished(world, query)
    for change in ({"developer": outsider}, {"root": root_of(2)}):
        with boa.reverts("emitter: other version"):
            reward(emitter, world, query, outcome, members, **change)


def test_a_share_of_zero_uses_no_query_up(emitter, world, owner, query):
    emitter.set_share(0, sender=owner)
    outcome, members = finished(world, query)
    assert emitter.share_bps() == 0
    with boa.reverts("emitter: nothing to reward"):
        reward(emitter, world, query, outcome, members)
    assert not emitter.is_rewarded(query.query_id)


def test_a_spent_budget_reverts_until_the_next_period(world, owner, client):
    query, other = world.request(client), world.request(client)
    each = reward_of(query, SHARE_BPS, FIRST_BUDGET).total(4)
    emitter = deploy_emitter(world, first_budget=2 * each - 1)
    outcomes = []
    for asked in (query, other):
        members = members_of(world, asked)
        outcomes.append((asked, world.fulfil(asked), members))
    go_to(world.market.closes_at(other.query_id) + 1)
    reward(emitter, world, *outcomes[0])
    with boa.reverts("emitter: budget is spent"):
        reward(emitter, world, *outcomes[1])
    pass_blocks(1, PERIOD_SECONDS)
    assert reward(emitter, world, *outcomes[1]) == each


def test_a_query_dearer_than_a_budget_is_rewarded_with_one(world, client, query):
    outcome, members = finished(world, query)
    emitter = deploy_emitter(world, first_budget=1_000)
    assert 990 < reward(emitter, world, query, outcome, members) <= 1_000


def test_budgets_halve_and_end(emitter):
    schedule = Schedule(Amount(FIRST_BUDGET), HALVING_PERIODS)
    for period in (0, HALVING_PERIODS - 1, HALVING_PERIODS, 399, 400, 2_560, 2**200):
        assert emitter.budget_of(period) == schedule.budget(period)
    assert emitter.budget_of(HALVING_PERIODS) == FIRST_BUDGET // 2
    assert emitter.budget_of(256 * HALVING_PERIODS) == 0
    assert sum(schedule.budget(p) for p in range(500)) <= 2 * FIRST_BUDGET * HALVING_PERIODS


def test_periods_count_from_the_deployment(emitter):
    assert emitter.period() == 0
    pass_blocks(1, PERIOD_SECONDS - 1)
    assert emitter.period() == 0
    pass_blocks(1, 1)
    assert emitter.period() == 1


def test_withdrawing_mints(emitter, world, query, outsider):
    outcome, members = finished(world, query)
    reward(emitter, world, query, outcome, members)
    token, before = world.lower.token, world.lower.token.totalSupply()
    owner = world.owners[members[0][0]]
    credit, had = emitter.credit_of(owner), token.balanceOf(owner)
    assert emitter.withdraw(owner, sender=outsider) == credit > 0
    assert token.balanceOf(owner) == had + credit
    assert token.totalSupply() == before + credit
    assert emitter.total_credit() == emitter.total_emitted() - credit
    with boa.reverts("emitter: nothing to withdraw"):
        emitter.withdraw(owner)


def test_nothing_is_minted_before_it_is_the_minter(world, query):
    outcome, members = finished(world, query)
    emitter = deploy_emitter(world)
    reward(emitter, world, query, outcome, members)
    with boa.reverts("token: not the minter"):
        emitter.withdraw(world.developer)
    assert emitter.credit_of(world.developer) > 0


def test_a_price_of_zero_earns_nothing(emitter, world, client):
    version = world.versions[1]
    world.lower.registry.set_price(version, 0, 0, sender=world.developer)
    query = world.request(client)
    outcome, members = finished(world, query)
    assert query.fee == 0
    with boa.reverts("emitter: nobody was paid"):
        reward(emitter, world, query, outcome, members)


def test_delegators_are_staked_their_part(emitter, pool, world, query):
    outcome, members = finished(world, query)
    reward(emitter, world, query, outcome, members)
    operator, token = world.owners[members[0][0]], world.lower.token
    delegator = world.client("delegator", amount=10**12)
    token.approve(pool, 10**12, sender=delegator)
    pool.announce_commission(1_000, sender=operator)
    pool.delegate(operator, 10**12, 0, sender=delegator)
    stake, credit = world.lower.vault.ledger(operator).stake, emitter.credit_of(operator)
    part = credit * 10**12 // stake * 9 // 10
    had = token.balanceOf(operator)
    assert emitter.withdraw(operator) == credit
    assert token.balanceOf(operator) == had + credit - part
    assert world.lower.vault.backing(operator).delegated == 10**12 + part
    assert token.balanceOf(emitter) == 0 == token.balanceOf(pool)
