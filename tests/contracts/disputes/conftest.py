"""A court over one deployed protocol, and judges, which are shared: they have no state."""

import boa
import pytest

from tests.contracts.disputes.disputed import (
    CONTENT_KEY,
    answer,
    ask,
    build_disputed_world,
    deploy_court,
    honest_witness,
    lying_witness,
    rich,
    split,
)
from tests.judging import Judges
from tests.market_fixtures import client, outsider

__all__ = ["client", "outsider"]


@pytest.fixture(scope="session")
def judges() -> Judges:
    """Both contracts."""
    return Judges.deploy()


@pytest.fixture(scope="session")
def deployed_world():
    built = build_disputed_world()
    return built, deploy_court(built)


@pytest.fixture
def world(deployed_world):
    with boa.env.anchor():
        yield deployed_world[0]


@pytest.fixture
def court(deployed_world):
    return deployed_world[1]


@pytest.fixture
def challenger(world, court):
    return rich(world, "challenger", court)


@pytest.fixture
def truth():
    """All values of an honest member."""
    return honest_witness()


@pytest.fixture
def lie(truth):
    """Those of a member whose first shard ends in a wrong element."""
    return lying_witness(truth)


@pytest.fixture
def right(world, court, client, truth):
    """A query that was answered rightly."""
    return answer(world, court, ask(world, client, truth), truth)


@pytest.fixture
def wrong(world, court, client, truth, lie):
    """A query whose first shard was answered wrongly."""
    return answer(world, court, ask(world, client, truth), lie)


@pytest.fixture
def torn(world, court, client, truth, lie):
    """An open query whose first committee split: members 0 and 1 are right, 2 and 3 lie."""
    return split(world, court, ask(world, client, truth), (truth, truth, lie, lie))


@pytest.fixture
def sealed_right(world, court, client, truth):
    """A sealed query that was answered rightly."""
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    return answer(world, court, query, truth, content_key=CONTENT_KEY)


@pytest.fixture
def sealed_wrong(world, court, client, truth, lie):
    """A sealed query whose first shard was answered wrongly."""
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    return answer(world, court, query, lie, content_key=CONTENT_KEY)
