"""Settings of a daemon: a JSON file in its folder, each value overridable from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from nesa.chain.documents import write_document
from nesa.models.validation import first_problem
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
        InvalidConfiguration: no such file, no JSON object, or a setting that makes no sense.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidConfiguration(
            f"there is no {path}; make one with `{command} --dir {path.parent}`"
        ) from None
    except OSError as error:
        raise InvalidConfiguration(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidConfiguration(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidConfiguration(f"{path} is not a JSON object")
    try:
        return kind(**found)
    except ValidationError as error:
        name, problem = first_problem(error, "settings")
        raise InvalidConfiguration(f"{path}: {name}: {problem.lower()}") from None


def write_file(settings: FileSettings, path: Path) -> Path:
    """Write settings to the file at `path`, which is returned; an older one is replaced.

    Raises:
        InvalidConfiguration: it cannot be written.
    """
    write_document(path, settings)
    return path
