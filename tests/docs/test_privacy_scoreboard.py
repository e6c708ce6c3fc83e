"""The scoreboard that is published says of every claim that it held."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nesa.privacy.battery.bounds import CLAIMS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "privacy-scoreboard.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([A-Z][^|]*?) \| ([^|]*?) \|", re.MULTILINE)


def test_every_claim_on_the_scoreboard_held() -> None:
    shown = [(observer, says) for observer, says in ROW.findall(PAGE) if says != "nothing"]
    claiming = {observer.value for observer, claims in CLAIMS.items() if claims}
    assert {observer for observer, _ in shown} == claiming
    assert {says for _, says in shown} == {"chance: held"}


def test_nothing_is_bold_that_claims_chance() -> None:
    held = [line for line in PAGE.splitlines() if "| chance" in line]
    assert len(held) >= 6
    assert not any("**" in line for line in held)


def test_no_split_begins_at_the_input() -> None:
    """Decision 0056: nothing is shown that a split may not do."""
    details = (DOCS / "privacy-scoreboard-details.md").read_text(encoding="utf-8")
    split = [line for line in details.splitlines() if line.startswith("| SPLIT, the network's")]
    assert any("depth 1" in line for line in split)
    assert not any("depth 0" in line for line in split)


@pytest.mark.parametrize("page", ["privacy-scoreboard-details.md", "privacy-scoreboard.svg"])
def test_the_scoreboard_leads_to_what_it_is_made_with(page: str) -> None:
    assert f"]({page})" in PAGE
    assert (DOCS / page).exists()
