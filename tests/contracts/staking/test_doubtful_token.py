"""A token that returns false is taken at its word."""

import boa
import pytest

from tests.deployment import EPOCH_SECONDS, UNBONDING_SECONDS, deployer, load_harness


@pytest.fixture
def token():
    return load_harness("DoubtfulToken")


@pytest.fixture
def vault(lower, actors, token):
    """A vault for that token, with the operator in it."""
    below = (token, lower.registry, lower.parameters)
    clocks = (EPOCH_SECONDS, UNBONDING_SECONDS)
    return deployer("staking/StakeVault").deploy(*below, *clocks, actors.setter)


def test_what_was_not_paid_in_is_no_stake(vault, token, register, operator):
    register(operator)
    token.behave(False)
    with boa.reverts():
        vault.deposit(5, sender=operator)
    assert vault.ledger(operator).stake == vault.total_stake() == 0


def test_what_was_not_paid_out_stays(vault, token, register, operator):
    register(operator)
    token.behave(True)
    vault.deposit(5, sender=operator)
    vault.begin_unbonding(5, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    token.behave(False)
    with boa.reverts():
        vault.withdraw(sender=operator)
    assert vault.ledger(operator).unbonding == vault.total_stake() == 5
    token.behave(True)
    assert vault.withdraw(sender=operator) == 5


def test_a_reward_that_was_not_paid_out_stays(vault, token, register, operator, actors):
    register(operator)
    token.behave(True)
    vault.deposit(5, sender=operator)
    vault.set_slasher(actors.slasher, sender=actors.setter)
    vault.slash(operator, 4, actors.beneficiary, 4, sender=actors.slasher)
    token.behave(False)
    with boa.reverts():
        vault.withdraw_reward(actors.beneficiary)
    assert vault.rewards(actors.beneficiary) == 2
