import pytest

from tests.market_fixtures import client, deployed_world, outsider, world
from tests.summoning import Summoning, deploy_summons

__all__ = ["client", "deployed_world", "outsider", "world"]


@pytest.fixture
def summoning(world):
    contract = deploy_summons(world)
    world.lower.vault.set_summoner(contract, sender=world.setter)
    return Summoning(world, contract)
