"""Attacks with seats: lists full of seats that nobody works in, and signers of other people."""

import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.queries import ORACLE_SHARD, QueryStatus
from tests.deployment import next_epoch

MAX_SLOTS = 64


def crowd(world, version_id, shard, size):
    """Seats of the attacker that were active for one epoch and are left."""
    owners = [world.operator(f"crowd {number}", [(version_id, shard)]) for number in range(size)]
    next_epoch()
    for owner in owners:
        place = world.lower.vault.seat_of(version_id, owner)
        world.lower.vault.leave_seat(version_id, *place, sender=owner)
    next_epoch()


@pytest.fixture
def crowded(world):
    """A version all of whose free slots the attacker took and left."""
    counts = world.lower.vault.seat_counts(world.versions[1], 1) & 0xFFFFFF
    crowd(world, world.versions[1], 0, MAX_SLOTS - counts)
    return world


def test_left_seats_starve_no_committee(crowded, client):
    """The attacker fills a list with left seats, so that no draw finds the honest ones."""
    for _ in range(6):
        query = crowded.request(client)
        crowded.fulfil(query)
        assert crowded.market.status_of(query.query_id) == QueryStatus.FULFILLED


def test_left_seats_make_no_report_too_dear(crowded, client):
    """The attacker wants reports to cost more than they earn: 58 of 64 slots are inactive."""
    costs = []
    for _ in range(4):
        crowded.fulfil(crowded.request(client))
        costs.append(crowded.market._computation.get_gas_used())
    assert max(costs) < 300_000  # slots are warm here, each costs 2,000 more in a transaction


def test_left_seats_give_nobody_the_oracles_turn(world, client, outsider):
    """The attacker fills the oracles' list, so that a draw runs out and anybody may report."""
    counts = world.lower.vault.seat_counts(ZERO_DIGEST, 1) >> 24 * ORACLE_SHARD & 0xFFFFFF
    crowd(world, ZERO_DIGEST, ORACLE_SHARD, MAX_SLOTS - counts)
    for _ in range(6):
        query = world.request(client)
        reports = world.reports(query)
        with boa.reverts("committee: not your turn"):
            world.fulfil(query, reports, sender=outsider)
        world.fulfil(query, reports)


def test_seats_that_never_begin_are_cleared_by_anybody(world, outsider):
    """The attacker takes and leaves seats in one epoch, at no risk."""
    vault, version_id = world.lower.vault, world.versions[1]
    before = vault.seat_counts(version_id, 1) & 0xFFFFFF
    for number in range(5):
        owner = world.operator(f"passing {number}", [(version_id, 0)])
        vault.leave_seat(version_id, *vault.seat_of(version_id, owner), sender=owner)
    for slot in range(before, before + 5):
        vault.release_seat(version_id, 0, slot, sender=outsider)
    assert vault.seat_counts(version_id, 1) & 0xFFFFFF == before
