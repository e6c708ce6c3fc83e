from tests.chain.conftest import anvil, connection, deployment, follower, still, still_anvil

__all__ = ["anvil", "connection", "deployment", "follower", "still", "still_anvil"]
