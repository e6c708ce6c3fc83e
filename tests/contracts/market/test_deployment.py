"""The market's constructor."""

import boa
import pytest

from tests.deployment import deployer


def test_without_a_credit_window_reverts(world):
    lower = world.lower
    with boa.reverts("market: no credit window"):
        deployer("market/QueryMarket").deploy(
            lower.token,
            lower.parameters,
            lower.vault,
            world.committee,
            world.pricing,
            0,
        )


@pytest.mark.parametrize("name", ["market", "committee", "pricing"])
def test_the_code_fits_a_contract(world, name):
    assert len(boa.env.get_code(getattr(world, name).address)) <= 24_576
