"""`nesa demo`"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from nesa.cli.demo.report import write
from nesa.cli.demo.story import telling
from nesa.cli.interruption import run_until_told
from nesa.cli.output import console

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(epilog="Example: nesa demo --json demo.json")
@click.option("--json", "file", type=FILE, help="Write everything that was found out to FILE.")
@click.option("--keep", is_flag=True, help="Keep the network running afterwards, until Ctrl-C.")
def demo(file: Path | None, keep: bool) -> int:
    """Start a whole network on this machine and ask it five ways.

    A contract asks and is called back; a person asks sealed; an answer is proved; a miner lies and
    another is killed; every fee is shown to the last unit. Exit code 1 when any outcome is wrong.
    """
    return run_until_told(_tell(file, keep=keep))


async def _tell(file: Path | None, *, keep: bool) -> int:
    screen = console()
    async with telling(screen, keep=keep) as (told, devnet):
        if file is not None:
            write(told.report, file)
        report = told.report
        times = f"{report.story_seconds} s, after {report.preparation_seconds} s of preparation"
        screen.print()
        if report.holds:
            screen.print(f"[green]Every promise holds.[/] The story took {times}.")
        for failure in report.failures:
            screen.print(f"[bold red]BROKEN[/] {failure}")
        if told.folder is not None:
            screen.print(f"The logs are in {told.folder / 'logs'}. The story took {times}.")
        if keep:
            screen.print(f"The network stays up, see {devnet.layout.network}; Ctrl-C ends it.")
            await asyncio.Event().wait()
    return 0 if report.holds else 1
