"""A court over one deployed protocol with a real table, answered rightly and wrongly."""

from tests.contracts.disputes.conftest import (
    challenger,
    client,
    court,
    deployed_world,
    lie,
    outsider,
    right,
    sealed_right,
    torn,
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
    "sealed_right",
    "torn",
    "truth",
    "world",
    "wrong",
]
