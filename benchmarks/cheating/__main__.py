"""Prints and keeps the tables: `python -m benchmarks.cheating`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.cheating import tables
from benchmarks.cheating.setting import Setting
from nesa.protocol.ids import ONE_NES
from scripts.deployment.economies import economy
from scripts.deployment.profiles import DEVNET, PUBLIC

RESULTS: Final = Path(__file__).parents[1] / "results" / "cheating.md"

Section = tuple[str, str, str]
"""A heading, what the table is about, and the table."""


def page() -> str:
    """All tables, with what each is about."""
    public, devnet = Setting(economy(PUBLIC)), Setting(economy(DEVNET))
    sections = (*strategies(public, devnet), *lies(public), *everything_else(public))
    told = ["\n\n".join(filter(None, (f"## {head}", *rest))) for head, *rest in sections]
    return "\n\n".join((introduction(public), *told)) + "\n"


def introduction(public: Setting) -> str:
    """What holds for all tables."""
    work = public.economy.environment
    return f"""# Who earns what, honest or not

{public.queries:,} queries for each line, over the same draws: {public.seats} seats a shard, r =
{public.replicas}, {float(public.audited):.0%} of all queries run again, a price of
{work.price / ONE_NES:g} NES for a slot, of which a run costs {work.run_cost / work.price:.0%}. S is
the seat stake, q the quorum. docs/economics.md says what each strategy is. Written by
`python -m benchmarks.cheating`."""


def strategies(public: Setting, devnet: Setting) -> tuple[Section, ...]:
    """What every strategy earns, and where it starts to pay."""
    return (
        (
            "Strategies, with the public profile",
            """\
What the cheats earn above honest play (above not asking, where they are the client), with the
standard error; what everybody else loses; and what they would earn if one rule were missing.""",
            tables.strategies(public),
        ),
        (
            "Strategies, with the development profile",
            """\
A dispute lasts minutes here, so that waiting for its end costs nobody anything and there is little
for the penalty of a defence to guard.""",
            tables.strategies(devnet),
        ),
        (
            "Where each starts to pay",
            "",
            tables.turning_points(replace_queries(public, 2_000)),
        ),
    )


def lies(public: Setting) -> tuple[Section, ...]:
    """What a quorum of liars earns."""
    return (
        (
            "Lies for the fee",
            "A third of all seats lies whenever it is a quorum, for a prize as large as the fee. "
            "Profit in fees.",
            tables.lies(public),
        ),
        (
            "Lies for a prize",
            """\
The part of all queries that must be run again before a lie loses, counting what is burned only.""",
            tables.prizes(public),
        ),
        (
            "Lies, by the part of all seats",
            """\
For a prize of 2 % of a quorum's stake: where it pays does not depend on the seats, what it pays
does. NES a query.""",
            tables.shares(public),
        ),
        (
            "Seats that stay after a slash",
            """\
A third of all seats lies for the same prize and stakes only once. Sums of the whole run.""",
            tables.sprees(public),
        ),
    )


def everything_else(public: Setting) -> tuple[Section, ...]:
    """What other ways to cheat earn."""
    return (
        (
            "A committee of one's own",
            """\
A client asks until its own seats are a quorum, stalls where it can and tries three times. *Exact*
is `nesa.protocol.economics.lies.capture_cost`, at the greatest royalty.""",
            tables.captures(replace_queries(public, 20_000)),
        ),
        (
            "Griefing",
            """\
A right answer is challenged, and every clock runs to its end.""",
            tables.griefing(public),
        ),
        (
            "Bribed oracles",
            "",
            tables.bribes(public),
        ),
        (
            "Members that withhold",
            """\
An answer is worth its fee to the client here, so a refund alone does not make good for it.""",
            tables.stalling(public),
        ),
        (
            "Wash trading",
            """\
Profit in fees; runs cost nothing here.""",
            tables.washing(public),
        ),
        (
            "Watchers",
            """\
A tenth of all queries is run again.""",
            tables.watching(public),
        ),
    )


def replace_queries(setting: Setting, queries: int) -> Setting:
    """The setting with more or fewer queries."""
    return replace(setting, queries=queries)


def main() -> None:
    """Prints the page and keeps it."""
    text = page()
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
