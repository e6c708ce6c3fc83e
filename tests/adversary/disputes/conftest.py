from tests.contracts.disputes.conftest import (
    challenger,
    client,
    court,
    deployed_world,
    lie,
    outsider,
    right,
    truth,
    world,
    wrong,
)

__all__ = [
    "challenger",
    "client",
    "court",
    "deployed_world",
    "lie",
    "outsider",
    "right",
    "truth",
    "world",
    "wrong",
]
