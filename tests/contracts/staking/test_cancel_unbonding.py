import boa

from nesa.protocol.ids import ZERO_DIGEST
from tests.contracts.staking.conftest import ORACLE_SHARD, SEAT_STAKE
from tests.deployment import UNBONDING_SECONDS


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


def test_a_ready_exit_gives_no_more_than_nes_in_a_wallet(
    vault, token, register, stake, slash, operator
):
    """An operator keeps an exit ready for ever: it backs no seat, a slash takes it, and to cancel
    it is to withdraw and to deposit again."""
    register(operator)
    stake(operator)
    vault.begin_unbonding(SEAT_STAKE, sender=operator)
    boa.env.time_travel(seconds=UNBONDING_SECONDS)
    with boa.reverts("vault: too little stake"):
        vault.take_seat(ZERO_DIGEST, ORACLE_SHARD, ZERO_DIGEST, ZERO_DIGEST, sender=operator)
    with boa.env.anchor():
        slash(operator, SEAT_STAKE)
        assert tuple(vault.ledger(operator))[:3] == (0, 0, 0)
    with boa.env.anchor():
        vault.cancel_unbonding(sender=operator)
        cancelled = tuple(vault.ledger(operator))
    vault.withdraw(sender=operator)
    token.approve(vault, SEAT_STAKE, sender=operator)
    vault.deposit(SEAT_STAKE, sender=operator)
    assert tuple(vault.ledger(operator)) == cancelled
