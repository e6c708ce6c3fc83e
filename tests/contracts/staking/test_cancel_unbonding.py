import boa

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD, SEAT_STAKE


def test_stake_is_free_again(vault, register, stake, operator):
    register(operator)
    stake(operator)
    vault.begin_unbonding(1, sender=operator)
    with boa.reverts("vault: too little stake"):
        vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    vault.cancel_unbonding(sender=operator)
    assert tuple(vault.ledger(operator)) == (SEAT_STAKE, 0, 0, 0, 0)
    vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, ZERO_DIGEST, ZERO_DIGEST, sender=operator)


def test_nothing_thawing_reverts(vault, operator):
    with boa.reverts("vault: nothing unbonds"):
        vault.cancel_unbonding(sender=operator)
