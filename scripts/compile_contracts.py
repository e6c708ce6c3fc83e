"""Compiles all contracts when any source changed: `ape run compile_contracts`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # ape runs this file by its path

from scripts.deployment.compiling import compile_if_changed


@click.command()
def cli() -> None:
    """Compile the contracts unless they are compiled."""
    click.echo("compiled" if compile_if_changed() else "nothing changed")
