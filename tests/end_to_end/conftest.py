"""One network of real processes for all tests here: eight miners, two oracles, blocks of 1 s."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from nesa import Client, Model
from nesa.chain.connection import RpcPolicy
from nesa.cli.demo.cast import MLP, Question
from nesa.client.sharing import SharedPublicModel
from nesa.devnet.network import Devnet, DevnetSettings, prepare, running_devnet
from nesa.models.samples import LabelledRows
from tests.end_to_end.processes import Observer

SEATED = (MLP,)
SHARED = "breast-cancer-mlp-shared-0"
PUBLIC = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set-up belongs to the first test, so every test here may take minutes; some name more."""
    for item in items:
        is_here = Path(__file__).parent in item.path.parents
        if is_here and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def devnet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Devnet]:
    await prepare(print, SEATED)
    folder = tmp_path_factory.mktemp("devnet")
    settings = DevnetSettings(folder, seated=(*SEATED, SHARED), shared=(PUBLIC,))
    async with running_devnet(settings, print) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(devnet: Devnet) -> AsyncIterator[Client]:
    async with Client.connect(devnet.layout.network, policy=RpcPolicy(poll=0.1)) as connected:
        yield connected


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def model(client: Client) -> Model:
    return await client.model(MLP)


@pytest.fixture(scope="session")
def shared() -> SharedPublicModel:
    """The public model that the network answers on shares."""
    return SharedPublicModel.read(PUBLIC)


@pytest.fixture(scope="session")
def rows(shared: SharedPublicModel) -> LabelledRows:
    return shared.public.test_rows()


@pytest.fixture
def observer(devnet: Devnet) -> Observer:
    return Observer(devnet)


@pytest.fixture
def question(devnet: Devnet) -> Question:
    return Question.from_row(devnet.model(MLP), 40)


@pytest_asyncio.fixture(loop_scope="session")
async def everybody_honest(devnet: Devnet, observer: Observer) -> AsyncIterator[None]:
    """Afterwards every miner that was made to lie runs as it should again."""
    yield
    for operator in devnet.miners:
        if "lying" in devnet.supervisor.running[operator.name].program.log.name:
            await devnet.supervisor.stop(operator.name)
    await observer.revive_all()
