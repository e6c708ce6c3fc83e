import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD, SEAT_STAKE


@pytest.fixture
def uncovered(sit, operator, version_id, slash):
    slot = sit(operator, version_id, 0)
    slash(operator, 1)
    return slot


def test_anybody_ends_the_seat(vault, operator, outsider, version_id, uncovered):
    vault.evict(version_id, 0, uncovered, sender=outsider)
    (log,) = vault.get_logs()
    assert (log.operator, log.to_epoch) == (operator, vault.epoch() + 1)
    assert vault.seats(version_id, 0, [uncovered])[0].to_epoch == vault.epoch() + 1
    assert vault.ledger(operator).locked == SEAT_STAKE


def test_a_deposit_prevents_it(vault, stake, operator, outsider, version_id, uncovered):
    stake(operator, 1)
    with boa.reverts("vault: seat is covered"):
        vault.evict(version_id, 0, uncovered, sender=outsider)


def test_covered_and_vacant_seats_revert(vault, sit, operator, outsider, version_id):
    slot = sit(operator, version_id, 0)
    for place in (slot, slot + 1):
        with boa.reverts("vault: seat is covered"):
            vault.evict(version_id, 0, place, sender=outsider)


def test_a_seat_that_was_left_needs_no_cover(vault, operator, outsider, version_id, uncovered):
    vault.leave_seat(version_id, 0, uncovered, sender=operator)
    with boa.reverts("vault: seat is covered"):
        vault.evict(version_id, 0, uncovered, sender=outsider)


def test_no_more_seats_end_than_lack_cover(vault, sit, operator, outsider, version_id, slash):
    slots = (sit(operator, version_id, 0), sit(operator))
    slash(operator, 1)
    vault.evict(version_id, 0, slots[0], sender=outsider)
    assert vault.backing(operator).ending == SEAT_STAKE
    with boa.reverts("vault: seat is covered"):
        vault.evict(ZERO_DIGEST, ORACLE_SHARD, slots[1], sender=outsider)


def test_a_seat_ends_once(vault, sit, operator, outsider, version_id, slash):
    slots = (sit(operator, version_id, 0), sit(operator))
    slash(operator, SEAT_STAKE + 1)
    vault.leave_seat(version_id, 0, slots[0], sender=operator)
    with boa.reverts("vault: seat already left"):
        vault.evict(version_id, 0, slots[0], sender=outsider)
    vault.evict(ZERO_DIGEST, ORACLE_SHARD, slots[1], sender=outsider)
