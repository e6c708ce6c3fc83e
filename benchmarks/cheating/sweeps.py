"""Where each strategy starts to pay: one knob is turned until it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from benchmarks.cheating.setting import Setting
from benchmarks.cheating.strategies import (
    STRATEGIES,
    Strategy,
    in_economy,
    profit,
    with_bond,
    with_limits,
    with_penalty,
)
from nesa.protocol.commitments import quorum
from nesa.protocol.economics.economy import MAX_ROYALTY_BPS
from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS

STEPS: Final = 24
"""Halvings of a range of magnitudes."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A number that a strategy is sensitive to.

    `turned` sets it, `shipped` reads it. The strategy loses at `safe` and pays at `unsafe`, both
    above 0.
    """

    strategy: str
    name: str
    turned: Callable[[Setting, float], Setting]
    shipped: Callable[[Setting], float]
    safe: float
    unsafe: float


def starts_to_pay(setting: Setting, knob: Knob) -> float | None:
    """Value of the knob from which on its strategy pays, to a millionth; None within no range."""
    strategy = named(knob.strategy)
    setting = strategy.arranged(setting)

    def pays(value: float) -> bool:
        return profit(knob.turned(setting, value), strategy).mean > 0

    if pays(knob.safe) or not pays(knob.unsafe):
        return None
    low, high = math.log(knob.safe), math.log(knob.unsafe)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if pays(math.exp(middle)) else (middle, high)
    return math.exp(high)


def named(name: str) -> Strategy:
    """The strategy of that name."""
    return next(strategy for strategy in STRATEGIES if strategy.name == name)


# === Knobs ===


def with_run_cost(setting: Setting, part: float) -> Setting:
    """A run costs this part of the price of a slot."""
    environment = setting.economy.environment
    cost = Amount(round(environment.price * part))
    return in_economy(setting, environment=replace(environment, run_cost=cost))


def run_cost(setting: Setting) -> float:
    """What a run costs, as a part of the price of a slot."""
    return setting.economy.environment.run_cost / setting.economy.environment.price


def with_fee_ratio(setting: Setting, ratio: float) -> Setting:
    """Stakes so small that a fee is this part of what a quorum has at stake."""
    stake = round(setting.query.fee / ratio / quorum(setting.replicas))
    return with_limits(setting, seat_stake=Amount(stake))


def fee_ratio(setting: Setting) -> float:
    """A fee as a part of what a quorum has at stake."""
    stake = quorum(setting.replicas) * setting.economy.limits.seat_stake
    return setting.query.fee / stake


def with_prize(setting: Setting, part: float) -> Setting:
    """A prize of this part of what a quorum has at stake."""
    stake = quorum(setting.replicas) * setting.economy.limits.seat_stake
    return replace(setting, prize=Amount(round(part * stake)))


def prize(setting: Setting) -> float:
    """The prize as a part of what a quorum has at stake."""
    return setting.prize / (quorum(setting.replicas) * setting.economy.limits.seat_stake)


def with_emission(setting: Setting, bps: float) -> Setting:
    """Another part of the treasury's fees is minted on top, at the royalty that suits it."""
    royalty = MAX_ROYALTY_BPS if bps < BPS else 0
    return replace(in_economy(setting, emission_bps=round(bps)), royalty_bps=royalty)


def with_audits(setting: Setting, part: float) -> Setting:
    """Another part of all queries is run again."""
    return replace(setting, audited=Fraction(part))


PRIZE: Final = "prize, in stakes of a quorum"
FEE: Final = "fee, in stakes of a quorum"

KNOBS: Final = (
    Knob("lone liar", "cost of a run, in prices of a slot", with_run_cost, run_cost, 0.1, 10),
    Knob("lazy copier", "cost of a run, in prices of a slot", with_run_cost, run_cost, 0.1, 10),
    Knob("colluding third", FEE, with_fee_ratio, fee_ratio, 1e-6, 1),
    Knob("re-rolling client", PRIZE, with_prize, prize, 1e-6, 1),
    Knob(
        "griefing challenger",
        "challenger's bond, in basis points of S",
        lambda setting, bps: with_bond(setting, round(bps)),
        lambda setting: setting.economy.limits.challenger_bond_bps,
        BPS,
        1,
    ),
    Knob("sham challenger, to clear a lie", PRIZE, with_prize, prize, 1e-6, 1),
    Knob("sham challenger, to collect for a lie", PRIZE, with_prize, prize, 1e-6, 2),
    Knob(
        "sham defender",
        "penalty, in basis points of S",
        lambda setting, bps: with_penalty(setting, round(bps)),
        lambda setting: setting.economy.limits.defence_penalty_bps,
        BPS,
        0.01,
    ),
    Knob("sybil developer with own seats", FEE, with_fee_ratio, fee_ratio, 1e-6, 10),
    Knob(
        "wash trader",
        "emission, in basis points of the treasury's fees",
        with_emission,
        lambda setting: setting.economy.emission_bps,
        1,
        10 * BPS,
    ),
)
"""One for each strategy that has one; bribed oracles lose their share whatever is turned."""
