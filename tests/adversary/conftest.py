from tests.market_fixtures import client, deployed_world, outsider, summoning, world

__all__ = ["client", "deployed_world", "outsider", "summoning", "world"]
