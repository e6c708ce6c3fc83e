"""Options that commands of `nesa-miner` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """The `--json` flag that every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def folder_option(command: Command) -> Command:
    """The `--dir` option of every command on an existing miner."""
    option = click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path),
        default=Path("."),
        envvar="NESA_MINER_DIR",
        help="The miner's folder; by default the current one, or $NESA_MINER_DIR.",
    )
    return option(command)
