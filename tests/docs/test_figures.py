"""Figures that pages quote are those of the pages that benchmarks write."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.docs.tables import ROOT, tables, with_head

PRIVACY: Final = "docs/privacy.md"
RESULTS: Final = "benchmarks/results"

OBSERVERS: Final = {
    "OPEN, anybody": ("OPEN, anybody", ""),
    "SEALED, who was not drawn": ("SEALED, who was not drawn", ""),
    "SEALED, a drawn member": ("SEALED, a drawn member", ""),
    "EQUIVARIANT, a member": ("EQUIVARIANT by permutation, public weights", ""),
    "EQUIVARIANT over weights that are yours alone, a member that knows what 32 requests said": (
        "EQUIVARIANT by permutation, private weights",
        "of 32 known requests",
    ),
    "the same, a member that knows nothing but the language": (
        "EQUIVARIANT by permutation, private weights",
        "ranks, then pairs",
    ),
    "SPLIT, a member that computes from the second block on": (
        "SPLIT, the network's part",
        "depth 1:",
    ),
    "SPLIT, a member that computes the sixth block only": ("SPLIT, the network's part", "depth 5:"),
    "SHARED, one group": ("SHARED, one group", ""),
    "SHARED, both groups together": ("SHARED, both groups together", ""),
}
"""The observers of docs/privacy.md: their names on the scoreboard, and what they tried."""


def tokens_read() -> dict[tuple[str, str], tuple[float, float]]:
    """Of integer MiniLM, by observer and what was tried: per cent recovered and guessed."""
    pages = sorted((ROOT / "docs").glob("privacy-scoreboard*.md"))
    return {
        (row[0], row[2]): (_per_cent(row[3]), _per_cent(row[4]))
        for page in pages
        for table in tables(f"docs/{page.name}")
        if table.heading == "MiniLM, integers" and table.head[-1] == "of"
        for row in table.rows
        if row[-1] == "tokens read"
    }


def _per_cent(cell: str) -> float:
    return float(cell.strip("*").removesuffix("%"))


def test_tokens_read_are_those_of_the_scoreboard() -> None:
    found, shown = tokens_read(), with_head(PRIVACY, "observer", "tokens read").rows
    assert [row[0] for row in shown] == list(OBSERVERS)
    for row in shown:
        observer, depth = OBSERVERS[row[0]]
        runs = [both for (who, tried), both in found.items() if who == observer and depth in tried]
        recovered, guessed = max(runs)
        cell, _, comment = row[1].partition(", ")
        said = cell.removesuffix(" %")
        places = len(said.partition(".")[2])
        # The scoreboard is rounded to two places itself.
        assert abs(float(said) - recovered) <= 0.5 * 10**-places + 0.005, row[0]
        assert comment in ("", "less than guessing"), row[0]
        assert not comment or recovered < guessed, row[0]


def test_guessing_gets_what_the_page_says() -> None:
    said = re.search(r"guessing gets up to (\d+) % of them", (ROOT / PRIVACY).read_text())
    assert said is not None
    assert int(said[1]) == round(max(guessed for _, guessed in tokens_read().values()))


@pytest.mark.parametrize(
    ("head", "results"),
    [("query", "privacy-modes.md"), ("query about MiniLM", "privacy-modes-minilm.md")],
)
def test_costs_are_those_that_were_measured(head: str, results: str) -> None:
    measured = with_head(f"{RESULTS}/{results}", "query", "seconds", "x").rows
    shown = with_head(PRIVACY, head, "seconds", "bytes on chain")
    assert list(shown.rows) == [_shown(row) for row in measured]


def _shown(row: tuple[str, ...]) -> tuple[str, ...]:
    name, seconds, share, asked, reported, sent, received, gas, gas_share = row[:9]
    report, report_share = row[9:11]
    base = name.startswith("OPEN")
    return (
        name,
        seconds.split(" ")[0] + _beside(share, base),
        f"{_bytes(asked) + _bytes(reported):,}",
        f"{_bytes(sent) + _bytes(received):,}",
        gas + _beside(gas_share, base),
        "none" if report == "0" else report + _beside(report_share, base),
    )


def _beside(share: str, base: bool) -> str:
    return "" if base else f" ({share} x)"


def _bytes(cell: str) -> int:
    return int(cell.removesuffix(" B").replace(",", ""))


@pytest.mark.parametrize("data", ["Handwritten digits", "Breast cancer"])
def test_leaks_of_split_training_are_those_that_were_measured(data: str) -> None:
    result = {"Handwritten digits": "digits", "Breast cancer": "breast cancer"}[data]
    shown, measured = (
        [
            table
            for table in tables(page)
            if table.heading.startswith(heading) and table.head[0] == "noise on activations"
        ]
        for page, heading in (
            ("docs/split-training.md", data),
            (f"{RESULTS}/split-training.md", result),
        )
    )
    assert len(shown) == 1
    assert (shown[0].head, shown[0].rows) == (measured[0].head, measured[0].rows)


def test_what_a_head_for_text_tells_is_what_was_measured() -> None:
    results = f"{RESULTS}/text-head.md"
    sorted_rightly = [row[1] for row in with_head(results, "of 90 other questions").rows]
    told = {row[0].split(":")[0]: row for row in _second(results)}
    activations, gradients = told["T5 activations"], told["T5 gradients"]
    page = (ROOT / "docs/split-training.md").read_text(encoding="utf-8")
    quoted = re.findall(r"([\d.]+)%", page[page.index("## A head") : page.index("## What the")])
    assert quoted == [
        *(cell.removesuffix("%") for cell in sorted_rightly),
        f"{_per_cent(activations[1]):.0f}",
        gradients[1].removesuffix("%"),
        f"{_per_cent(activations[2]):.0f}",
        told["T6 activations"][1].removesuffix("%"),
    ]


def _second(path: str) -> tuple[tuple[str, ...], ...]:
    return list(tables(path))[1].rows


def test_guessed_digests_are_those_that_were_measured() -> None:
    answers, guessed, tries, _, seconds, _ = with_head(f"{RESULTS}/guessing.md", "answers").rows[0]
    page = (ROOT / PRIVACY).read_text(encoding="utf-8")
    said = f"answers to {answers} test rows, {guessed} were found from digests that are not"
    assert f"{said}, with a median of {tries} tries and {seconds} s each" in page
