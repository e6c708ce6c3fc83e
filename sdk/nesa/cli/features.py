"""Reads what a person wants to ask: a csv or json file, or numbers in the command itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

from nesa.protocol.errors import InvalidInput, InvalidTensor

MAX_FILE_BYTES: Final = 1 << 20


def read_features(text: str) -> Any:
    """Numbers (nested lists allowed) from a file's name or from a list such as `1.5,2,3`.

    Raises:
        InvalidInput: there is no such file, or it holds no numbers.
    """
    path = Path(text)
    if path.suffix in (".csv", ".json") or _is_file(path):
        return _from_file(path)
    return _numbers(text.strip().strip("[]").split(","), text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a long list of numbers is too long for the name of a file
        return False


def _from_file(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInput(f"{path} is over {MAX_FILE_BYTES} bytes, no input is that long")
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the input {path}; check the path") from error
    return _from_json(content, path) if path.suffix == ".json" else _from_csv(content, path)


def _from_json(content: str, path: Path) -> Any:
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON with plain numbers: {error}") from error


def _refuse_constant(name: str) -> float:
    raise InvalidTensor(f"{name} is no number that a model can take")


def _from_csv(content: str, path: Path) -> list[float]:
    rows = [row for row in csv.reader(content.splitlines()) if row]
    if len(rows) > 1 and not _is_numeric(rows[0]):
        rows = rows[1:]
    if len(rows) != 1:
        raise InvalidInput(
            f"{path} must hold one row of numbers, with or without a heading; it holds {len(rows)}"
        )
    return _numbers(rows[0], str(path))


def _is_numeric(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], where: str) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise InvalidInput(
            f"{where[:60]} is neither a csv or json file nor a list of numbers"
        ) from error
