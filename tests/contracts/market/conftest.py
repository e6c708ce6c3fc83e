from tests.market_fixtures import client, deployed_world, outsider, world

__all__ = ["client", "deployed_world", "outsider", "world"]
