import boa
import pytest

from tests.deployment import EPOCH_SECONDS, UNBONDING_SECONDS


@pytest.fixture
def left(vault, sit, operator, version_id):
    """A seat that was left, and the moment it can be released."""
    slot = sit(operator, version_id, 0)
    boa.env.time_travel(seconds=EPOCH_SECONDS)
    vault.leave_seat(version_id, 0, slot, sender=operator)
    return slot, (vault.epoch() + 1) * EPOCH_SECONDS + UNBONDING_SECONDS


def leave_and_release(vault, account, version_id, shard, slot):
    vault.leave_seat(version_id, shard, slot, sender=account)
    boa.env.time_travel(seconds=UNBONDING_SECONDS + 2 * EPOCH_SECONDS)
    vault.release_seat(version_id, shard, slot)


def test_the_stake_is_free_and_the_slot_vacant(vault, sit, operator, outsider, version_id, left):
    slot, released_at = left
    boa.env.timestamp = released_at
    vault.release_seat(version_id, 0, slot, sender=outsider)
    assert vault.ledger(operator).locked == 0
    assert tuple(vault.seats(version_id, 0, [slot])[0]) == ("0x" + "00" * 20,) * 2 + (0, 0)
    assert vault.seat_lock(version_id, 0, slot) == 0
    with boa.reverts("vault: not seated"):
        vault.seat_of(version_id, operator)
    sit(operator, version_id, 1)


def test_too_early_reverts(vault, version_id, left):
    slot, released_at = left
    boa.env.timestamp = released_at - 1
    with boa.reverts("vault: seat may be needed"):
        vault.release_seat(version_id, 0, slot)


def test_a_held_operator_waits(vault, operator, slasher, version_id, left):
    slot, released_at = left
    boa.env.timestamp = released_at
    vault.hold(operator, sender=slasher)
    with boa.reverts("vault: seat is held"):
        vault.release_seat(version_id, 0, slot)
    vault.release_hold(operator, sender=slasher)
    vault.release_seat(version_id, 0, slot)


def test_seats_that_were_not_left_revert(vault, sit, operator, version_id):
    slot = sit(operator, version_id, 0)
    with boa.reverts("vault: seat not left"):
        vault.release_seat(version_id, 0, slot)
    with boa.reverts("vault: slot is vacant"):
        vault.release_seat(version_id, 0, slot + 1)


def test_a_slot_in_the_middle_is_used_again(vault, sit, version_id):
    accounts = [boa.env.generate_address() for _ in range(4)]
    slots = [sit(account, version_id, 0) for account in accounts]
    leave_and_release(vault, accounts[1], version_id, 0, slots[1])
    assert vault.seat_counts(version_id, 1) == 4

    newcomer = boa.env.generate_address()
    assert sit(newcomer, version_id, 0) == slots[1]
    assert vault.seats(version_id, 0, [slots[1]])[0].from_epoch == vault.epoch() + 1
    assert sit(boa.env.generate_address(), version_id, 0) == 4


def test_vacant_slots_at_the_end_are_cut_off(vault, sit, version_id):
    accounts = [boa.env.generate_address() for _ in range(4)]
    slots = [sit(account, version_id, 0) for account in accounts]
    leave_and_release(vault, accounts[2], version_id, 0, slots[2])
    assert vault.seat_counts(version_id, 1) == 4
    leave_and_release(vault, accounts[3], version_id, 0, slots[3])
    assert vault.seat_counts(version_id, 1) == 2

    taken = [sit(boa.env.generate_address(), version_id, 0) for _ in range(3)]
    assert taken == [2, 3, 4]
    leave_and_release(vault, accounts[0], version_id, 0, slots[0])
    assert sit(boa.env.generate_address(), version_id, 0) == 0
    assert sit(boa.env.generate_address(), version_id, 0) == 5


def test_a_seat_that_never_began_is_released_at_once(vault, sit, operator, outsider, version_id):
    """No query can have drawn it, so nobody fills a list with such seats."""
    sit(outsider, version_id, 0)
    slot = sit(operator, version_id, 0)
    vault.leave_seat(version_id, 0, slot, sender=operator)
    vault.release_seat(version_id, 0, slot, sender=outsider)
    assert vault.ledger(operator).locked == 0
    assert vault.seat_counts(version_id, 1) == 1


def test_other_shards_keep_their_counts(vault, sit, operator, version_id):
    others = [boa.env.generate_address() for _ in range(2)]
    for account in others:
        sit(account, version_id, 1)
    slot = sit(operator, version_id, 0)
    leave_and_release(vault, operator, version_id, 0, slot)
    assert vault.seat_counts(version_id, 2) == 2 << 24
    assert vault.active_counts(version_id, 2) == 2 << 24
