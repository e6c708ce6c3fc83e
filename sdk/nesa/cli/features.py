"""Reads what a person wants to ask: a csv or json file, or numbers in the command itself."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nesa.protocol.errors import InvalidInput, InvalidTensor

MAX_FILE_BYTES: Final = 1 << 20

FORMS: Final = (
    "a csv file with one row of numbers, with or without a heading of the features' names; "
    'a json file with [1.5, 2, 3], {"features": [1.5, 2, 3]} or {"name of a feature": 1.5, …}; '
    "or the numbers themselves: 1.5,2,3"
)
"""What an input may be, for a person."""

MOST_NAMED: Final = 3
"""How many names a refusal lists of those that are wrong."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gave: numbers (nested lists allowed) and, where they said it, whose."""

    numbers: Any
    names: tuple[str, ...] | None = None

    def ordered(self, features: Sequence[str]) -> Any:
        """The numbers in the order of a model's features; without names they are in it already.

        Raises:
            InvalidInput: the names are not those of the features, each once.
        """
        if self.names is None:
            return self.numbers
        given = Counter(map(_folded, self.names))
        wanted = Counter(map(_folded, features))
        if wanted.total() > len(wanted):
            raise InvalidInput("two features of the model share a name; give numbers without names")
        _refuse("there is no feature", (given - wanted).elements())
        _refuse("there is no number for", (wanted - given).elements())
        numbers = dict(zip(map(_folded, self.names), self.numbers, strict=True))
        return [numbers[_folded(name)] for name in features]


def read_features(text: str) -> Given:
    """Numbers from a file's name or from a list such as `1.5,2,3`.

    Raises:
        InvalidInput: there is no such file, or it holds no numbers.
    """
    path = Path(text)
    if path.suffix in (".csv", ".json") or _is_file(path):
        return _from_file(path)
    return Given(_numbers(text.strip().strip("[]").split(","), text))


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _refuse(complaint: str, names: Any) -> None:
    wrong = sorted(names)
    if wrong:
        more = f" and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        listed = ", ".join(repr(name[:60]) for name in wrong[:MOST_NAMED])
        raise InvalidInput(
            f"{complaint} {listed}{more}; a heading names each feature of the model once, "
            "see `nesa model show`"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a long list of numbers is too long for the name of a file
        return False


def _from_file(path: Path) -> Given:
    content = _content(path)
    return _from_json(content, path) if path.suffix == ".json" else _from_csv(content, path)


def _content(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidInput(f"{path} is over {MAX_FILE_BYTES} bytes, no input is that long")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"cannot read the input {path}; check the path") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is no text; an input is {FORMS}") from error


def _from_json(content: str, path: Path) -> Given:
    try:
        found = json.loads(content, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON with plain numbers: {error}") from error
    match found:
        case [*_] as numbers:
            return Given(numbers)
        case {"features": [*_] as numbers, **others} if not others:
            return Given(numbers)
        case dict():
            return Given(list(found.values()), tuple(found))
    raise InvalidInput(f"{path} holds no features; an input is {FORMS}")


def _refuse_constant(name: str) -> float:
    raise InvalidTensor(f"{name} is no number that a model can take")


def _from_csv(content: str, path: Path) -> Given:
    rows = [row for row in csv.reader(content.splitlines()) if row]
    names = None
    if len(rows) > 1 and not _is_numeric(rows[0]):
        names, rows = tuple(rows[0]), rows[1:]
    if len(rows) != 1:
        raise InvalidInput(
            f"{path} must hold one row of numbers, with or without a heading; it holds {len(rows)}"
        )
    numbers = _numbers(rows[0], str(path))
    if names is not None and len(names) != len(numbers):
        raise InvalidInput(f"{path} has {len(names)} names over {len(numbers)} numbers")
    return Given(numbers, names)


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
            f"{where[:60]} is neither a file nor a list of numbers; an input is {FORMS}"
        ) from error
