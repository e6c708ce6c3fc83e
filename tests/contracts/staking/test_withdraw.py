import boa

from tests.deployment import UNBONDING_SECONDS


def test_thawed_stake_is_paid(vault, token, register, stake, operator):
    register(operator)
    stake(operator, 10)
    vault.begin_unbonding(4, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    assert vault.withdraw(sender=operator) == 4
    assert token.balanceOf(operator) == 4
    assert tuple(vault.ledger(operator)) == (6, 0, 0, 0, 0)
    assert vault.total_stake() == token.balanceOf(vault) == 6
    with boa.reverts("vault: nothing to withdraw"):
        vault.withdraw(sender=operator)


def test_too_early_reverts(vault, register, stake, operator):
    register(operator)
    stake(operator, 10)
    vault.begin_unbonding(4, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS - 1)
    with boa.reverts("vault: still unbonding"):
        vault.withdraw(sender=operator)


def test_a_held_operator_waits(vault, register, stake, operator, slasher):
    register(operator)
    stake(operator, 10)
    vault.begin_unbonding(4, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    vault.hold(operator, sender=slasher)
    with boa.reverts("vault: operator is held"):
        vault.withdraw(sender=operator)
    vault.release_hold(operator, sender=slasher)
    assert vault.withdraw(sender=operator) == 4
