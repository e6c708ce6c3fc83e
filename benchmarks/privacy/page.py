"""The scoreboard as two pages in markdown: what attacks found, and everything that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nesa.privacy.battery.bounds import Claim, breaches, claim
from nesa.privacy.battery.findings import Attack, Finding
from nesa.privacy.battery.picture import SHOWN, Score, by_model, telling
from nesa.privacy.battery.views import Observer

INTRODUCTION: Final = """\
# Privacy scoreboard

What one observer reads of private requests, in every mode, as the attack battery measured it:
`make bench-privacy ARGS=--write` makes this page and its picture, and fails where a claim breaks.
[privacy-battery.md](privacy-battery.md) says what each attack knows and how to read the figures,
[privacy-scoreboard-details.md](privacy-scoreboard-details.md) has everything that was tried, and
`nesa privacy audit` does the same to a model of your own.

![Share of the requests that each attack reads](privacy-scoreboard.svg)

A cell holds what an attack recovered at its strongest, and in brackets what guessing reaches.
**Bold** is more than chance explains. In a row that claims *chance* the second figure in the
brackets says up to where chance explains it, which for few requests is well above guessing; such a
row shows the run that came nearest to that, and its claim is broken where any run is beyond. An
empty cell: the observer holds nothing that the attack works on. Only a mode that claims *chance*
may be called private against that observer, and a test fails when it leaks more.

What a percentage is of:
"""

LEGEND: Final[Mapping[Attack, str]] = {
    Attack.T0: "takes identifiers as they are: tokens read, of models without text records named",
    Attack.T1: "runs every token or record and compares states: tokens read, or records named",
    Attack.T2: "the same by lengths and inner products, which a rotation keeps",
    Attack.T3: "the same behind the key that public weights give away, or by rows of the embedding",
    Attack.T4: "ranks identifiers and their neighbours as in a cipher: tokens read",
    Attack.T5: "looks up what 32 known requests said: tokens read, or records named",
    Attack.T6: "decodes states: tokens read, or of records the variance that is explained",
    Attack.T7: "distance correlation of the input and what is seen: 100 % where all distances are "
    "in proportion, which is not yet to read anything",
    Attack.T8: "tests whether shares and messages are uniform; it has no column, and stands in the "
    "details only",
    Attack.T9: "counts bytes, rounds, seconds, equal identifiers: lengths told, records named, or "
    "equal tokens seen as equal",
    Attack.T10: "compares two requests: how often, of a linked pair and another one, it says which "
    "is linked; 50 % is a coin",
}
"""What each attack does and what its percentage is of."""

DETAILS: Final = """\
# Privacy scoreboard: everything that was tried

Every attack behind the [scoreboard](privacy-scoreboard.md), one row a run; `make bench-privacy
ARGS=--write` makes this page too. **Bold** is more than chance explains, which is up to the figure
in the column *chance up to*.
"""


def text_page(scores: Sequence[Score]) -> str:
    """The page: what the figures are of, and for each model one short table."""
    legend = "\n".join(f"* **{attack.name}** {text}" for attack, text in LEGEND.items())
    parts = [INTRODUCTION, legend, ""]
    for model, rows in by_model(scores).items():
        parts += [f"## {model}\n", _short(rows), ""]
    return "\n".join(parts).rstrip()


def details_page(scores: Sequence[Score]) -> str:
    """The page of long tables, one a model."""
    parts = [DETAILS]
    for model, rows in by_model(scores).items():
        parts += [f"## {model}\n", _long(rows), ""]
    return "\n".join(parts).rstrip()


def broken(scores: Sequence[Score]) -> tuple[str, ...]:
    """A line for every finding that is more than a mode claims."""
    return tuple(
        f"{score.model}: {score.observer.value} claims chance, and {found.attack.name} "
        f"({found.tried}) has {found.recovery:.1%} where chance explains "
        f"{found.baseline + found.slack:.1%}"
        for score in scores
        for found in breaches(score.observer, score.findings)
    )


def _short(rows: Mapping[Observer, tuple[Finding, ...]]) -> str:
    head = " | ".join(attack.name for attack in SHOWN)
    lines = [f"| who looks | claims | {head} |", "|---|---|" + "---:|" * len(SHOWN)]
    for observer, findings in rows.items():
        cells = " | ".join(_cell(observer, findings, attack) for attack in SHOWN)
        lines.append(f"| {observer.value} | {_claims(observer, findings)} | {cells} |")
    return "\n".join(lines)


def _cell(observer: Observer, findings: tuple[Finding, ...], attack: Attack) -> str:
    found = telling(observer, findings, attack)
    if found is None:
        return ""
    guess = _guess(found.baseline)
    if claim(observer, attack) is Claim.CHANCE:
        guess = f"{guess}, up to {_guess(found.baseline + found.slack)}"
    text = f"{found.recovery:.1%} ({guess})"
    return text if found.is_chance else f"**{text}**"


def _claims(observer: Observer, findings: tuple[Finding, ...]) -> str:
    if claim(observer, Attack.T1) is Claim.NOTHING:
        return "nothing"
    return "chance: BROKEN" if breaches(observer, findings) else "chance: held"


def _long(rows: Mapping[Observer, tuple[Finding, ...]]) -> str:
    lines = [
        "| who looks | attack | what was tried | recovered | guessing | chance up to | of |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for observer, findings in rows.items():
        for found in findings:
            share = f"{found.recovery:.2%}"
            lines.append(
                f"| {observer.value} | {found.attack.name} {found.attack.value} | {found.tried} "
                f"| {share if found.is_chance else f'**{share}**'} | {_guess(found.baseline)} "
                f"| {_guess(found.baseline + found.slack)} | {found.measure.value} |"
            )
    return "\n".join(lines)


def _guess(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 or share == 0 else f"{share:.3%}"
