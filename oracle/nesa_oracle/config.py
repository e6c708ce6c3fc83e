"""Settings of an oracle: a JSON file in its folder; the environment wins over it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from nesa.chain.settings import FileSettings, read_file, write_file
from nesa.protocol.errors import InvalidConfiguration

CONFIG_FILE: Final = "oracle.json"


class OracleSettings(FileSettings):
    """Everything an oracle needs to know besides its keys.

    Paths are relative to the oracle's folder. Environment variables are called
    NESA_ORACLE_<NAME> and win over the file. `finality` is how many blocks an answer must be old
    to be forgotten, `confirmations` how many behind the head logs are read. With
    `require_gas_deposit` a report is sent only when the coin that waits for it pays its gas.
    """

    model_config = SettingsConfigDict(env_prefix="NESA_ORACLE_", extra="forbid")

    rpc_url: str
    websocket_url: str | None = None
    deployment: Path
    endpoint: str = "http://127.0.0.1:9410"
    host: str = "127.0.0.1"
    port: int = Field(default=9410, ge=1, le=65535)
    signer_keystore: Path = Path("keys/signer.json")
    owner_keystore: Path = Path("keys/owner.json")
    encryption_keystore: Path = Path("keys/encryption.json")
    journal: Path = Path("journal.sqlite")
    confirmations: int = Field(default=0, ge=0)
    finality: int = Field(default=12, ge=0)
    poll_seconds: float = Field(default=0.2, gt=0)
    grace_seconds: float = Field(default=0.3, ge=0)
    gather_seconds: float = Field(default=15.0, gt=0)
    max_fee_gwei: float = Field(default=500.0, gt=0)
    patience_seconds: float = Field(default=15.0, gt=0)
    require_gas_deposit: bool = False

    def in_folder(self, folder: Path) -> Self:
        """The same settings with every path resolved against the oracle's `folder`."""
        paths = {name: folder / value for name, value in self if isinstance(value, Path)}
        return self.model_copy(update=paths)


def read_settings(folder: Path) -> OracleSettings:
    """Settings in `folder`/oracle.json and the environment, with absolute paths.

    Raises:
        InvalidConfiguration: no such file, not JSON, or a setting that makes no sense.
    """
    found = read_file(OracleSettings, folder / CONFIG_FILE, "nesa-oracle init")
    return found.in_folder(folder)


def write_settings(folder: Path, settings: OracleSettings) -> Path:
    """Write `settings` to `folder`/oracle.json and return its path.

    Raises:
        InvalidConfiguration: there is one already, or it cannot be written.
    """
    path = folder / CONFIG_FILE
    if path.exists():
        raise InvalidConfiguration(f"{path} exists; edit it, or choose another --dir")
    return write_file(settings, path)
