"""`nesa privacy audit`"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from nesa.cli.output import console, json_option, safe, show
from nesa.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from nesa.privacy.battery.findings import Finding
    from nesa.privacy.battery.views import Observer

FOLDER: Final = click.Path(path_type=Path, file_okay=False)
FILE: Final = click.Path(path_type=Path, dir_okay=False)

RECORDS, TEXTS = 64, 8
"""Requests that are matched where nobody says how many."""

MODES: Final[Mapping[str, tuple[str, ...]]] = {
    "open": ("OPEN_MEMBER",),
    "sealed": ("SEALED_OUTSIDER", "SEALED_MEMBER"),
    "equivariant": ("PERMUTED_MEMBER", "PERMUTED_PRIVATE"),
    "split": ("SPLIT_MEMBER", "SPLIT_PRIVATE"),
    "shared": ("SHARED_MEMBER", "SHARED_COLLUDING"),
}
"""Who is looked over the shoulder in each mode."""


@click.command(epilog="Example: nesa privacy audit models/breast-cancer-mlp --mode shared")
@click.argument("model", type=FOLDER)
@click.option("--mode", "modes", type=click.Choice(list(MODES)), multiple=True, help="All without.")
@click.option(
    "--requests",
    type=click.IntRange(1, 10_000),
    help="So many requests are matched against every record or, which takes longer, every token.  "
    f"[default: {RECORDS}; {TEXTS} of models that read text]",
)
@click.option("--every", is_flag=True, help="Show every finding, not the strongest of each attack.")
@click.option("--plot", type=FILE, help="Draw what was found into this file, an SVG.")
@json_option
def audit(
    model: Path,
    modes: tuple[str, ...],
    requests: int | None,
    every: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Attack what nodes would see of requests to the compiled model in the folder MODEL.

    Its own test rows are the requests. Beside what each attack recovers stands what guessing
    would; docs/privacy-battery.md says what each attack knows. The command fails when a mode
    lets more be seen than it claims.
    """
    from nesa.privacy.battery.bounds import breaches, foremost

    if plot is not None:
        _require_writable(plot)  # before minutes of attacks
    found = _attacked(model, modes or tuple(MODES), requests)
    shown = {
        observer: findings if every else foremost(observer, findings)
        for observer, findings in found.items()
    }
    if as_json:
        show({"observers": [_document(*each) for each in shown.items()]}, as_json=True)
    else:
        console().print(_table(shown))
    if plot is not None:
        _draw(plot, model, found)
    if any(breaches(observer, findings) for observer, findings in found.items()):
        raise click.exceptions.Exit(1)


def _attacked(
    model: Path, modes: tuple[str, ...], requests: int | None
) -> dict[Observer, tuple[Finding, ...]]:
    from nesa.models.folder import load
    from nesa.privacy.battery.audit import audit as attack
    from nesa.privacy.battery.case import Budget
    from nesa.privacy.battery.compiled import Subject, is_text
    from nesa.privacy.battery.observing import view
    from nesa.privacy.battery.views import Observer

    read = load(model)
    subject, matched = Subject(read), requests or (TEXTS if is_text(read) else RECORDS)
    budget = Budget(requests=matched)
    observers = [Observer[name] for mode in modes for name in MODES[mode]]
    return {
        observer: attack(subject.public, view(subject, observer), subject.secret, budget)
        for observer in observers
    }


def _require_writable(file: Path) -> None:
    place = file if file.exists() else file.parent
    if not os.access(place, os.W_OK):
        raise InvalidInput(f"{file} cannot be written: name a file in a folder that you may write")


def _draw(file: Path, model: Path, found: Mapping[Observer, tuple[Finding, ...]]) -> None:
    from nesa.privacy.battery.picture import Score, picture

    scores = [Score(model.name, observer, findings, 0.0) for observer, findings in found.items()]
    try:
        file.write_text(picture(scores), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from error


def _table(shown: Mapping[Observer, tuple[Finding, ...]]) -> Table:
    heads = "who looks", "attack", "recovered", "guessing", "chance up to", "of", "claim", "how"
    table = Table(*heads, box=None)
    for observer, findings in shown.items():
        for found in findings:
            table.add_row(observer.value, *map(safe, _words(observer, found)))
    return table


def _words(observer: Observer, found: Finding) -> tuple[str, ...]:
    attack = f"{found.attack.name} {found.attack.value}"
    shares = found.recovery, found.baseline, found.baseline + found.slack
    figures = (f"{share:.1%}" for share in shares)
    return attack, *figures, found.measure.value, _claim(observer, found), found.tried


def _claim(observer: Observer, found: Finding) -> str:
    from nesa.privacy.battery.bounds import Claim, breaches, claim

    if claim(observer, found.attack) is Claim.NOTHING:
        return "none"
    return "BROKEN" if breaches(observer, [found]) else "held"


def _document(observer: Observer, findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "observer": observer.value,
        "findings": [
            {
                "attack": found.attack.name,
                "recovery": found.recovery,
                "baseline": found.baseline,
                "slack": found.slack,
                "of": found.measure.value,
                "claim": _claim(observer, found),
                "tried": found.tried,
            }
            for found in findings
        ],
    }
