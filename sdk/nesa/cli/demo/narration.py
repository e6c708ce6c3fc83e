"""How the story looks in a terminal: one line a stage with the time, tables for sums."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nesa.cli.demo.report import Check
from nesa.protocol.ids import NES_DECIMALS


class Narrator:
    """Tells what happens while it happens."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._begun = clock()

    def scene(self, number: int, title: str, words: str) -> None:
        """Open a scene with what will happen in it."""
        self._console.print()
        self._console.rule(f"[bold]{number}. {escape(title)}[/]", align="left")
        self._console.print(f"[dim]{escape(words)}[/]")

    def say(self, stage: str, words: str) -> None:
        """One line: how long the story runs, the stage, what happened."""
        elapsed = f"{self._clock() - self._begun:6.1f} s"
        self._console.print(f"[dim]{elapsed}[/]  [cyan]{stage:<10}[/] {escape(words)}")

    def verdict(self, check: Check) -> None:
        """One promise and whether it holds."""
        mark = "[green]holds[/]" if check.holds else "[bold red]BROKEN[/]"
        seen = f" [dim]{escape(check.seen)}[/]" if check.seen else ""
        self._console.print(f"          {mark}  {escape(check.promise)}{seen}")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A small table; all columns but the first hold figures."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for index, head in enumerate(heads):
            table.add_column(head, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print(table)


def nes(amount: int) -> str:
    """A sum to the last unit, as `1.250000000 NES`."""
    whole, part = divmod(abs(amount), 10**NES_DECIMALS)
    return f"{'-' if amount < 0 else ''}{whole:,}.{part:0{NES_DECIMALS}d} NES"


def gas(used: int) -> str:
    """Gas with separators, as `142,318 gas`."""
    return f"{used:,} gas"
