"""The committee contract by itself, where the market never leads."""

import boa

from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import report_words
from tests.deployment import deployer, load_harness
from tests.market import seed_of


def empty_committee(lower):
    """A committee over a vault in which nobody is active."""
    seats = load_harness("SeatBook")
    return deployer("market/Committee").deploy(seats, lower.registry, lower.router)


def test_a_draw_without_enough_seats_reverts(world, client):
    query = world.request(client)
    reports = report_words(world.reports(query))
    arguments = (world.market, query.as_abi(), seed_of(query), reports, bytes(32), client)
    with boa.reverts("committee: too few seats"):
        empty_committee(world.lower).check(*arguments)


def test_anybody_may_ask_for_a_verdict(world, client):
    """Oracles and watchtowers ask before they send."""
    query = world.request(client)
    outcome = outcome_as_abi(world.fulfil(query))
    reports = report_words(world.reports(query))
    oracle, output_hash = world.oracle(query), outcome[2]
    verdict = world.committee.check(
        world.market, query.as_abi(), seed_of(query), reports, output_hash, oracle
    )
    assert verdict.oracle == world.lower.vault.operator_number(world.owners[oracle]) << 160
    assert outcome[3] == oracle
    assert [tuple(shard) for shard in verdict.shards] == outcome[5]
    assert len(verdict.payees) == query.replicas


def test_members_are_shown_in_draw_order(world, client):
    query = world.request(client)
    seats = world.committee.members(world.market, query.as_abi(), seed_of(query), 0, 6)
    keys = world.drawn(query, 0, 6)
    assert [seat.signer for seat in seats] == [k.public_key.to_checksum_address() for k in keys]
