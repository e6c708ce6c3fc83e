import boa
import pytest

from tests.contracts.staking.conftest import SEAT_STAKE


@pytest.fixture
def uncovered(vault, sit, operator, slasher, actors, version_id):
    slot = sit(operator, version_id, 0)
    vault.slash(operator, 1, actors.beneficiary, 0, sender=slasher)
    return slot


def test_anybody_ends_the_seat(vault, operator, outsider, version_id, uncovered):
    vault.evict(version_id, 0, uncovered, sender=outsider)
    (log,) = vault.get_logs()
    assert (log.operator, log.to_epoch) == (operator, vault.epoch() + 1)
    assert vault.seats(version_id, 0, [uncovered])[0].to_epoch == vault.epoch() + 1
    assert vault.ledger(operator).locked == SEAT_STAKE


def test_a_deposit_prevents_it(vault, stake, operator, outsider, version_id, uncovered):
    stake(operator, 1)
    with boa.reverts("vault: seats are covered"):
        vault.evict(version_id, 0, uncovered, sender=outsider)


def test_covered_and_vacant_seats_revert(vault, sit, operator, outsider, version_id):
    slot = sit(operator, version_id, 0)
    for place in (slot, slot + 1):
        with boa.reverts("vault: seats are covered"):
            vault.evict(version_id, 0, place, sender=outsider)


def test_a_seat_that_was_left_reverts(vault, operator, outsider, version_id, uncovered):
    vault.leave_seat(version_id, 0, uncovered, sender=operator)
    with boa.reverts("vault: seat already left"):
        vault.evict(version_id, 0, uncovered, sender=outsider)
