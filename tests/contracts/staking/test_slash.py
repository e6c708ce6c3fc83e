import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD, SEAT_STAKE
from tests.deployment import UNBONDING_SECONDS

NOBODY = "0x" + "00" * 20


@pytest.fixture
def staked(vault, sit, stake, operator):
    """An operator with 100 free, 50 thawing and one seat's stake locked."""
    sit(operator)
    stake(operator, 150)
    vault.begin_unbonding(50, sender=operator)
    return SEAT_STAKE + 150


def parts(vault, operator):
    ledger = vault.ledger(operator)
    return ledger.stake, ledger.locked, ledger.unbonding


@pytest.mark.parametrize(
    ("amount", "unbonding"),
    [(1, 50), (100, 50), (101, 49), (150, 0), (151, 0), (SEAT_STAKE, 0), (SEAT_STAKE + 150, 0)],
)
def test_free_goes_first_then_thawing_then_locked(
    vault, token, operator, slasher, actors, staked, amount, unbonding
):
    assert vault.slash(operator, amount, actors.beneficiary, 0, sender=slasher) == amount
    assert parts(vault, operator) == (staked - amount, SEAT_STAKE, unbonding)
    assert vault.total_stake() == token.balanceOf(vault) == staked - amount


def test_more_than_there_is_takes_what_there_is(vault, token, operator, slasher, actors, staked):
    supply = token.totalSupply()
    taken = vault.slash(operator, 2**256 - 1, actors.beneficiary, 2**256 - 1, sender=slasher)
    assert taken == staked
    assert parts(vault, operator) == (0, SEAT_STAKE, 0)
    rewarded = staked // 2
    assert vault.rewards(actors.beneficiary) == vault.total_rewards() == rewarded
    assert token.balanceOf(vault) == rewarded
    assert token.totalSupply() == supply - (staked - rewarded)
    assert vault.slash(operator, 1, actors.beneficiary, 1, sender=slasher) == 0


@pytest.mark.parametrize(
    ("taken", "reward", "rewarded"), [(10, 3, 3), (10, 5, 5), (10, 6, 5), (9, 9, 4), (1, 1, 0)]
)
def test_at_most_half_is_a_reward(
    vault, operator, slasher, actors, staked, taken, reward, rewarded
):
    vault.slash(operator, taken, actors.beneficiary, reward, sender=slasher)
    log = next(log for log in vault.get_logs() if type(log).__name__ == "OperatorSlashed")
    assert (log.taken, log.rewarded, log.burned) == (taken, rewarded, taken - rewarded)
    assert vault.rewards(actors.beneficiary) == rewarded


def test_without_a_beneficiary_all_is_burned(vault, token, operator, slasher, staked):
    vault.slash(operator, 10, NOBODY, 5, sender=slasher)
    assert vault.total_rewards() == 0
    assert token.balanceOf(vault) == staked - 10


def test_an_account_without_stake_loses_nothing(vault, outsider, slasher, actors):
    assert vault.slash(outsider, 5, actors.beneficiary, 5, sender=slasher) == 0


def test_a_held_operator_is_slashed_all_the_same(vault, operator, slasher, actors, staked):
    vault.hold(operator, sender=slasher)
    assert vault.slash(operator, 5, actors.beneficiary, 0, sender=slasher) == 5
    assert vault.ledger(operator).holds == 1


def test_a_left_seat_is_slashed_until_it_is_released(vault, operator, slasher, actors, staked):
    vault.leave_seat(ZERO_DIGEST, ORACLE_SHARD, 0, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    assert vault.slash(operator, staked, actors.beneficiary, 0, sender=slasher) == staked
    with boa.reverts("vault: nothing to withdraw"):
        vault.withdraw(sender=operator)


def test_others_revert(vault, operator, outsider, actors, staked):
    for account in (outsider, operator, actors.setter, actors.owner):
        with boa.reverts("vault: not the slasher"):
            vault.slash(operator, 1, account, 0, sender=account)
