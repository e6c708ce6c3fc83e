"""A miner's folder in tests, and the command run on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from nesa.protocol.ids import ONE_NES
from nesa_miner import cli
from nesa_miner.config import MinerSettings, read_settings, write_settings
from nesa_miner.identity import Identity
from tests.miner.operating.network import LocalNetwork


@dataclass(frozen=True, slots=True)
class OwnedMiner:
    """A miner and its owner."""

    folder: Path
    network: LocalNetwork
    identity: Identity
    owner: LocalAccount

    @property
    def settings(self) -> MinerSettings:
        """As they are in the file now."""
        return read_settings(self.folder)

    def change(self, **settings: Any) -> None:
        """Write other settings."""
        write_settings(self.folder, self.settings.model_copy(update=settings))

    def pay(self, nes: int = 2_000) -> None:
        """Give the owner coins and NES."""
        self.network.fund(self.owner.address, nes * ONE_NES)

    def register(self, shard: int = 0, *more: str) -> int:
        """Run `nesa-miner register`."""
        version = f"0x{self.network.version_id.hex()}"
        words = ["register", "--dir", str(self.folder), "--version", version]
        return cli.main([*words, "--shard", str(shard), *more])

    def examined(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
        """Exit code and checks of `nesa-miner doctor`."""
        capsys.readouterr()
        code = cli.main(["doctor", "--dir", str(self.folder), "--json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return code, {check["name"]: check for check in checks}
