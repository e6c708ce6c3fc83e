"""What the dispute court may do, and when."""

import boa
import pytest

from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import QueryStatus
from tests.market import go_to, pass_blocks


@pytest.fixture
def court(world):
    account = boa.env.generate_address("court")
    world.market.set_court(account, sender=world.deployer)
    return account


@pytest.fixture
def query(world, client):
    return world.request(client)


@pytest.fixture
def outcome(world, query):
    return world.fulfil(query, world.reports(query, signers=[0, 2, 3]))


def claim(world, query, outcome):
    work = world.works(query)[0]
    commitments = work.commitments()
    world.market.claim_slot(
        query.as_abi(),
        outcome_as_abi(outcome),
        0,
        commitments,
        work.result(1, commitments).as_abi(),
    )


def test_only_the_deployer_names_it(world, outsider):
    with boa.reverts("market: not the deployer"):
        world.market.set_court(outsider, sender=outsider)


def test_it_is_named_once(world, court, outsider):
    assert world.market.court() == court
    with boa.reverts("market: court is set"):
        world.market.set_court(outsider, sender=world.deployer)


def test_it_is_somebody(world):
    with boa.reverts("market: no court"):
        world.market.set_court("0x" + "0" * 40, sender=world.deployer)


def test_nobody_else_holds(world, court, query, outcome, outsider):
    with boa.reverts("market: not the court"):
        world.market.hold(query.query_id, sender=outsider)
    with boa.reverts("market: only the court"):
        world.market.release(query.query_id, sender=outsider)


def test_a_hold_stops_claims_and_closing(world, court, query, outcome):
    world.market.hold(query.query_id, sender=court)
    with boa.reverts("market: held"):
        claim(world, query, outcome)
    go_to(world.market.closes_at(query.query_id) + 1)
    with boa.reverts("market: held"):
        world.market.close(query.as_abi(), outcome_as_abi(outcome))
    assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_after_the_last_release_the_clock_goes_on(world, court, query, outcome):
    closes_at = world.market.closes_at(query.query_id)
    world.market.hold(query.query_id, sender=court)
    pass_blocks(1, 40)
    world.market.hold(query.query_id, sender=court)
    pass_blocks(1, 60)
    world.market.release(query.query_id, sender=court)
    with boa.reverts("market: held"):
        claim(world, query, outcome)
    world.market.release(query.query_id, sender=court)
    assert world.market.closes_at(query.query_id) == closes_at + 100
    go_to(closes_at + 100)
    claim(world, query, outcome)
    world.assert_solvent()


def test_a_release_without_a_hold_reverts(world, court, query, outcome):
    with boa.reverts("market: not held"):
        world.market.release(query.query_id, sender=court)


@pytest.mark.parametrize("state", ["open", "final", "unknown"])
def test_only_an_answer_within_its_windows_is_held(world, court, query, state):
    if state == "final":
        world.fulfil(query)
        go_to(world.market.closes_at(query.query_id) + 1)
    query_id = 99 if state == "unknown" else query.query_id
    with boa.reverts("market: not to be held"):
        world.market.hold(query_id, sender=court)


def test_overturning_is_not_offered_yet(world, court, query, outcome):
    with boa.reverts("market: not offered yet"):
        world.market.overturn(query.as_abi(), outcome_as_abi(outcome), sender=court)
