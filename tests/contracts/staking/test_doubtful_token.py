"""A token that returns false is taken at its word."""

import boa
import pytest

from tests.deployment import EPOCH_SECONDS, UNBONDING_SECONDS, deployer, load_harness


@pytest.fixture
def token():
    return load_harness("DoubtfulToken")


@pytest.fixture
def vault(request, lower, actors, token):
    """A vault for that token; for a pool, the one of NES."""
    if "pool" in request.fixturenames:
        return lower.vault
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
    vault.slash(operator, 4, actors.beneficiary, actors.creditor, 0, sender=actors.slasher)
    token.behave(False)
    with boa.reverts():
        vault.withdraw_reward(actors.beneficiary)
    assert vault.rewards(actors.beneficiary) == 1


@pytest.fixture
def pool(lower, actors, token, register, operator):
    """A pool that takes that token from delegators; its vault is paid in NES, of which it has some.

    So nothing but the pool's own look at the token stands between a delegator and free shares.
    """
    token.behave(True)
    register(operator)
    pool = deployer("staking/DelegationPool").deploy(token, lower.vault)
    lower.vault.set_delegation_pool(pool, sender=actors.setter)
    pool.announce_commission(0, sender=operator)
    lower.token.transfer(pool, 100, sender=actors.holder)
    lower.token.approve(lower.vault, 100, sender=actors.holder)
    lower.vault.deposit_for(operator, 100, sender=actors.holder)
    lower.token.approve(lower.vault, 100, sender=pool.address)
    return pool


def test_a_pool_needs_its_approval(lower, token):
    token.behave(False)
    with boa.reverts():
        deployer("staking/DelegationPool").deploy(token, lower.vault)


def test_what_was_not_delegated_has_no_shares(pool, token, operator, outsider):
    token.behave(False)
    with boa.reverts():
        pool.delegate(operator, 5, 0, sender=outsider)
    assert pool.total_shares(operator) == pool.shares_of(operator, outsider) == 0


def test_what_was_not_paid_to_a_delegator_stays_its_own(pool, token, operator, outsider):
    shares = pool.delegate(operator, 5, 0, sender=outsider)
    pool.begin_exit(operator, shares, sender=outsider)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    token.behave(False)
    with boa.reverts():
        pool.withdraw(operator, outsider, sender=outsider)
    assert pool.exit_of(operator, outsider).amount == 5
    token.behave(True)
    assert pool.withdraw(operator, outsider, sender=outsider) == 5
