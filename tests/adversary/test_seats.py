"""Attacks with seats: lists full of seats that nobody works in, and names of other people."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.consent import sign_consent
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ZERO_DIGEST, Address
from nesa.protocol.queries import ORACLE_SHARD, QueryStatus
from tests.deployment import next_epoch
from tests.reports import keys_of, signer_address

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
    for _ in range(12):
        crowded.fulfil(crowded.request(client))
        costs.append(crowded.market._computation.get_gas_used())
    # By then most accounts have earned before; slots are warm here, each costs 2,000 more in a
    # transaction.
    assert max(costs[8:]) < 260_000


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


def test_duplicate_endpoint(world, client):
    """A lazy operator registers the endpoint of an honest one and is paid for what that one
    answers: an answer counts for the seat whose signer attests it, wherever it was fetched."""
    vault, version_id = world.lower.vault, world.versions[1]
    honest_endpoint = vault.operators(next(iter(world.owners.values()))).endpoint
    names = [world.operator(f"copier {number}", [(version_id, 0)]) for number in range(3)]
    for owner in names:
        vault.set_endpoint(honest_endpoint, sender=owner)
    next_epoch()
    query, place = drawn_with(world, client, names)
    work = world.works(query)[0]
    honest = [position for position in range(4) if position != place]
    report = work.report(signers=honest)
    borrowed = replace(report.results[0], position=place)
    results = tuple(sorted((*report.results, borrowed), key=lambda result: result.position))
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [replace(report, results=results)])
    owners = [world.owners[signer_address(key)] for key in work.members]
    before = [world.waiting(owner) for owner in owners]
    world.fulfil(query, [report])
    earned = [world.waiting(owner) - had for owner, had in zip(owners, before, strict=True)]
    slot = split_fee(query).slot
    assert earned == [slot if position in honest else 0 for position in range(4)]


def drawn_with(world, client, owners):
    """A query whose committee has one of these operators, and its place."""
    while True:
        query = world.request(client)
        drawn = [world.owners[signer_address(key)] for key in world.drawn(query, 0, 4)]
        places = [place for place, owner in enumerate(drawn) if owner in owners]
        if len(places) == 1:
            return query, places[0]
        world.fulfil(query)


def test_duplicate_signer(world, outsider):
    """Somebody registers another operator's signer, to be paid for its work or to be drawn twice
    with one key: a signer consents to its operator and is its operator's for good, also once
    rotated."""
    vault, version_id = world.lower.vault, world.versions[1]
    victim = world.operator("victim", [(version_id, 0)])
    key = keys_of(["victim"])["victim"]
    mine = keys_of(["mine"])["mine"]

    def register(signed_by, operator):
        chain_id, at = world.chain_id, Address(vault.address)
        consent = sign_consent(signed_by, chain_id, at, Address(operator))
        given = (signer_address(key), consent, keccak(text="key"), "https://mine.example")
        vault.register_operator(*given, sender=outsider)

    for signed_by, operator in ((mine, outsider), (key, victim), (key, outsider)):
        with boa.reverts():
            register(signed_by, operator)
    consent = sign_consent(mine, world.chain_id, Address(vault.address), Address(victim))
    vault.rotate_signer(signer_address(mine), consent, sender=victim)
    with boa.reverts("vault: signer is taken"):
        register(key, outsider)
    assert vault.operator_of(signer_address(key)) == victim


def test_one_operator_is_not_drawn_twice(world):
    """An operator takes several seats of a version to be a quorum by itself: one seat a version, in
    one shard, until it is released."""
    vault, version_id = world.lower.vault, world.versions[2]
    owner = world.operator("greedy", [(version_id, 0)])
    world.give(owner, 10**13)
    world.lower.token.approve(vault, 10**13, sender=owner)
    vault.deposit(10**13, sender=owner)
    for shard in (0, 1):
        with boa.reverts("vault: already seated"):
            vault.take_seat(version_id, shard, ZERO_DIGEST, ZERO_DIGEST, sender=owner)
    vault.leave_seat(version_id, *vault.seat_of(version_id, owner), sender=owner)
    with boa.reverts("vault: already seated"):
        vault.take_seat(version_id, 1, ZERO_DIGEST, ZERO_DIGEST, sender=owner)
