"""Settings of one watchtower: a JSON file in its folder, each overridable from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from nesa.protocol.errors import InvalidConfiguration

CONFIG_FILE: Final = "watchtower.json"


class WatchSettings(BaseSettings):
    """Everything a watchtower needs to know besides its key.

    Paths are relative to its folder. Environment variables are called NESA_WATCHTOWER_<NAME> and
    win over the file. `share` of all answers is looked at; `max_bonds` NES may be out at once.
    `challenge_gas` is what one whole challenge may need, and `coins_per_nes` what a NES is worth in
    the coin that pays for gas; without it the protocol's own price of gas counts.
    """

    model_config = SettingsConfigDict(env_prefix="NESA_WATCHTOWER_", extra="forbid")

    rpc_url: str
    deployment: Path
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    stores: tuple[str, ...] = ()
    keystore: Path = Path("keys/challenger.json")
    journal: Path = Path("journal.sqlite")
    files: Path = Path("files")
    share: float = Field(default=1.0, ge=0, le=1)
    max_bonds: float = Field(default=1_000.0, ge=0)
    challenge_gas: int = Field(default=5_000_000, gt=0)
    coins_per_nes: float | None = Field(default=None, gt=0)
    confirmations: int = Field(default=0, ge=0)
    poll_seconds: float = Field(default=0.5, gt=0)
    max_fee_gwei: float = Field(default=500.0, gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then what was read from the file."""
        return env_settings, init_settings


def read_settings(folder: Path) -> WatchSettings:
    """Settings in `folder`/watchtower.json and the environment.

    Raises:
        InvalidConfiguration: no such file, not JSON, or a setting that makes no sense.
    """
    path = folder / CONFIG_FILE
    try:
        return WatchSettings(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise InvalidConfiguration(
            f"there is no {path}; make one with `nesa-miner watchtower init --dir {folder}`"
        ) from None
    except json.JSONDecodeError as error:
        raise InvalidConfiguration(f"{path} is not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InvalidConfiguration(f"{path}: {name}: {first['msg'].lower()}") from None


def write_settings(folder: Path, settings: WatchSettings) -> None:
    """Write `settings` to `folder`/watchtower.json.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(settings.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise InvalidConfiguration(f"cannot write to {folder}: {error.strerror}") from error
