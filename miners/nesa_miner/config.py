"""Settings of one miner: a JSON file in its folder, each value overridable from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from nesa.chain.settings import FileSettings, read_file, write_file

CONFIG_FILE: Final = "miner.json"


class MinerSettings(FileSettings):
    """Everything a miner needs to know besides its keys.

    Paths are relative to the miner's folder. Environment variables are called NESA_MINER_<NAME>
    and win over the file. `retention_seconds` is how long what is over stays in the journal,
    `memory_limit_mib` what the tensors of queries under way may take (others wait their turn),
    `max_fee_gwei` what a gas may cost when a slot is claimed that a report left out. `max_bonds` is
    how many NES of the signer may be in bonds at once to sue members of a committee that split, and
    to summon those that say nothing; with none nobody is sued or summoned. `coins_per_nes` is what
    a NES is worth in the coin that pays for gas: vouchers of sessions are redeemed when they bring
    more than the gas; without it the protocol's own price of gas counts. Clients name the URLs of
    long inputs: with `allow_private_contents` also such that only this machine or its network can
    reach, which is for networks without strangers.
    """

    model_config = SettingsConfigDict(env_prefix="NESA_MINER_", extra="forbid")

    rpc_url: str
    deployment: Path
    endpoint: str
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    stores: tuple[str, ...] = ()
    signer_keystore: Path = Path("keys/signer.json")
    owner_keystore: Path = Path("keys/owner.json")
    encryption_keystore: Path = Path("keys/encryption.json")
    journal: Path = Path("journal.sqlite")
    files: Path = Path("files")
    shard_keys: Path = Path("shard_keys")
    seat_evidence: Path = Path("seat_evidence.json")
    proving_cache: Path = Path("proving")
    reference_string: Path | None = None
    confirmations: int = Field(default=0, ge=0)
    poll_seconds: float = Field(default=0.15, gt=0)
    commit_seconds: float = Field(default=0.6, gt=0)
    lock_seconds: float = Field(default=0.6, gt=0)
    reveal_seconds: float = Field(default=0.6, gt=0)
    retention_seconds: int = Field(default=86_400, ge=0)
    memory_limit_mib: int = Field(default=256, ge=1)
    max_fee_gwei: float = Field(default=500.0, gt=0)
    max_bonds: float = Field(default=0.0, ge=0)
    coins_per_nes: float | None = Field(default=None, gt=0)
    allow_private_contents: bool = False


def read_settings(folder: Path) -> MinerSettings:
    """Settings in `folder`/miner.json and the environment.

    Raises:
        InvalidConfiguration: no such file, not JSON, or a setting that makes no sense.
    """
    return read_file(MinerSettings, folder / CONFIG_FILE, "nesa-miner init")


def write_settings(folder: Path, settings: MinerSettings) -> Path:
    """Write `settings` to `folder`/miner.json and return its path.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    return write_file(settings, folder / CONFIG_FILE)
