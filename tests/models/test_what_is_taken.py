"""The table of what the compiler takes and the code's registry agree."""

from __future__ import annotations

import re
from pathlib import Path

import nesa
from nesa.models.elementwise import OPERATORS
from nesa.models.floats import PLAIN, SUPPORTED

PAGE = Path(nesa.__file__).parents[2] / "docs" / "integer-models.md"


def listed() -> list[str]:
    """Operators in the first column of the table, each as often as it stands there."""
    section = PAGE.read_text("utf-8").split("## What the compiler takes")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_every_operator_stands_in_the_table_once():
    assert sorted(listed()) == sorted(SUPPORTED | OPERATORS | PLAIN)
