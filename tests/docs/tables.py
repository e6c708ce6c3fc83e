"""Tables of pages in markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Table:
    """A table below the last `heading` or bold caption in front of it."""

    heading: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(path: str) -> Iterator[Table]:
    """All tables of a page, by its path below the repository."""
    heading, block = "", list[tuple[str, ...]]()
    for line in [*(ROOT / path).read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("| ") or line.startswith("|-"):
            block.append(tuple(cell.strip() for cell in line.strip()[1:-1].split("|")))
            continue
        if block:
            yield Table(heading, block[0], tuple(block[2:]))
            block = []
        if line.startswith(("#", "**")):
            heading = line.strip("#* ")


def with_head(path: str, *head: str) -> Table:
    """The one table of a page whose head begins so."""
    (found,) = [table for table in tables(path) if table.head[: len(head)] == head]
    return found
