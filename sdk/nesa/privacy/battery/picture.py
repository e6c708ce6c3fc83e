"""What attacks found, as a picture: an SVG, written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from nesa.privacy.battery.bounds import severity
from nesa.privacy.battery.findings import Attack, Finding
from nesa.privacy.battery.views import Observer

SHOWN: Final = tuple(attack for attack in Attack if attack is not Attack.T8)
"""Attacks with a column; uniformity is a property, of which there is no share to read."""

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
    """What the battery found in one view of requests to one model, in so many seconds."""

    model: str
    observer: Observer
    findings: tuple[Finding, ...]
    seconds: float


def by_model(scores: Iterable[Score]) -> dict[str, dict[Observer, tuple[Finding, ...]]]:
    """The findings of each model, by observer."""
    found: dict[str, dict[Observer, tuple[Finding, ...]]] = {}
    for score in scores:
        rows = found.setdefault(score.model, {})
        rows[score.observer] = (*rows.get(score.observer, ()), *score.findings)
    return found


def telling(observer: Observer, findings: Sequence[Finding], attack: Attack) -> Finding | None:
    """The finding that stands for an attack: the severest one."""
    tried = [found for found in findings if found.attack is attack]
    return max(tried, key=lambda found: severity(observer, found), default=None)


def picture(scores: Sequence[Score]) -> str:
    """An SVG: for each model and observer one bar an attack, as long as the share that it read; a
    tick where guessing ends, red where more was read than chance explains."""
    lines, top = list[str](), 10
    for model, rows in by_model(scores).items():
        lines.append(_label(8, top + 14, model, weight="bold"))
        for place, attack in enumerate(SHOWN):
            lines.append(_label(LABEL + place * CELL, top + 34, attack.name))
        top += TOP
        for observer, findings in rows.items():
            lines.append(_label(8, top + 14, observer.value))
            for place, attack in enumerate(SHOWN):
                found = telling(observer, findings, attack)
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
