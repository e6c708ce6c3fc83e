"""Attacks on what the market keeps and owes."""

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from tests.market import CREDIT_WINDOW, go_to
from tests.reports import signer_address


def test_a_strangers_refund_too_early_is_refused(world, client, outsider):
    """A stranger kills a query that is being answered."""
    query = world.request(client)
    with boa.reverts("market: not yet refundable"):
        world.market.refund(query.as_abi(), sender=outsider)


def test_a_strangers_refund_pays_the_client(world, client, outsider):
    """A stranger wants the fee of a query that nobody answered."""
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    assert world.matured(outsider) == 0
    world.market.withdraw(client, sender=outsider)
    assert world.lower.token.balanceOf(outsider) == 0


def test_a_late_report_is_refused(world, client, outsider):
    """An oracle brings an answer when the client may already have its refund."""
    query = world.request(client)
    reports = world.reports(query)
    go_to(query.answer_deadline + 1)
    with boa.reverts("market: too late"):
        world.fulfil(query, reports, sender=outsider)


def test_a_second_close_is_refused(world, client, outsider):
    """The client wants the unclaimed slot twice."""
    query = world.request(client)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 1, 2]))
    go_to(world.market.closes_at(query.query_id) + 1)
    world.market.close(query.as_abi(), outcome_as_abi(outcome), sender=outsider)
    with boa.reverts("market: not settled"):
        world.market.close(query.as_abi(), outcome_as_abi(outcome), sender=client)
    assert world.matured(client) == split_fee(query).slot
    world.assert_solvent()


def test_a_claim_after_closing_is_refused(world, client):
    """A member comes after its slot went back to the client."""
    query = world.request(client)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 1, 2]))
    work = world.works(query)[0]
    result = work.result(3, work.commitments())
    go_to(world.market.closes_at(query.query_id) + 1)
    world.market.close(query.as_abi(), outcome_as_abi(outcome))
    with boa.reverts("market: not settled"):
        world.market.claim_slot(
            query.as_abi(), outcome_as_abi(outcome), 0, work.commitments(), result.as_abi()
        )


def test_nothing_is_withdrawn_before_it_matured(world, client):
    """A member that lied takes its pay before anybody can dispute the answer."""
    query = world.request(client)
    world.fulfil(query)
    fulfilled_at = boa.env.timestamp
    member = world.owners[signer_address(world.drawn(query, 0, 1)[0])]
    for wait in (0, 1, CREDIT_WINDOW // 2, CREDIT_WINDOW - 1):
        go_to(fulfilled_at + wait)
        with boa.reverts("market: nothing to withdraw"):
            world.market.withdraw(member)


def test_a_withdrawal_is_made_once(world, client):
    """An account withdraws twice."""
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi())
    world.market.withdraw(client)
    with boa.reverts("market: nothing to withdraw"):
        world.market.withdraw(client)
    world.assert_solvent()


def test_two_answers_by_one_oracle_add_up(world, client):
    """An earlier credit is lost when a later one is written."""
    earned: dict[str, int] = {}
    for _ in range(4):
        query = world.request(client)
        oracle = world.owners[world.oracle(query)]
        for shard in range(query.shards):
            for key in world.drawn(query, shard, query.replicas):
                owner = world.owners[signer_address(key)]
                earned[owner] = earned.get(owner, 0) + split_fee(query).slot
        earned[oracle] = earned.get(oracle, 0) + split_fee(query).oracle
        world.fulfil(query)
    assert {owner: world.waiting(owner) for owner in earned} == earned
    world.assert_solvent()


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 100])
def test_credits_of_every_age_add_up(world, client, gap):
    """Credits are lost when periods pass between them."""
    start = boa.env.timestamp // CREDIT_WINDOW + 1
    go_to(start * CREDIT_WINDOW)
    shares = 0
    for _ in range(2):
        query = world.request(client)
        world.fulfil(query)
        world.collect(1)
        shares += split_fee(query).royalty
        go_to(boa.env.timestamp + gap * CREDIT_WINDOW)
    ready, waiting = world.market.credit_of(world.developer)
    assert ready + waiting == shares
    world.assert_solvent()


def test_donations_belong_to_nobody(world, client, outsider):
    """Somebody sends the market NES to break its accounts."""
    world.give(world.market.address, 7)
    query = world.request(client)
    world.fulfil(query)
    world.assert_solvent(donations=7)


def test_a_small_fee_does_not_round_anybody_into_debt(world, client):
    """A client asks for so little that the shares round to nothing."""
    world.lower.registry.set_price(world.versions[1], 1, 0, sender=world.developer)
    for replicas in (3, 4, 5, 6):
        query = world.request(client, replicas=replicas)
        world.fulfil(query)
        split = split_fee(query)
        assert split.treasury >= 0
    world.assert_solvent()


def test_a_free_version_can_be_asked(world, client):
    """A price of zero is legal and pays nobody."""
    world.lower.registry.set_price(world.versions[1], 0, 0, sender=world.developer)
    query = world.request(client)
    assert query.fee == 0
    world.fulfil(query)
    world.assert_solvent()


def test_the_price_of_an_open_query_is_fixed(world, client):
    """The developer raises the price while a query is open."""
    query = world.request(client)
    world.lower.registry.set_price(world.versions[1], 100 * ONE_NES, 0, sender=world.developer)
    world.fulfil(query)
    assert query.fee == 4 * ONE_NES
    world.assert_solvent()


def test_the_rules_of_an_open_query_are_fixed(world, client):
    """Governance changes the shares while a query is open."""
    from dataclasses import astuple, replace

    from tests.deployment import QUERY_PARAMETERS

    query = world.request(client)
    greedy = replace(QUERY_PARAMETERS, miners_bps=0, oracle_turn=1)
    world.lower.parameters.set_query_parameters(astuple(greedy), sender=world.deployer)
    world.fulfil(query)
    member = world.owners[signer_address(world.drawn(query, 0, 1)[0])]
    assert world.waiting(member) >= split_fee(query).slot > 0
    later = world.request(client)
    assert later.rules.miners_bps == 0
