"""Attacks on what the market keeps and owes."""

import random
from dataclasses import astuple, replace

import boa
import pytest
from boa import BoaError

from nesa.chain.abi import interface
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Assurance
from tests.contracts.market.permits import permit, signing_client
from tests.deployment import QUERY_PARAMETERS, REQUEST_LIMITS, deployer, load_harness
from tests.market import CREDIT_WINDOW, TENSORS, go_to
from tests.reports import signer_address


def test_a_strangers_refund_too_early_is_refused(world, client, outsider):
    """A stranger kills a query that is being answered."""
    query = world.request(client)
    with boa.reverts("market: not yet refundable"):
        world.market.refund(query.as_abi(), sender=outsider)


def test_timeout_by_stranger(world, client, outsider):
    """A stranger ends a query that nobody answered and wants its fee: anybody may end it, and the
    fee is the client's."""
    query = world.request(client)
    go_to(query.answer_deadline + 1)
    world.market.refund(query.as_abi(), sender=outsider)
    assert world.matured(outsider) == 0
    assert world.market.withdraw(client, sender=outsider) == query.fee
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


def test_two_fulfilments_credit_adds(world, client):
    """A later report overwrites what an earlier one earned: credits are added, never set."""
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
    query = world.request(client)
    greedy = replace(QUERY_PARAMETERS, miners_bps=0, oracle_turn=1)
    world.lower.parameters.set_query_parameters(astuple(greedy), sender=world.deployer)
    world.fulfil(query)
    member = world.owners[signer_address(world.drawn(query, 0, 1)[0])]
    assert world.waiting(member) >= split_fee(query).slot > 0
    later = world.request(client)
    assert later.rules.miners_bps == 0


def test_leaving_a_member_out_pays_nobody_more(world, client):
    """The oracle, in league with three members, leaves the fourth out so that they share its part:
    a slot earns the same however many are paid, and the fourth claims its own."""
    query = world.request(client)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 1, 2]))
    slot, work = split_fee(query).slot, world.works(query)[0]
    owners = [world.owners[signer_address(key)] for key in work.members]
    assert [world.waiting(owner) for owner in owners] == [slot, slot, slot, 0]
    result = work.result(3, work.commitments())
    claim = (query.as_abi(), outcome_as_abi(outcome), 0, work.commitments(), result.as_abi())
    world.market.claim_slot(*claim)
    assert [world.waiting(owner) for owner in owners] == [slot] * 4


def test_a_version_retired_meanwhile_pays_for_what_is_open(world, client):
    """A developer retires its version once the answer is in the mempool, so that nobody is paid for
    it: retiring holds for later requests, and open ones go on under their terms."""
    query = world.request(client)
    proved = world.request(client, assurance=Assurance.PROVED)
    for version_id in (query.version_id, proved.version_id):
        world.lower.registry.retire(version_id, sender=world.developer)
    with boa.reverts("registry: version is retired"):
        world.request(client)
    world.fulfil(query)
    world.fulfil_proved(proved)
    world.assert_solvent()


# --- What is earmarked ---


