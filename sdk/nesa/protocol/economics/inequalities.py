"""Each thing that the parameters must keep, as a margin: it holds from 1 on.

A margin says by how much the weaker side may still grow. docs/economics.md prints this list with
the margins of the shipped profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from nesa.protocol.commitments import quorum
from nesa.protocol.economics.economy import (
    LEAST_REPLICAS,
    MAX_ROYALTY_BPS,
    Economy,
)
from nesa.protocol.economics.lies import burned, capture_cost
from nesa.protocol.fees import base_fee
from nesa.protocol.parameters import BPS

UNBOUNDED: Final = Fraction(10**9)
"""Stands for a margin whose other side is nothing."""


@dataclass(frozen=True, slots=True)
class Inequality:
    """One thing that must hold: `formula` in the symbols of docs/economics.md, and why."""

    name: str
    formula: str
    why: str
    margin: Callable[[Economy], Fraction]


def broken(economy: Economy) -> tuple[str, ...]:
    """Names of the inequalities that this economy does not keep."""
    return tuple(one.name for one in INEQUALITIES if one.margin(economy) < 1)


def _ratio(left: Fraction | int, right: Fraction | int) -> Fraction:
    return Fraction(left) / right if right > 0 else UNBOUNDED


def _missed(economy: Economy) -> Fraction:
    return Fraction(economy.environment.missed_bps, BPS)


# === Lies ===


def _lying_loses(economy: Economy) -> Fraction:
    return _ratio(burned(economy.limits, LEAST_REPLICAS), economy.exposed(LEAST_REPLICAS))


def _audits_deter(economy: Economy) -> Fraction:
    audited = Fraction(economy.environment.audit_bps, BPS)
    return _ratio(audited * burned(economy.limits, LEAST_REPLICAS), economy.largest_fee)


def _rerolling_loses(economy: Economy) -> Fraction:
    committees = range(LEAST_REPLICAS, economy.limits.max_replicas + 1)
    return min(capture_cost(economy, replicas) for replicas in committees)


# === Disputes ===


def _challenging_pays(economy: Economy) -> Fraction:
    missed, stake, bond = _missed(economy), economy.limits.seat_stake, economy.challenger_bond
    waiting = economy.interest(bond, economy.longest_dispute)
    spent = economy.side_gas + economy.environment.run_cost + waiting
    return _ratio((1 - missed) * (stake // 2), missed * bond + spent)


def _bonds_are_within_reach(economy: Economy) -> Fraction:
    return _ratio(economy.limits.seat_stake // 2, economy.challenger_bond)


def _defending_pays(economy: Economy) -> Fraction:
    missed, reward = _missed(economy), economy.challenger_bond // 2
    return _ratio((1 - missed) * reward, missed * economy.defence_penalty + economy.side_gas)


def _sham_defences_pay(economy: Economy) -> Fraction:
    waiting = economy.interest(economy.challenger_bond, economy.longest_dispute)
    return _ratio(economy.defence_penalty // 2, economy.side_gas + waiting)


def _penalties_are_covered(economy: Economy) -> Fraction:
    return _ratio(economy.limits.seat_stake, economy.defence_penalty)


def _freezing_costs(economy: Economy) -> Fraction:
    frozen = economy.limits.max_replicas * economy.limits.seat_stake + economy.largest_fee
    interest = economy.interest(frozen, economy.longest_dispute)
    return _ratio(economy.challenger_bond // 2, interest)


# === Clocks ===


def _moves_outlast_stalls(economy: Economy) -> Fraction:
    needed = economy.environment.run_seconds + economy.stall
    return _ratio(economy.query.move_window, needed)


def _defences_outlast_absence(economy: Economy) -> Fraction:
    needed = economy.query.move_window + economy.environment.absence_seconds
    return _ratio(economy.query.defence_window, needed)


def _watchers_have_time(economy: Economy) -> Fraction:
    needed = economy.environment.absence_seconds + economy.environment.run_seconds + economy.stall
    return _ratio(economy.query.dispute_window, needed)


def _exits_outlast_queries(economy: Economy) -> Fraction:
    return _ratio(economy.clocks.unbonding, economy.clocks.maximum_query + economy.clocks.epoch)


def _queries_end(economy: Economy) -> Fraction:
    rules = economy.query
    windows = rules.answer_window + rules.claim_window + rules.dispute_window
    return _ratio(economy.clocks.maximum_query, windows)


def _credits_wait(economy: Economy) -> Fraction:
    return _ratio(economy.clocks.credit_window, economy.query.dispute_window)


def _reports_arrive(economy: Economy) -> Fraction:
    rules = economy.query
    needed = rules.oracle_turns * rules.oracle_turn + economy.environment.run_seconds
    return _ratio(rules.answer_window, needed + economy.stall)


def _provers_have_turns(economy: Economy) -> Fraction:
    rules = economy.query
    return _ratio(rules.answer_window, rules.prover_turns * rules.prover_turn)


# === Fees ===


def _treasury_earns(economy: Economy) -> Fraction:
    return _ratio(economy.treasury_bps + MAX_ROYALTY_BPS, MAX_ROYALTY_BPS + 1)


def _washing_loses(economy: Economy) -> Fraction:
    """Everything but the treasury's part is counted as one's own."""
    treasury = economy.treasury_bps
    return _ratio(BPS * treasury, economy.emission_bps * treasury) if treasury > 0 else Fraction(0)


def _serving_pays(economy: Economy) -> Fraction:
    slot = economy.environment.price * economy.query.miners_bps // BPS
    return _ratio(slot, economy.environment.run_cost)


def _reporting_pays(economy: Economy) -> Fraction:
    fee = base_fee(economy.environment.price, 1, LEAST_REPLICAS)
    share = fee * economy.query.oracle_bps // BPS
    return _ratio(share, economy.environment.report_gas * economy.environment.gas_price)


def _callbacks_pay(economy: Economy) -> Fraction:
    return _ratio(economy.limits.callback_price, 1_000 * economy.environment.gas_price)


def _silent_seats_are_spared(economy: Economy) -> Fraction:
    return _ratio(economy.limits.min_seats, quorum(LEAST_REPLICAS) + 1)


INEQUALITIES: Final = (
    Inequality(
        "lying_loses",
        "q S / 2 >= e q S",
        "A quorum that lies in every open query of a version, challenged by its own friend, burns "
        "more than all those fees; the burned half also repays the clients.",
        _lying_loses,
    ),
    Inequality(
        "audits_deter",
        "a q S / 2 >= F",
        "A lie of the dearest query loses although only a part of all queries is run again.",
        _audits_deter,
    ),
    Inequality(
        "rerolling_loses",
        "((1 - s) (1 - o - y - c m) + p (1 - o - y - m)) F >= p F",
        "A client that asks its own version until its own seats are a quorum pays more for honest "
        "answers than a captured one is worth, when it is worth its fee.",
        _rerolling_loses,
    ),
    Inequality(
        "challenging_pays",
        "(1 - x) S / 2 >= x C + G + R + interest(C)",
        "Showing a lie pays even when one signer is all that is found, and when a move is missed "
        "now and then.",
        _challenging_pays,
    ),
    Inequality(
        "bonds_are_within_reach",
        "S / 2 >= C",
        "Who shows one lie earns more than it had to put down.",
        _bonds_are_within_reach,
    ),
    Inequality(
        "defending_pays",
        "(1 - x) C / 2 >= x P + G",
        "The first signer to win is paid for its moves, so a sham challenge costs it nothing.",
        _defending_pays,
    ),
    Inequality(
        "sham_defences_pay",
        "P / 2 >= G + interest(C)",
        "A defence that only plays for time pays the challenger for its moves and for waiting.",
        _sham_defences_pay,
    ),
    Inequality(
        "penalties_are_covered",
        "S >= P",
        "A slash takes what is there at most, and one seat locks what a lost defence takes.",
        _penalties_are_covered,
    ),
    Inequality(
        "freezing_costs",
        "C / 2 >= interest(r S + F)",
        "A sham challenge burns more than what it holds up could earn elsewhere meanwhile.",
        _freezing_costs,
    ),
    Inequality(
        "moves_outlast_stalls",
        "W_move >= T_run + T_stall",
        "Nobody loses a game because a block producer leaves a move out for a while.",
        _moves_outlast_stalls,
    ),
    Inequality(
        "defences_outlast_absence",
        "W_defence >= W_move + T_away",
        "An operator that was away finds its defence still open.",
        _defences_outlast_absence,
    ),
    Inequality(
        "watchers_have_time",
        "W_dispute >= T_away + T_run + T_stall",
        "A watcher that was away can still run a query again and challenge it.",
        _watchers_have_time,
    ),
    Inequality(
        "exits_outlast_queries",
        "U >= T_query + T_epoch",
        "The stake of a seat is there until the last query that drew it can be challenged; a "
        "challenge then holds it, however long it takes.",
        _exits_outlast_queries,
    ),
    Inequality(
        "queries_end",
        "T_query >= W_answer + W_claim + W_dispute",
        "A query that is answered in the last second closes before its seats may leave.",
        _queries_end,
    ),
    Inequality(
        "credits_wait",
        "W_credit >= W_dispute",
        "What a wrong answer earned is not withdrawn before it can be challenged.",
        _credits_wait,
    ),
    Inequality(
        "reports_arrive",
        "W_answer >= n_oracle W_oracle + T_run + T_stall",
        "Oracles that sit out all their turns delay an answer and cannot let it expire.",
        _reports_arrive,
    ),
    Inequality(
        "provers_have_turns",
        "W_answer >= n_prover W_prover",
        "The last spare of a proof has its whole turn.",
        _provers_have_turns,
    ),
    Inequality(
        "treasury_earns",
        "1 - m - o - v > y_max",
        "Something of every fee goes to nobody who works for it, whatever royalty a developer "
        "takes: asking oneself is never free.",
        _treasury_earns,
    ),
    Inequality(
        "washing_loses",
        "t >= g t",
        "Who asks itself and earns every share but the treasury's is given less back in emission "
        "than the treasury took.",
        _washing_loses,
    ),
    Inequality(
        "serving_pays",
        "m f >= R",
        "A member's slot pays for the run, so that not running loses.",
        _serving_pays,
    ),
    Inequality(
        "reporting_pays",
        "3 o f >= g_report",
        "The oracle's share of the smallest committee pays for the report's gas.",
        _reporting_pays,
    ),
    Inequality(
        "callbacks_pay",
        "price of callback gas >= price of gas",
        "An oracle never loses by delivering to a contract.",
        _callbacks_pay,
    ),
    Inequality(
        "silent_seats_are_spared",
        "n_min >= q(3) + 1",
        "The smallest list still answers when one of its operators is away.",
        _silent_seats_are_spared,
    ),
)
"""Everything that the parameters must keep."""
