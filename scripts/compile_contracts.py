"""Compiles all contracts when any source changed: `ape run compile_contracts`."""

from __future__ import annotations

from pathlib import Path

import click
from ape import project

from nesa.devnet.sources import compiled_stamp, is_compiled, mark_compiled, sources_digest

ROOT = Path(__file__).resolve().parents[1]


def compile_if_changed() -> bool:
    """Bring ape's bytecode up to date; whether anything had to be done."""
    contracts, stamp = ROOT / "contracts", compiled_stamp(ROOT)
    if is_compiled(contracts, stamp):
        return False
    digest = sources_digest(contracts)
    project.load_contracts(use_cache=False)
    mark_compiled(contracts, stamp, digest)
    return True


@click.command()
def cli() -> None:
    """Compile the contracts unless they are compiled."""
    click.echo("compiled" if compile_if_changed() else "nothing changed")
