"""A court over one deployed protocol, and judges, which are shared: they have no state."""

import boa
import pytest

from tests.deployment import deployer
from tests.judging import Judges
from tests.market_fixtures import client, deployed_world, outsider, world

__all__ = ["client", "deployed_world", "outsider", "world"]


@pytest.fixture(scope="session")
def judges() -> Judges:
    """Both contracts."""
    return Judges.deploy()


@pytest.fixture
def court(world):
    lower = world.lower
    made = deployer("disputes/DisputeCourt").deploy(world.market, lower.vault, lower.parameters)
    lower.vault.set_slasher(made, sender=lower.vault._immutables.SLASHER_SETTER)
    return made


@pytest.fixture
def challenger():
    return boa.env.generate_address("challenger")
