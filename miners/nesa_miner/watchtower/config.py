"""Settings of one watchtower: a JSON file in its folder, each overridable from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from nesa.chain.settings import FileSettings, read_file, write_file

CONFIG_FILE: Final = "watchtower.json"


class WatchSettings(FileSettings):
    """Everything a watchtower needs to know besides its key.

    Paths are relative to its folder. Environment variables are called NESA_WATCHTOWER_<NAME> and
    win over the file. `share` of all answers is looked at; `max_bonds` NES may be out at once.
    `challenge_gas` is what one whole challenge may need, and `coins_per_nes` what a NES is worth in
    the coin that pays for gas; without it the protocol's own price of gas counts. With
    `fault_proofs` shards that can be proved are challenged by a proof, which needs no bond, but
    memory and time for proofs; with `evict` seats are ended that a slash left without stake, and
    every `admission_seconds` those of operators whom their version admits no more, for at most
    `admission_gas` a day where contracts of developers' own say so.
    `allow_private_contents` is as in a miner's settings.
    """

    model_config = SettingsConfigDict(env_prefix="NESA_WATCHTOWER_", extra="forbid")

    rpc_url: str
    deployment: Path
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    stores: tuple[str, ...] = ()
    keystore: Path = Path("keys/challenger.json")
    view_key: Path = Path("keys/view.json")
    grants: Path = Path("grants")
    journal: Path = Path("journal.sqlite")
    files: Path = Path("files")
    proving_cache: Path = Path("proving")
    share: float = Field(default=1.0, ge=0, le=1)
    max_bonds: float = Field(default=1_000.0, ge=0)
    challenge_gas: int = Field(default=5_000_000, gt=0)
    coins_per_nes: float | None = Field(default=None, gt=0)
    fault_proofs: bool = False
    reference_string: Path | None = None
    evict: bool = True
    admission_seconds: float = Field(default=600.0, gt=0)
    admission_gas: int = Field(default=5_000_000, ge=0)
    allow_private_contents: bool = False
    confirmations: int = Field(default=0, ge=0)
    poll_seconds: float = Field(default=0.5, gt=0)
    max_fee_gwei: float = Field(default=500.0, gt=0)


def read_settings(folder: Path) -> WatchSettings:
    """Settings in `folder`/watchtower.json and the environment.

    Raises:
        InvalidConfiguration: no such file, not JSON, or a setting that makes no sense.
    """
    return read_file(WatchSettings, folder / CONFIG_FILE, "nesa-miner watchtower init")


def write_settings(folder: Path, settings: WatchSettings) -> Path:
    """Write `settings` to `folder`/watchtower.json, which is returned.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    return write_file(settings, folder / CONFIG_FILE)
