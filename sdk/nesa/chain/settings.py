"""Settings of a daemon: a JSON file in its folder, each value overridable from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from nesa.protocol.errors import InvalidConfiguration


class FileSettings(BaseSettings):
    """Base of settings that are read from a file; the environment wins over it."""

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


_Settings = TypeVar("_Settings", bound=FileSettings)


def read_file(kind: type[_Settings], path: Path, command: str) -> _Settings:
    """Settings in the file at `path` and the environment; `command` makes a folder with one.

    Raises:
        InvalidConfiguration: no such file, not JSON, or a setting that makes no sense.
    """
    try:
        return kind(**json.loads(path.read_text()))
    except FileNotFoundError:
        raise InvalidConfiguration(
            f"there is no {path}; make one with `{command} --dir {path.parent}`"
        ) from None
    except json.JSONDecodeError as error:
        raise InvalidConfiguration(f"{path} is not JSON: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InvalidConfiguration(f"{path}: {name}: {first['msg'].lower()}") from None
