"""The scoreboard as a page in markdown and as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from nesa.privacy.battery.bounds import Claim, breaches, claim
from nesa.privacy.battery.findings import Attack, Finding, strongest
from nesa.privacy.battery.views import Observer

INTRODUCTION: Final = """\
# Privacy scoreboard

What one observer reads of private requests, in every mode, as the attack battery measured it:
`make bench-privacy` makes this page and its picture. [privacy-battery.md](privacy-battery.md) says
what each attack knows and how to read the figures; `nesa privacy audit` does the same to a model of
your own.

![Share of the requests that each attack reads](privacy-scoreboard.svg)

A cell holds what the strongest run of an attack recovered, and in brackets what guessing reaches.
**Bold** is more than chance explains; the long tables say up to where it does, which for few
requests is well above guessing. An empty cell: the observer holds nothing that the attack
works on. Only a mode that claims *chance* may be called private against that observer, and a test
fails when it leaks more.
"""

SHOWN: Final = tuple(attack for attack in Attack if attack is not Attack.T8)
"""Attacks with a column; uniformity is a property, and stands in the long tables."""

LABEL: Final = 300
CELL: Final = 78
ROW: Final = 24
TOP: Final = 46
INK: Final = "#222222"
FAINT: Final = "#d9d9d9"
LEAK: Final = "#c0392b"
FAIR: Final = "#2e7d5b"


@dataclass(frozen=True, slots=True)
class Score:
    """What the battery found in one view of requests to one model."""

    model: str
    observer: Observer
    findings: tuple[Finding, ...]
    seconds: float


def text_page(scores: Sequence[Score]) -> str:
    """The page: for each model one short table, then everything that was tried."""
    parts = [INTRODUCTION]
    for model, rows in _by_model(scores).items():
        parts += [f"## {model}\n", _short(rows), ""]
    parts.append("## Everything that was tried\n")
    for model, rows in _by_model(scores).items():
        parts += [f"### {model}\n", _long(rows), ""]
    return "\n".join(parts).rstrip()


def picture(scores: Sequence[Score]) -> str:
    """An SVG: for each model and observer one bar an attack, as long as the share that it read; a
    tick where guessing ends, red where more was read than chance explains."""
    lines, top = list[str](), 10
    for model, rows in _by_model(scores).items():
        lines.append(_label(8, top + 14, model, weight="bold"))
        for place, attack in enumerate(SHOWN):
            lines.append(_label(LABEL + place * CELL, top + 34, attack.name))
        top += TOP
        for observer, findings in rows.items():
            lines.append(_label(8, top + 14, observer.value))
            for place, attack in enumerate(SHOWN):
                found = _strongest(findings, attack)
                if found is not None:
                    lines.append(_bar(LABEL + place * CELL, top, found))
            top += ROW
        top += 16
    width = LABEL + len(SHOWN) * CELL + 8
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" '
    head += 'font-family="sans-serif" font-size="12">\n'
    title = "<title>Share of the requests that each attack reads, by model and observer</title>\n"
    ground = f'<rect width="{width}" height="{top}" fill="#ffffff"/>\n'
    return head + title + ground + "\n".join(lines) + "\n</svg>\n"


def _by_model(scores: Iterable[Score]) -> dict[str, dict[Observer, tuple[Finding, ...]]]:
    found: dict[str, dict[Observer, tuple[Finding, ...]]] = {}
    for score in scores:
        rows = found.setdefault(score.model, {})
        rows[score.observer] = (*rows.get(score.observer, ()), *score.findings)
    return found


def _short(rows: Mapping[Observer, tuple[Finding, ...]]) -> str:
    head = " | ".join(attack.name for attack in SHOWN)
    lines = [f"| who looks | claims | {head} |", "|---|---|" + "---:|" * len(SHOWN)]
    for observer, findings in rows.items():
        cells = " | ".join(_cell(_strongest(findings, attack)) for attack in SHOWN)
        lines.append(f"| {observer.value} | {_claims(observer, findings)} | {cells} |")
    return "\n".join(lines)


def _cell(found: Finding | None) -> str:
    if found is None:
        return ""
    text = f"{found.recovery:.1%} ({_guess(found.baseline)})"
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


def _strongest(findings: tuple[Finding, ...], attack: Attack) -> Finding | None:
    found = [each for each in strongest(findings) if each.attack is attack]
    return max(found, key=lambda each: each.gain, default=None)


def _label(left: int, top: int, text: str, weight: str = "normal") -> str:
    return f'<text x="{left}" y="{top}" fill="{INK}" font-weight="{weight}">{escape(text)}</text>'


def _bar(left: int, top: int, found: Finding) -> str:
    """A faint whole, the share that was read, a tick at guessing, and the figure."""
    whole = CELL - 36
    length, guess = (round(whole * min(1.0, each)) for each in (found.recovery, found.baseline))
    colour = FAIR if found.is_chance else LEAK
    return (
        f'<rect x="{left}" y="{top + 4}" width="{whole}" height="12" fill="{FAINT}"/>'
        f'<rect x="{left}" y="{top + 4}" width="{length}" height="12" fill="{colour}"/>'
        f'<rect x="{left + guess}" y="{top + 2}" width="1" height="16" fill="{INK}"/>'
        f'<text x="{left + whole + 3}" y="{top + 14}" font-size="10" fill="{INK}">'
        f"{found.recovery:.0%}</text>"
    )
