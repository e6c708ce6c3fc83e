import boa

from tests.contracts.staking.conftest import SEAT_STAKE
from tests.deployment import UNBONDING_SECONDS


def test_free_stake_begins_to_thaw(vault, register, stake, operator):
    register(operator)
    stake(operator, 10)
    vault.begin_unbonding(4, sender=operator)
    until = boa.env.timestamp + UNBONDING_SECONDS
    assert tuple(vault.ledger(operator)) == (10, 0, 4, until, 0)


def test_a_further_call_starts_the_clock_again(vault, register, stake, operator):
    register(operator)
    stake(operator, 10)
    vault.begin_unbonding(4, sender=operator)
    boa.env.time_travel(seconds=100)
    vault.begin_unbonding(6, sender=operator)
    until = boa.env.timestamp + UNBONDING_SECONDS
    assert tuple(vault.ledger(operator)) == (10, 0, 10, until, 0)


def test_locked_stake_reverts(vault, sit, stake, operator):
    sit(operator)
    stake(operator, 10)
    with boa.reverts("vault: too little free stake"):
        vault.begin_unbonding(11, sender=operator)
    vault.begin_unbonding(10, sender=operator)
    with boa.reverts("vault: too little free stake"):
        vault.begin_unbonding(1, sender=operator)
    assert vault.ledger(operator).locked == SEAT_STAKE


def test_nothing_reverts(vault, outsider):
    with boa.reverts("vault: nothing to unbond"):
        vault.begin_unbonding(0, sender=outsider)
