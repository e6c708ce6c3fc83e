"""Ways to cheat, what each is held against, and the rule or parameter that makes it lose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final, TypeAlias

import numpy as np

from benchmarks.cheating.book import Account, Book
from benchmarks.cheating.playing import play
from benchmarks.cheating.run import Run
from benchmarks.cheating.setting import HONEST, Challenging, Conduct, Setting, Work
from nesa.protocol.economics.economy import MAX_ROYALTY_BPS
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.parameters import BPS

Arrangement: TypeAlias = Callable[[Setting], Setting]

OTHERS: Final = (
    Account.MEMBERS,
    Account.ORACLES,
    Account.CLIENTS,
    Account.DEVELOPERS,
    Account.WATCHERS,
)
"""Who may be harmed."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to cheat.

    `baseline` is what the same coalition would do honestly, None for not asking at all. `arranged`
    makes of a setting the one that suits the cheat best, `unguarded` takes its guard away.
    `is_spiteful`: what others lose counts as its gain, as a rival would see it.
    """

    name: str
    conduct: Conduct
    baseline: Conduct | None
    arranged: Arrangement
    guard: str
    unguarded: Arrangement
    is_spiteful: bool = False


@dataclass(frozen=True, slots=True)
class Profit:
    """By query: NES that the coalition earns above its baseline, with the standard error; NES that
    others lose; seconds of delay; and the parts that were answered wrongly, and not at all.
    """

    mean: float
    error: float
    harm: float
    delay: float
    wrong: float
    unanswered: float


def profit(setting: Setting, strategy: Strategy) -> Profit:
    """What a strategy earns in a setting, as it is."""
    gains, harm, total = [], 0.0, Book()
    for number in range(setting.queries):
        book, honest = Book(), Book()
        play(Run(setting, strategy.conduct, book), number)
        if strategy.baseline is not None:
            play(Run(setting, strategy.baseline, honest), number)
        lost = -sum(_difference(book, honest, account) for account in OTHERS)
        own = _difference(book, honest, Account.COALITION)
        gains.append(own + lost if strategy.is_spiteful else own)
        harm += lost
        total.count(book)
    values, count = np.asarray(gains), setting.queries
    error = float(values.std(ddof=1)) / math.sqrt(count)
    return Profit(
        mean=float(values.mean()),
        error=error,
        harm=harm / count,
        delay=total.delay / count,
        wrong=total.wrong / count,
        unanswered=1 - total.answered / count,
    )


def _difference(book: Book, honest: Book, account: Account) -> float:
    return (book.balances[account] - honest.balances[account]) / ONE_NES


def in_economy(setting: Setting, **changes: Any) -> Setting:
    """The setting with other bonds, or other parts of its economy."""
    return replace(setting, economy=replace(setting.economy, **changes))


def with_limits(setting: Setting, **changes: Any) -> Setting:
    """The setting with other bonds, stakes or limits."""
    return in_economy(setting, limits=replace(setting.economy.limits, **changes))


def with_bond(setting: Setting, bps: int) -> Setting:
    """The setting with another bond of challengers."""
    return with_limits(setting, challenger_bond_bps=bps)


def with_penalty(setting: Setting, bps: int) -> Setting:
    """The setting with another penalty for defences that are lost by time."""
    return with_limits(setting, defence_penalty_bps=bps)


def unaudited(setting: Setting) -> Setting:
    """Nobody runs anything again."""
    return replace(setting, audited=Fraction(0))


def _ruled(**changes: Any) -> Arrangement:
    return lambda setting: replace(setting, rules=replace(setting.rules, **changes))


def _worth(fees: int) -> Arrangement:
    """A prize of so many fees."""
    return lambda setting: replace(setting, prize=Amount(fees * setting.query.fee))


def _worth_a_bond(setting: Setting) -> Setting:
    return replace(setting, prize=setting.economy.challenger_bond)


def _owned(setting: Setting) -> Setting:
    """All seats and all oracles are the coalition's, at the greatest royalty."""
    owned = replace(setting, corrupt=Fraction(1), bribed=Fraction(1))
    return replace(owned, royalty_bps=MAX_ROYALTY_BPS)


def _free_runs(setting: Setting) -> Setting:
    environment = replace(setting.economy.environment, run_cost=Amount(0))
    return in_economy(_owned(setting), environment=environment)


STRATEGIES: Final = (
    Strategy(
        "lone liar",
        Conduct(Work.LIE_ALWAYS),
        HONEST,
        lambda setting: replace(setting, corrupt=Fraction(1, setting.seats)),
        "only what a quorum agreed on is paid",
        _ruled(agreement_is_paid=False),
    ),
    Strategy(
        "lazy copier",
        Conduct(Work.COPY),
        HONEST,
        lambda setting: replace(setting, corrupt=Fraction(1, 20)),
        "results are committed to before any is shown",
        _ruled(commitments_hide=False),
    ),
    Strategy(
        "colluding third",
        Conduct(Work.LIE),
        HONEST,
        _worth(1),
        "audits",
        unaudited,
    ),
    Strategy(
        "re-rolling client",
        Conduct(Work.LIE_OR_STALL, owns_client=True, retries=True),
        None,
        _worth(20),
        "audits",
        unaudited,
    ),
    Strategy(
        "griefing challenger",
        Conduct(challenging=Challenging.RIGHT_ANSWERS),
        HONEST,
        lambda setting: replace(setting, corrupt=Fraction(0)),
        "the challenger's bond",
        lambda setting: with_bond(setting, 0),
        is_spiteful=True,
    ),
    Strategy(
        "sham challenger, to clear a lie",
        Conduct(Work.LIE, Challenging.TO_CLEAR),
        HONEST,
        _worth_a_bond,
        "a lost challenge settles only itself",
        _ruled(challenges_are_single=False),
    ),
    Strategy(
        "sham challenger, to collect for a lie",
        Conduct(Work.LIE, Challenging.TO_COLLECT),
        HONEST,
        _worth_a_bond,
        "three quarters of a slash are burned",
        _ruled(rewarded=Fraction(1)),
    ),
    Strategy(
        "sham defender",
        Conduct(Work.LIE, defends_lies=True),
        Conduct(Work.LIE),
        lambda setting: replace(setting, audited=Fraction(1)),
        "the penalty of a defence lost by time",
        lambda setting: with_penalty(setting, 0),
        is_spiteful=True,
    ),
    Strategy(
        "sybil developer with own seats",
        Conduct(Work.LIE, owns_version=True),
        Conduct(owns_version=True),
        _owned,
        "audits",
        unaudited,
    ),
    Strategy(
        "bribed oracles, for a client that wants its fee back",
        Conduct(owns_client=True, withholds_reports=True),
        Conduct(owns_client=True),
        lambda setting: replace(setting, corrupt=Fraction(0), bribed=Fraction(1)),
        "anybody may report after the oracles' turns",
        _ruled(anybody_reports=False),
    ),
    Strategy(
        "wash trader",
        Conduct(owns_client=True, owns_version=True),
        None,
        _free_runs,
        "emission is less than the treasury's fees",
        lambda setting: replace(in_economy(setting, emission_bps=2 * BPS), royalty_bps=0),
    ),
)
"""What the simulation tries."""
