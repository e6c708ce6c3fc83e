"""What every test gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

# A change is judged by the same examples wherever its tests run; `make test-deep` searches on.
# Neither judges by the clock: a busy machine may stall any example.
UNTIMED = [HealthCheck.too_slow]
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=UNTIMED
)
settings.register_profile("searching", deadline=None, suppress_health_check=UNTIMED)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis tries constants of all modules that are loaded, which are others in every worker
    and every order of tests."""
    if config.getoption("--hypothesis-profile") != "searching":
        none = Constants()
        vars(providers)["_get_local_constants"] = lambda: none


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test deploys the contracts first compiles them, which may take minutes."""
    for item in items:
        deploys = "deployed_world" in getattr(item, "fixturenames", ())
        if deploys and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """Commands send the process's logs to a stream that ends with their test."""
    yield
    structlog.reset_defaults()
