"""The tables of docs/economics.md that nobody has to play: assumptions and margins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from nesa.protocol.economics.economy import LONGEST_GAME, Economy, Environment
from nesa.protocol.economics.inequalities import INEQUALITIES
from nesa.protocol.ids import ONE_NES
from nesa.protocol.parameters import BPS


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A table; the first `texts` columns are text, the others are numbers."""
    marks = "---|" * texts + "---:|" * (len(heads) - texts)
    lines = ["| " + " | ".join(heads) + " |", "|" + marks]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def assumptions(economies: Mapping[str, Economy]) -> str:
    """What the parameters do not settle, in each economy."""
    rows = [
        (text, symbol, *(shown(economy.environment) for economy in economies.values()))
        for text, symbol, shown in ASSUMPTIONS
    ]
    return markdown(("assumption", "symbol", *economies), rows, texts=2)


def margins(economies: Mapping[str, Economy]) -> str:
    """Every inequality with its margin in each economy."""
    heads = ("name", "what must hold", "why", *economies)
    rows = []
    for one in INEQUALITIES:
        found = [f"{float(one.margin(economy)):,.4g}" for economy in economies.values()]
        rows.append((f"`{one.name}`", f"`{one.formula}`", one.why, *found))
    return markdown(heads, rows, texts=3)


def _nes(amount: int) -> str:
    return f"{amount / ONE_NES:.9f}".rstrip("0").rstrip(".") + " NES"


def _seconds(seconds: int) -> str:
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


ASSUMPTIONS: Final[Sequence[tuple[str, str, Callable[[Environment], str]]]] = (
    ("gas costs", "", lambda given: _nes(given.gas_price)),
    (
        f"a move takes at most; either side pays `G` for {LONGEST_GAME // 2} of them",
        "`G`",
        lambda given: f"{given.move_gas:,} gas",
    ),
    ("a request takes at most", "", lambda given: f"{given.request_gas:,} gas"),
    ("a report of a shard takes at most", "`g_report`", lambda given: f"{given.report_gas:,} gas"),
    (
        "an answer to a summons takes at most",
        "`g_answer`",
        lambda given: f"{given.answer_gas:,} gas",
    ),
    ("price of a slot", "`f`", lambda given: _nes(given.price)),
    ("cost of a run", "`R`", lambda given: _nes(given.run_cost)),
    ("interest elsewhere, a year", "", lambda given: f"{given.yearly_interest_bps / BPS:.0%}"),
    (
        "how often an honest side of a game misses a move of it",
        "`x`",
        lambda given: f"{given.missed_bps / BPS:.0%}",
    ),
    (
        "part of all queries that somebody else runs again",
        "`a`",
        lambda given: f"{given.audit_bps / BPS:.0%}",
    ),
    (
        "part of all seats that one party holds; it captures `p` and stalls `s` of all draws",
        "`c`",
        lambda given: f"{given.corrupt_bps / BPS:.0%} of {given.list_length}",
    ),
    ("a run lasts at most", "`T_run`", lambda given: _seconds(given.run_seconds)),
    (
        "a transaction is censored, then confirmed, within",
        "`T_stall`",
        lambda given: _seconds(given.stall_seconds + given.confirmation_seconds),
    ),
    (
        "an operator or a watcher is away for at most",
        "`T_away`",
        lambda given: _seconds(given.absence_seconds),
    ),
)
"""What is assumed, its symbol, and how it is shown."""
