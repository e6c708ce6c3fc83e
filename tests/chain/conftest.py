"""Chains of their own for the tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from nesa.chain.anvil import Anvil, AnvilSettings, running_anvil
from nesa.chain.connection import Connection
from nesa.chain.deployment import Deployment
from nesa.chain.logs import LogReader
from tests.chain import emitter
from tests.chain.following import Follower


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """A chain that mines every transaction at once."""
    with running_anvil() as running:
        yield running


@pytest.fixture
def still_anvil() -> Iterator[Anvil]:
    """A chain that mines only when it is told to."""
    with running_anvil(AnvilSettings(mining=False)) as running:
        yield running


@pytest.fixture
def deployment(anvil: Anvil) -> Deployment:
    """The emitter on `anvil`."""
    return emitter.deploy(anvil)


@pytest.fixture
async def connection(anvil: Anvil, deployment: Deployment) -> AsyncIterator[Connection]:
    """A connection to `anvil`."""
    async with await Connection.open(anvil.url, deployment, emitter.QUICK) as opened:
        yield opened


@pytest.fixture
async def still(still_anvil: Anvil) -> AsyncIterator[Connection]:
    """A connection to the chain that mines only when it is told to."""
    deployment = emitter.deploy(still_anvil)
    async with Connection(still_anvil.url, deployment, emitter.QUICK) as opened:
        yield opened


@pytest.fixture
async def follower(connection: Connection) -> Follower:
    """A consumer that has read nothing yet."""
    reader = LogReader(connection)
    return Follower(reader, await reader.start())
