"""Sums are shown to the last unit."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nesa.cli.demo.narration import Narrator, gas, nes
from nesa.cli.demo.report import Check


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0.000000000 NES"),
        (1, "0.000000001 NES"),
        (1_250_000_000, "1.250000000 NES"),
        (-1, "-0.000000001 NES"),
        (10**18, "1,000,000,000.000000000 NES"),
    ],
)
def test_an_amount_has_nine_decimals(amount: int, shown: str) -> None:
    assert nes(amount) == shown


def test_gas_has_separators() -> None:
    assert gas(142_318) == "142,318 gas"


def test_lines_carry_time_and_stage_and_no_markup() -> None:
    times = iter([100.0, 101.5])
    screen = io.StringIO()
    narrator = Narrator(Console(file=screen, width=100), lambda: next(times))
    narrator.say("chain", "[drawn] 4 + 4")
    narrator.verdict(Check("it holds", holds=False, seen="[1]"))
    assert screen.getvalue().splitlines()[0] == "   1.5 s  chain      [drawn] 4 + 4"
    assert "BROKEN  it holds [1]" in screen.getvalue()
