"""What commands print: a table for people, one JSON document for programs."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nesa.cli.option_groups import Command
from nesa.cli.text import printable

PLAIN_WIDTH: Final = 160
"""Columns of what goes into a file or a pipe, where nobody wraps lines."""


def json_option(command: Command) -> Command:
    """The `--json` flag that every command has."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    return option(command)


def console() -> Console:
    """Where people read: colours and live lines on a terminal, plain text elsewhere."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(highlight=False, width=width)


def show(payload: Mapping[str, Any], *, as_json: bool) -> None:
    """Print `payload` as a JSON document or as a table of two columns."""
    if as_json:
        click.echo(json.dumps(plain(payload), indent=2))
    else:
        console().print(pairs(payload))


def pairs(payload: Mapping[str, Any]) -> Table:
    """A table with a row for each entry, and for each of the mappings in one that lists some."""
    table = Table.grid(padding=(0, 2))
    for name, entry in payload.items():
        first, *others = _lines(entry)
        table.add_row(f"[bold]{name.replace('_', ' ')}[/]", safe(first))
        for line in others:
            table.add_row("", safe(line))
    return table


def moment(seconds: int) -> str:
    """A time of the chain, which counts seconds since 1970, for a person."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def safe(text: str) -> str:
    """`text` for a table or a console, whoever wrote it: it is neither markup nor control codes."""
    return escape(printable(text))


def _lines(entry: Any) -> list[str]:
    """What stands beside the name of an entry, at least one line."""
    found = plain(entry)
    if not isinstance(found, list):
        return [str(found)]
    if found and all(isinstance(one, dict) for one in found):
        return [
            ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in one.items())
            for one in found
        ]
    return [", ".join(map(str, found)) or "none"]


def plain(value: Any) -> Any:
    """`value` from JSON types only; bytes become 0x-prefixed text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
