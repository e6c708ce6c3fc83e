"""One chain for all tests here, taken back to its start after each, and one miner's folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nesa.chain.anvil import AnvilSettings, free_port, running_anvil
from nesa_miner.config import MinerSettings, read_settings, write_settings
from nesa_miner.founding import Listening, Place, found_miner
from nesa_miner.keys import PASSWORD_VARIABLE, open_identity, open_owner
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import PASSWORD, PROVING_CACHE, LocalNetwork, build_network
from tests.privacy.attested.test_quotes import TDX


@pytest.fixture(scope="session")
def base_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Deployed once, on a chain that begins when the collateral of the sample quotes is valid."""
    with running_anvil(AnvilSettings(timestamp=TDX.at)) as anvil:
        yield build_network(anvil, tmp_path_factory.mktemp("store"))


@pytest.fixture
def network(base_network: LocalNetwork) -> Iterator[LocalNetwork]:
    """The network as it was when it was built."""
    snapshot = base_network.anvil.rpc("evm_snapshot")
    yield base_network
    base_network.anvil.rpc("evm_revert", snapshot)


@pytest.fixture(scope="session")
def founded(base_network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miner's folder as `init` makes it."""
    folder = tmp_path_factory.mktemp("founded") / "miner"
    place = Place(base_network.anvil.url, base_network.deployment)
    listening = Listening("http://127.0.0.1:8701", "127.0.0.1", 8701)
    stores = (str(base_network.store),)
    found_miner(folder, place, listening, stores, PASSWORD, light_keys=True)
    return folder


@pytest.fixture
def miner(
    network: LocalNetwork, founded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OwnedMiner:
    """A miner with keys, coins and NES, whose password is in the environment."""
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.delenv(f"{PASSWORD_VARIABLE}_FILE", raising=False)
    folder = tmp_path / "miner"
    shutil.copytree(founded, folder)
    write_settings(folder, _own_port(read_settings(folder)))
    settings = read_settings(folder)
    identity = open_identity(folder, settings, PASSWORD)
    return OwnedMiner(folder, network, identity, open_owner(folder, settings, PASSWORD))


def _own_port(settings: MinerSettings) -> MinerSettings:
    return settings.model_copy(update={"port": free_port(), "proving_cache": PROVING_CACHE})
