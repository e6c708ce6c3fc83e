"""The threat model points at tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.adversary.catalogue import attacks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and " shown by |" not in line]


def test_every_test_that_it_names_exists():
    known = {attack.name for attack in attacks()}
    named = re.findall(r"`([a-z0-9_]+)`", " ".join(row.split("|")[-2] for row in ROWS))
    assert len(named) > 40
    assert [name for name in named if name not in known] == []


def test_every_file_that_it_names_exists():
    paths = re.findall(r"`(tests/[a-z_/]+(?:\.py)?)`", PAGE)
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
