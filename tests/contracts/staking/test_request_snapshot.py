import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD
from tests.deployment import next_epoch

FOUR = 4
ORACLES = 1 << 24 * ORACLE_SHARD


@pytest.fixture
def full(sit, operator, version_id):
    """Four seats in both shards and one oracle seat, taken in this epoch."""
    sit(operator)
    miners = [[boa.env.generate_address() for _ in range(4)] for _ in range(2)]
    for shard, seated in enumerate(miners):
        for account in seated:
            sit(account, version_id, shard)
    return miners


def test_slots_of_every_shard_and_of_the_oracles(vault, full, version_id):
    next_epoch()
    assert vault.request_snapshot(version_id, 2, 4) == 4 | 4 << 24 | ORACLES
    assert vault.active_counts(version_id, 2) == 4 | 4 << 24 | ORACLES


def test_seats_of_this_epoch_do_not_count_yet(vault, full, version_id):
    assert vault.seat_counts(version_id, 2) == 4 | 4 << 24 | ORACLES
    assert vault.active_counts(version_id, 2) == 0
    with boa.reverts("vault: no oracle seat"):
        vault.request_snapshot(version_id, 2, 4)


def test_a_seat_that_was_left_counts_until_the_epoch_ends(vault, full, version_id):
    next_epoch()
    vault.leave_seat(version_id, 1, 2, sender=full[1][2])
    vault.request_snapshot(version_id, 2, 4)
    next_epoch()
    with boa.reverts("vault: too few seats"):
        vault.request_snapshot(version_id, 2, 4)
    assert vault.request_snapshot(version_id, 2, 3) == 4 | 4 << 24 | ORACLES
    assert vault.active_counts(version_id, 2) == 4 | 3 << 24 | ORACLES


def test_several_changes_in_one_epoch_add_up(vault, sit, full, version_id):
    next_epoch()
    vault.leave_seat(version_id, 0, 0, sender=full[0][0])
    vault.leave_seat(version_id, 0, 1, sender=full[0][1])
    sit(boa.env.generate_address(), version_id, 0)
    assert vault.active_counts(version_id, 1) == 4 | ORACLES
    assert vault.seat_counts(version_id, 1) == 5 | ORACLES
    next_epoch(3)
    assert vault.active_counts(version_id, 1) == 3 | ORACLES


def test_too_few_seats_revert(vault, full, version_id):
    next_epoch()
    with boa.reverts("vault: too few seats"):
        vault.request_snapshot(version_id, 2, 5)
    with boa.reverts("vault: too few seats"):
        vault.request_snapshot(version_id, 3, 1)
    with boa.reverts("vault: too few seats"):
        vault.request_snapshot(b"\x01" * 32, 1, 1)


def test_without_an_oracle_reverts(vault, full, operator, version_id):
    next_epoch()
    vault.leave_seat(ZERO_DIGEST, ORACLE_SHARD, 0, sender=operator)
    next_epoch()
    with boa.reverts("vault: no oracle seat"):
        vault.request_snapshot(version_id, 2, 1)