def moves(world, robber, query):
    """Everything that somebody may try with a query of his own."""
    market, terms = world.market, query.as_abi()
    return [
        lambda: market.refund(terms, sender=robber),
        lambda: market.retry(terms, sender=robber),
        lambda: market.withdraw(robber, sender=robber),
        lambda: world.fulfil(query),
        lambda: market.collect(robber, bytes(32), sender=robber),
        lambda: market.request(world.order(), TENSORS[1][0], sender=robber),
        lambda: go_to(boa.env.timestamp + 25),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_earmark_invariant(world, client, outsider, seed):
    """Somebody asks, refunds, withdraws and reports in any order to be paid out of the fees of
    other clients' open queries: theirs are earmarked, and come back to the last unit."""
    robber, source = world.client("robber"), random.Random(seed)
    victims = [world.request(client) for _ in range(2)]
    purse = world.lower.token.balanceOf(robber)
    query = world.request(robber)
    for _ in range(30):
        try:
            source.choice(moves(world, robber, query))()
        except BoaError:
            continue
        world.assert_solvent()
        assert world.lower.token.balanceOf(robber) + world.matured(robber) <= purse
    go_to(max(boa.env.timestamp, victims[-1].answer_deadline + 1))
    for victim in victims:
        world.market.refund(victim.as_abi(), sender=outsider)
    assert world.market.withdraw(client, sender=outsider) == sum(v.fee for v in victims)
    world.assert_solvent()


# --- Tokens ---


def test_token_returns_false(world, outsider):
    """A client pays with a token that says no without reverting, or a payment fails silently: what
    the token returns is checked, so there is no query without pay and no credit is lost."""
    token = load_harness("DoubtfulToken")
    doubtful = world.over(token)
    with boa.reverts("market: not paid"):
        doubtful.request(outsider)
    assert doubtful.market.last_query_id() == 0
    token.behave(True)
    query = doubtful.request(outsider)
    go_to(query.answer_deadline + 1)
    doubtful.market.refund(query.as_abi())
    token.behave(False)
    with boa.reverts("market: transfer failed"):
        doubtful.market.withdraw(outsider)
    assert doubtful.matured(outsider) == query.fee


def test_fee_on_transfer(world, client, outsider):
    """A token keeps a part of what it moves, so that the market owes more than it has: the market
    is bound to NES for good, and NES moves exactly what it is told in every payment."""
    token, market, vault = world.lower.token, world.market, world.lower.vault
    query = world.request(client)
    assert token.balanceOf(market) == query.fee
    go_to(query.answer_deadline + 1)
    market.refund(query.as_abi())
    before = token.balanceOf(client)
    assert market.withdraw(client) == token.balanceOf(client) - before == query.fee
    owner, held = next(iter(world.owners.values())), token.balanceOf(vault)
    world.give(owner, 7)
    token.approve(vault, 7, sender=owner)
    vault.deposit(7, sender=owner)
    assert token.balanceOf(vault) == held + 7
    for name in ("QueryMarket", "StakeVault"):
        assert not [f for f in functions(name) if f.startswith("set_") and "token" in f]


def functions(contract):
    """Names of everything that can be called."""
    return [entry.get("name", "") for entry in interface(contract).entries]


def test_a_permit_used_by_a_front_runner_pays_the_client_all_the_same(world, outsider):
    """A front-runner takes the permit out of a waiting request and uses it first, so that the
    request reverts: the allowance is there, and a failed permit is no reason to refuse it."""
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    signature = permit(world, 5 * ONE_NES, deadline)
    world.lower.token.permit(
        account, world.market, 5 * ONE_NES, deadline, *signature, sender=outsider
    )
    order = world.order(max_fee=5 * ONE_NES)
    world.market.request_with_permit(order, TENSORS[1][0], deadline, *signature, sender=account)
    assert world.requested().requester == account
    assert world.market.last_query_id() == 1


def test_a_permit_pays_for_its_owner_alone(world, client):
    """A thief shows somebody else's permit in its own request: the market asks the token for the
    caller's permit, and the thief pays itself."""
    account = signing_client(world)
    deadline = boa.env.timestamp + 60
    signature = permit(world, 5 * ONE_NES, deadline)
    before = world.lower.token.balanceOf(account)
    order = world.order(max_fee=5 * ONE_NES)
    world.market.request_with_permit(order, TENSORS[1][0], deadline, *signature, sender=client)
    assert world.requested().requester == client
    assert world.lower.token.balanceOf(account) == before
    assert world.lower.token.allowance(account, world.market) == 0


# --- Bounds ---


@pytest.mark.parametrize("field", ["miners_bps", "oracle_bps", "reviewers_bps", "royalty_bps"])
@pytest.mark.parametrize("value", [BPS, BPS + 1, 2**16 - 1, 2**16, 2**256 - 1])
def test_bps_bounds(world, field, value):
    """Governance, or a slip of percent for basis points, sets shares beyond the whole so that a fee
    pays out more than it holds: no such profile is taken, later or at the beginning."""
    greedy = replace(QUERY_PARAMETERS, **{field: value})
    parameters = world.lower.parameters
    with boa.reverts():
        parameters.set_query_parameters(astuple(greedy), sender=world.deployer)
    with boa.reverts():
        deployer("governance/ProtocolParameters").deploy(
            astuple(greedy), astuple(REQUEST_LIMITS), world.treasury, world.reviewer_pool, 290
        )
    assert parameters.query_parameters() == astuple(QUERY_PARAMETERS)


def test_the_greatest_shares_do_not_exceed_the_fee(world, client):
    """Governance gives everything away at once: with the greatest shares and the greatest royalty a
    query still pays what it took."""
    all_of_it = replace(QUERY_PARAMETERS, miners_bps=8_000, oracle_bps=0, reviewers_bps=0)
    world.lower.parameters.set_query_parameters(astuple(all_of_it), sender=world.deployer)
    for price in (1, 3, 10_007, ONE_NES):
        world.lower.registry.set_price(world.versions[1], price, 0, sender=world.developer)
        query = world.request(client, replicas=3)
        split = split_fee(query)
        paid = 3 * split.slot + split.oracle + split.royalty + split.reviewers + split.treasury
        assert paid == query.fee
        assert min(astuple(split)) >= 0
        world.fulfil(query)
        world.assert_solvent()


def test_one_seat_stands_behind_no_more_than_it_can_repay(world, client):
    """A lying quorum collects queries until one fraud is worth more than its seats: the fees that
    are open at once never exceed what the seats could repay."""
    limits = replace(REQUEST_LIMITS, exposure_bps=1)
    world.lower.parameters.set_request_limits(astuple(limits), sender=world.deployer)
    cap = 3 * limits.seat_stake * limits.exposure_bps // BPS
    world.lower.registry.set_price(world.versions[1], cap // 4, 0, sender=world.developer)
    query = world.request(client)
    with boa.reverts("market: exposure cap"):
        world.request(client)
    world.fulfil(query)
    world.request(client)
