import boa
import pytest

from tests.deployment import (
    EPOCH_SECONDS,
    MAXIMUM_QUERY_SECONDS,
    UNBONDING_SECONDS,
    deployer,
)


def test_clocks_can_be_read(vault):
    assert vault.epoch_seconds() == EPOCH_SECONDS
    assert vault.unbonding_seconds() == UNBONDING_SECONDS
    assert vault.epoch() == boa.env.timestamp // EPOCH_SECONDS


@pytest.mark.parametrize(
    ("epoch_seconds", "unbonding_seconds", "reason"),
    [
        (0, UNBONDING_SECONDS, "vault: no epoch"),
        (10, MAXIMUM_QUERY_SECONDS + 9, "vault: unbonding too short"),
        (10, 2**32, "vault: unbonding too long"),
    ],
)
def test_clocks_that_let_stake_escape_revert(
    lower, actors, epoch_seconds, unbonding_seconds, reason
):
    with boa.reverts(reason):
        deployer("staking/StakeVault").deploy(
            lower.token,
            lower.registry,
            lower.parameters,
            epoch_seconds,
            unbonding_seconds,
            actors.setter,
        )
