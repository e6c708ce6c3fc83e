"""The privacy page has the table that chooses, row by row."""

from __future__ import annotations

import re
from pathlib import Path

from nesa.client.hybrid.rule import ROWS, SMALL_WEIGHTS

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")


def test_the_table_is_the_one_that_chooses() -> None:
    shown = re.findall(r"^\| (\d+) \| (\w+) \| (.+) \| (\w+(?: \w+)?) \|$", PAGE, re.MULTILINE)
    rows = [
        (
            str(number),
            row.sensitivity.value,
            ", ".join(need.value for need in row.needs) or "-",
            str(row.way),
        )
        for number, row in enumerate(ROWS, 1)
    ]
    assert shown == rows
    assert f"at most {SMALL_WEIGHTS:,} weights" in PAGE
