"""The whole protocol with a reward emitter as the token's minter."""

import boa
import pytest
from boa.contracts.vyper.vyper_contract import VyperContract

from nesa.protocol.ids import ONE_NES
from tests.deployment import deployer
from tests.market import World
from tests.market_fixtures import client, deployed_world, outsider, world

__all__ = ["client", "deployed_world", "outsider", "world"]

SHARE_BPS = 5_000
PERIOD_SECONDS = 100
HALVING_PERIODS = 10
FIRST_BUDGET = 1_000 * ONE_NES


def deploy_emitter(world: World, pool: VyperContract | None = None, **changes: int):
    """An emitter of the world's market with the terms above, but for `changes`."""
    terms = {
        "share_bps": SHARE_BPS,
        "period_seconds": PERIOD_SECONDS,
        "halving_periods": HALVING_PERIODS,
        "first_budget": FIRST_BUDGET,
    }
    lower = world.lower
    pool = pool or deployer("staking/DelegationPool").deploy(lower.token, lower.vault)
    bound = (lower.token, world.market, lower.vault, pool)
    arguments = (terms | changes).values()
    return deployer("token/RewardEmitter").deploy(*bound, *arguments)


@pytest.fixture
def owner(world):
    return world.deployer


@pytest.fixture
def pool(world):
    lower = world.lower
    pool = deployer("staking/DelegationPool").deploy(lower.token, lower.vault)
    lower.vault.set_delegation_pool(pool, sender=world.setter)
    return pool


@pytest.fixture
def emitter(world, owner, pool):
    with boa.env.prank(owner):
        emitter = deploy_emitter(world, pool)
    world.lower.token.set_minter(emitter, sender=owner)
    return emitter
