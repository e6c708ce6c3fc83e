"""Each thing that the parameters must keep, as a margin: it holds from 1 on.

A margin says by how much the weaker side may still grow. docs/economics.md prints this list with
the margins of the shipped profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from nesa.protocol.commitments import quorum
from nesa.protocol.economics.economy import (
    LEAST_REPLICAS,
    MAX_ROYALTY_BPS,
    USUAL_REPLICAS,
    Economy,
)
from nesa.protocol.economics.lies import capture_cost, lost, rewarded
from nesa.protocol.fees import base_fee
from nesa.protocol.parameters import BPS
from nesa.protocol.sessions import MAX_PRODUCTS
from nesa.protocol.slashing import OWN, REWARD

UNBOUNDED: Final = Fraction(10**9)
"""Stands for a margin whose other side is nothing."""

Margin: TypeAlias = Callable[[Economy], Fraction]


@dataclass(frozen=True, slots=True)
class Inequality:
    """One thing that must hold: `formula` in the symbols of docs/economics.md, and why."""

    name: str
    formula: str
    why: str
    margin: Margin


def stated(formula: str) -> Callable[[Margin], Inequality]:
    """The inequality of a function, which has its name and, as its docstring, why it must hold."""

    def of(margin: Margin) -> Inequality:
        return Inequality(
            margin.__name__, formula, " ".join((margin.__doc__ or "").split()), margin
        )

    return of


def _ratio(left: Fraction | int, right: Fraction | int) -> Fraction:
    return Fraction(left) / right if right > 0 else UNBOUNDED


def _missed(economy: Economy) -> Fraction:
    return Fraction(economy.environment.missed_bps, BPS)


# === Lies ===


@stated("(z - w) q S >= e q S")
def lying_loses(economy: Economy) -> Fraction:
    """A quorum that lies in every open query of a version, challenged by its own friend, loses
    more of its own than all those fees, also when all that may be is delegated to it.
    """
    return _ratio(lost(economy.limits, LEAST_REPLICAS), economy.exposed(LEAST_REPLICAS))


@stated("w q S >= k e q S")
def clients_are_repaid(economy: Economy) -> Fraction:
    """The part of a slash that is not burned gives back what honest work kept of the fee, also
    when the fee is as large as it may be and all other shards were honest.
    """
    owed = economy.most_kept * economy.exposed(LEAST_REPLICAS)
    return _ratio(rewarded(economy.limits, LEAST_REPLICAS), owed)


@stated("a (z - w) q S >= F")
def audits_deter(economy: Economy) -> Fraction:
    """A lie of the dearest query loses although only a part of all queries is run again."""
    audited = Fraction(economy.environment.audit_bps, BPS)
    return _ratio(audited * lost(economy.limits, LEAST_REPLICAS), economy.largest_fee)


@stated("((1 - s) (1 - o - y - c m) + p (1 - o - y - m)) F >= p F")
def rerolling_loses(economy: Economy) -> Fraction:
    """A client that asks its own version until its own seats are a quorum pays more for honest
    answers than a captured one is worth, when it is worth its fee.
    """
    committees = range(LEAST_REPLICAS, economy.limits.max_replicas + 1)
    return min(capture_cost(economy, replicas) for replicas in committees)


@stated("(z - w) S >= n_products f")
def lying_in_a_session_loses(economy: Economy) -> Fraction:
    """A member of a session on shares that is paid for wrong sums of all products, by a client that
    checks none of them, loses more of its own than that once it is sued.
    """
    stake = (OWN - REWARD) * economy.limits.seat_stake
    return _ratio(stake, MAX_PRODUCTS * economy.environment.price)


# === Disputes ===


@stated("(1 - x) (w S - k F) >= x C + G + R + interest(C)")
def challenging_pays(economy: Economy) -> Fraction:
    """Showing a lie pays even when one signer is all that is left to slash, the client is repaid
    first, and a move is missed now and then.
    """
    reward = REWARD * economy.limits.seat_stake - economy.most_kept * economy.largest_fee
    return _challenging(economy, reward)


@stated("(1 - x) (w q S - k e q S) >= x C + G + R + interest(C)")
def challenging_pays_at_the_cap(economy: Economy) -> Fraction:
    """It also pays when the fee is as large as it may be and all signers are there."""
    owed = economy.most_kept * economy.exposed(LEAST_REPLICAS)
    return _challenging(economy, rewarded(economy.limits, LEAST_REPLICAS) - owed)


def _challenging(economy: Economy, reward: Fraction) -> Fraction:
    missed, bond = _missed(economy), economy.challenger_bond
    waiting = economy.interest(bond, economy.longest_dispute)
    spent = economy.side_gas + economy.environment.run_cost + waiting
    return _ratio((1 - missed) * reward, missed * bond + spent)


@stated("w S >= C")
def bonds_are_within_reach(economy: Economy) -> Fraction:
    """Who shows one lie earns more than it had to put down."""
    return _ratio(REWARD * economy.limits.seat_stake, economy.challenger_bond)


@stated("(1 - x) C / 2 >= x P + G")
def defending_pays(economy: Economy) -> Fraction:
    """The first signer to win is paid for its moves, so a sham challenge costs it nothing."""
    missed, reward = _missed(economy), economy.challenger_bond // 2
    return _ratio((1 - missed) * reward, missed * economy.defence_penalty + economy.side_gas)


@stated("w P >= G + interest(C)")
def sham_defences_pay(economy: Economy) -> Fraction:
    """A defence that only plays for time pays the challenger for its moves and for waiting."""
    waiting = economy.interest(economy.challenger_bond, economy.longest_dispute)
    return _ratio(REWARD * economy.defence_penalty, economy.side_gas + waiting)


@stated("S >= P")
def penalties_are_covered(economy: Economy) -> Fraction:
    """A slash takes what is there at most, and one seat locks what a lost defence takes."""
    return _ratio(economy.limits.seat_stake, economy.defence_penalty)


@stated("C / 2 >= interest(r S + F)")
def freezing_costs(economy: Economy) -> Fraction:
    """A sham challenge burns more than what it holds up could earn elsewhere meanwhile."""
    frozen = economy.limits.max_replicas * economy.limits.seat_stake + economy.largest_fee
    interest = economy.interest(frozen, economy.longest_dispute)
    return _ratio(economy.challenger_bond // 2, interest)


# === Clocks ===


@stated("W_move >= T_run + T_stall")
def moves_outlast_stalls(economy: Economy) -> Fraction:
    """Nobody loses a game because a block producer leaves a move out for a while."""
    needed = economy.environment.run_seconds + economy.stall
    return _ratio(economy.query.move_window, needed)


@stated("W_defence >= W_move + T_away")
def defences_outlast_absence(economy: Economy) -> Fraction:
    """An operator that was away finds its defence still open."""
    needed = economy.query.move_window + economy.environment.absence_seconds
    return _ratio(economy.query.defence_window, needed)


@stated("W_dispute >= T_away + T_run + T_stall")
def watchers_have_time(economy: Economy) -> Fraction:
    """A watcher that was away can still run a query again and challenge it."""
    needed = economy.environment.absence_seconds + economy.environment.run_seconds + economy.stall
    return _ratio(economy.query.dispute_window, needed)


@stated("U >= T_query + T_epoch")
def exits_outlast_queries(economy: Economy) -> Fraction:
    """The stake of a seat is there until the last query that drew it can be challenged; a
    challenge then holds it, however long it takes.
    """
    return _ratio(economy.clocks.unbonding, economy.clocks.maximum_query + economy.clocks.epoch)


@stated("T_query >= W_answer + W_claim + W_dispute")
def queries_end(economy: Economy) -> Fraction:
    """A query that is answered in the last second closes before its seats may leave."""
    rules = economy.query
    windows = rules.answer_window + rules.claim_window + rules.dispute_window
    return _ratio(economy.clocks.maximum_query, windows)


@stated("W_credit >= W_dispute")
def credits_wait(economy: Economy) -> Fraction:
    """What a wrong answer earned is not withdrawn before it can be challenged."""
    return _ratio(economy.clocks.credit_window, economy.query.dispute_window)


@stated("W_answer >= n_oracle W_oracle + T_run + T_stall")
def reports_arrive(economy: Economy) -> Fraction:
    """Oracles that sit out all their turns delay an answer and cannot let it expire."""
    rules = economy.query
    needed = rules.oracle_turns * rules.oracle_turn + economy.environment.run_seconds
    return _ratio(rules.answer_window, needed + economy.stall)


@stated("W_answer >= n_prover W_prover")
def provers_have_turns(economy: Economy) -> Fraction:
    """The last spare of a proof has its whole turn."""
    rules = economy.query
    return _ratio(rules.answer_window, rules.prover_turns * rules.prover_turn)


# === Fees ===


@stated("1 - m - o - v > y_max")
def treasury_earns(economy: Economy) -> Fraction:
    """Something of every fee goes to nobody who works for it, whatever royalty a developer
    takes: asking oneself is never free.
    """
    return _ratio(economy.treasury_bps + MAX_ROYALTY_BPS, MAX_ROYALTY_BPS + 1)


@stated("t >= g t")
def washing_loses(economy: Economy) -> Fraction:
    """Who asks itself and earns every share but the treasury's is given less back in emission
    than the treasury took.
    """
    treasury = economy.treasury_bps
    return _ratio(BPS * treasury, economy.emission_bps * treasury) if treasury > 0 else Fraction(0)


@stated("m f >= R")
def serving_pays(economy: Economy) -> Fraction:
    """A member's slot pays for the run, so that not running loses."""
    slot = economy.environment.price * economy.query.miners_bps // BPS
    return _ratio(slot, economy.environment.run_cost)


