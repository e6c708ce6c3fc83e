import boa
import pytest

from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.slashing import OWN_BPS, REWARD_BPS
from tests.contracts.staking.conftest import ORACLE_SHARD, SEAT_STAKE
from tests.deployment import UNBONDING_SECONDS


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
    vault, token, operator, slash, staked, amount, unbonding
):
    taken, _, rewarded = slash(operator, amount)
    assert taken == amount
    assert parts(vault, operator) == (staked - amount, SEAT_STAKE, unbonding)
    assert vault.total_stake() == token.balanceOf(vault) - rewarded == staked - amount


def test_more_than_there_is_takes_what_there_is(vault, token, operator, slash, actors, staked):
    supply, rewarded = token.totalSupply(), staked // 4
    assert slash(operator, 2**256 - 1) == (staked, 0, rewarded)
    assert parts(vault, operator) == (0, SEAT_STAKE, 0)
    assert vault.rewards(actors.beneficiary) == vault.total_rewards() == rewarded
    assert token.balanceOf(vault) == rewarded
    assert token.totalSupply() == supply - (staked - rewarded)
    assert slash(operator, 1) == (0, 0, 0)


@pytest.mark.parametrize(
    ("taken", "owed", "repaid", "rewarded"),
    [(40, 0, 0, 10), (40, 3, 3, 7), (40, 11, 10, 0), (39, 0, 0, 9), (3, 1, 0, 0)],
)
def test_a_quarter_repays_first_and_rewards_then(
    vault, operator, slash, actors, staked, taken, owed, repaid, rewarded
):
    assert slash(operator, taken, owed) == (taken, repaid, rewarded)
    log = next(log for log in vault.get_logs() if type(log).__name__ == "OperatorSlashed")
    assert (log.requested, log.taken) == (taken, taken)
    assert (log.repaid, log.rewarded) == (repaid, rewarded)
    assert log.burned == taken - repaid - rewarded
    assert (log.creditor, log.beneficiary) == (actors.creditor, actors.beneficiary)
    assert vault.rewards(actors.creditor) == repaid
    assert vault.rewards(actors.beneficiary) == rewarded


def test_the_shares_are_those_that_everybody_counts_with(vault):
    assert (vault.REWARD_BPS(), vault.OWN_BPS()) == (REWARD_BPS, OWN_BPS)


def test_an_account_without_stake_loses_nothing(outsider, slash):
    assert slash(outsider, 5) == (0, 0, 0)


def test_a_held_operator_is_slashed_all_the_same(vault, operator, slasher, slash, staked):
    vault.hold(operator, sender=slasher)
    assert slash(operator, 5) == (5, 0, 1)
    assert vault.ledger(operator).holds == 1


def test_a_left_seat_is_slashed_until_it_is_released(vault, operator, slash, staked):
    vault.leave_seat(ZERO_DIGEST, ORACLE_SHARD, 0, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    assert slash(operator, staked) == (staked, 0, staked // 4)
    with boa.reverts("vault: nothing to withdraw"):
        vault.withdraw(sender=operator)


def test_others_revert(vault, operator, outsider, actors, staked):
    for account in (outsider, operator, actors.setter, actors.owner):
        with boa.reverts("vault: not the slasher"):
            vault.slash(operator, 1, account, account, 0, sender=account)
