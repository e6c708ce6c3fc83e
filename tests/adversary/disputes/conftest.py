"""A court over one deployed protocol with a real table, answered rightly and wrongly."""

from tests.contracts.disputes.conftest import (
    challenger,
    court,
    deployed_world,
    lie,
    right,
    truth,
    world,
    wrong,
)

__all__ = ["challenger", "court", "deployed_world", "lie", "right", "truth", "world", "wrong"]