@stated("3 o f >= g_report")
def reporting_pays(economy: Economy) -> Fraction:
    """The oracle's share of the smallest committee pays for the report's gas."""
    fee = base_fee(economy.environment.price, 1, LEAST_REPLICAS)
    share = fee * economy.query.oracle_bps // BPS
    return _ratio(share, economy.environment.report_gas * economy.environment.gas_price)


@stated("price of callback gas >= price of gas")
def callbacks_pay(economy: Economy) -> Fraction:
    """An oracle never loses by delivering to a contract."""
    return _ratio(economy.limits.callback_price, 1_000 * economy.environment.gas_price)


@stated("n_min - 1 >= q(4)")
def silent_seats_are_spared(economy: Economy) -> Fraction:
    """The smallest list still answers the usual committee's queries while one operator is away."""
    return _ratio(economy.limits.min_seats - 1, quorum(USUAL_REPLICAS))


# === Summonses ===


@stated("W_patience >= T_run")
def members_have_time(economy: Economy) -> Fraction:
    """Nobody is summoned who is still computing."""
    return _ratio(economy.summons.patience, economy.environment.run_seconds)


@stated("W_summons >= T_stall")
def answers_arrive(economy: Economy) -> Fraction:
    """A member that is there has no miss because a block producer leaves its answer out."""
    return _ratio(economy.summons.answer_window, economy.stall)


