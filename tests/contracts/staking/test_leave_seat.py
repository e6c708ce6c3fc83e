import boa
import pytest

from tests.contracts.staking.conftest import SEAT_STAKE
from tests.deployment import next_epoch


def test_the_seat_ends_with_the_epoch(vault, sit, operator, version_id):
    slot = sit(operator, version_id, 0)
    next_epoch()
    vault.leave_seat(version_id, 0, slot, sender=operator)
    assert vault.seats(version_id, 0, [slot])[0].to_epoch == vault.epoch() + 1
    assert vault.active_counts(version_id, 1) == 1
    assert vault.ledger(operator).locked == SEAT_STAKE
    next_epoch()
    assert vault.active_counts(version_id, 1) == 0
    assert vault.seat_counts(version_id, 1) == 1


def test_a_seat_left_in_the_epoch_it_was_taken_is_never_active(vault, sit, operator, version_id):
    slot = sit(operator, version_id, 0)
    vault.leave_seat(version_id, 0, slot, sender=operator)
    (seat,) = vault.seats(version_id, 0, [slot])
    assert seat.from_epoch == seat.to_epoch
    next_epoch()
    assert vault.active_counts(version_id, 1) == 0


def test_the_operator_waits_for_the_release_before_it_returns(vault, sit, operator, version_id):
    slot = sit(operator, version_id, 0)
    vault.leave_seat(version_id, 0, slot, sender=operator)
    with boa.reverts("vault: already seated"):
        sit(operator, version_id, 1)


def test_a_second_time_reverts(vault, sit, operator, version_id):
    slot = sit(operator, version_id, 0)
    vault.leave_seat(version_id, 0, slot, sender=operator)
    with boa.reverts("vault: seat already left"):
        vault.leave_seat(version_id, 0, slot, sender=operator)


def test_others_revert(vault, sit, operator, outsider, version_id):
    slot = sit(operator, version_id, 0)
    for account, place in ((outsider, slot), (operator, slot + 1)):
        with boa.reverts("vault: not your seat"):
            vault.leave_seat(version_id, 0, place, sender=account)


@pytest.mark.parametrize(
    ("shard", "slot", "reason"),
    [
        (0, 64, "vault: no such slot"),  # would be the place of shard 1
        (9, 0, "vault: no such shard"),
        (2**240, 0, "vault: no such shard"),
    ],
)
def test_places_cannot_be_named_twice(vault, sit, operator, version_id, shard, slot, reason):
    sit(operator, version_id, 1)
    with boa.reverts(reason):
        vault.leave_seat(version_id, shard, slot, sender=operator)