@stated("W_answer >= W_patience + W_summons + T_run + T_stall")
def spares_have_time(economy: Economy) -> Fraction:
    """A spare that gets the slot of a silent member can still work, and be reported."""
    rules, environment = economy.summons, economy.environment
    waited = rules.patience + rules.answer_window
    needed = waited + environment.run_seconds + economy.stall
    return _ratio(economy.query.answer_window, needed)


@stated("B >= g_answer")
def answers_pay(economy: Economy) -> Fraction:
    """Summoning somebody who is there costs the summoner, and its victim nothing."""
    gas = economy.environment.answer_gas * economy.environment.gas_price
    return _ratio(economy.summons.bond, gas)


@stated("m f - R >= B")
def silence_loses(economy: Economy) -> Fraction:
    """Working earns more than being silent until one is summoned, for the bond."""
    slot = economy.environment.price * economy.query.miners_bps // BPS
    return _ratio(slot - economy.environment.run_cost, economy.summons.bond)


@stated("n_jail >= 2 + T_away / T_period")
def outages_are_forgiven(economy: Economy) -> Fraction:
    """An operator that is away once meets too few periods to lose its seat."""
    away = Fraction(economy.environment.absence_seconds, economy.summons.period)
    return _ratio(economy.summons.jail_misses, 2 + away)


@stated("n_periods >= n_jail")
def silence_is_jailed(economy: Economy) -> Fraction:
    """A seat that never answers loses its place before its first miss is forgotten."""
    return _ratio(economy.summons.jail_periods, economy.summons.jail_misses)


@stated("U >= n_periods T_period")
def jails_bite(economy: Economy) -> Fraction:
    """The stake of a jailed seat is of no use for as long as its misses were remembered."""
    remembered = economy.summons.jail_periods * economy.summons.period
    return _ratio(economy.clocks.unbonding, remembered)


INEQUALITIES: Final = (
    lying_loses,
    clients_are_repaid,
    audits_deter,
    rerolling_loses,
    lying_in_a_session_loses,
    challenging_pays,
    challenging_pays_at_the_cap,
    bonds_are_within_reach,
    defending_pays,
    sham_defences_pay,
    penalties_are_covered,
    freezing_costs,
    moves_outlast_stalls,
    defences_outlast_absence,
    watchers_have_time,
    exits_outlast_queries,
    queries_end,
    credits_wait,
    reports_arrive,
    provers_have_turns,
    treasury_earns,
    washing_loses,
    serving_pays,
    reporting_pays,
    callbacks_pay,
    silent_seats_are_spared,
    members_have_time,
    answers_arrive,
    spares_have_time,
    answers_pay,
    silence_loses,
    outages_are_forgiven,
    silence_is_jailed,
    jails_bite,
)
"""Everything that the parameters must keep."""


def broken(economy: Economy) -> tuple[str, ...]:
    """Names of the inequalities that this economy does not keep."""
    return tuple(one.name for one in INEQUALITIES if one.margin(economy) < 1)
