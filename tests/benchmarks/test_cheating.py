"""Every strategy loses as shipped, pays without its guard, and no sum appears or vanishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from inspect import isfunction, signature
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cheating import tables
from benchmarks.cheating.book import Account, Book
from benchmarks.cheating.playing import agreed, play
from benchmarks.cheating.run import Run
from benchmarks.cheating.seating import Spent
from benchmarks.cheating.setting import (
    CHAIN_ID,
    HONEST,
    MARKET,
    Challenging,
    Conduct,
    Rules,
    Setting,
    Work,
)
from benchmarks.cheating.strategies import STRATEGIES, Strategy, profit, with_bond
from benchmarks.cheating.sweeps import KNOBS, Knob, named, starts_to_pay, with_prize
from nesa.protocol.commitments import quorum
from nesa.protocol.draw import draw, query_seed
from nesa.protocol.economics.lies import safe_prize
from nesa.protocol.ids import Amount, QueryId
from nesa.protocol.queries import ORACLE_SHARD, Assurance
from nesa.protocol.risk import ShardSeats, draw_risk
from scripts.deployment.economies import economy
from scripts.deployment.profiles import DEVNET, PROFILES, PUBLIC

QUERIES = 5_000
SETTINGS = {name: Setting(economy(profile), queries=QUERIES) for name, profile in PROFILES.items()}
SHIPPED = SETTINGS[PUBLIC.name]
NAMES = [strategy.name for strategy in STRATEGIES]

CONDUCTS = st.builds(
    Conduct,
    work=st.sampled_from(Work),
    challenging=st.sampled_from(Challenging),
    owns_client=st.booleans(),
    owns_version=st.booleans(),
    withholds_reports=st.booleans(),
    defends_lies=st.booleans(),
    retries=st.booleans(),
)
RULES = st.builds(
    Rules,
    commitments_hide=st.booleans(),
    agreement_is_paid=st.booleans(),
    anybody_reports=st.booleans(),
    challenges_are_single=st.booleans(),
    rewarded=st.fractions(0, 1),
)
WORLDS = st.builds(
    Setting,
    st.sampled_from([economy(profile) for profile in PROFILES.values()]),
    corrupt=st.fractions(0, 1),
    bribed=st.fractions(0, 1),
    audited=st.fractions(0, 1),
    prize=st.integers(0, 10**12).map(Amount),
    assurance=st.sampled_from([Assurance.AGREED, Assurance.CHALLENGED]),
    rules=RULES,
    shards=st.integers(1, 4),
    replicas=st.integers(3, 8),
    seats=st.integers(8, 64),
    oracles=st.integers(4, 12),
    royalty_bps=st.integers(0, 2_000),
    queries=st.just(3),
)


def is_table(name: str, made: object) -> bool:
    """Whether this is a function that makes a table of a setting."""
    if not isfunction(made) or made.__module__ != tables.__name__ or name.startswith("_"):
        return False
    return list(signature(made).parameters) == ["setting"]


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("strategy", STRATEGIES, ids=NAMES)
def test_cheating_loses_as_shipped(strategy: Strategy, profile: str) -> None:
    found = profit(strategy.arranged(SETTINGS[profile]), strategy)
    assert found.mean + 3 * found.error < 0


@pytest.mark.parametrize("strategy", STRATEGIES, ids=NAMES)
def test_cheating_pays_without_its_guard(strategy: Strategy) -> None:
    found = profit(strategy.unguarded(strategy.arranged(SHIPPED)), strategy)
    assert found.mean - 3 * found.error > 0


@pytest.mark.deep
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("strategy", STRATEGIES, ids=NAMES)
def test_cheating_loses_under_other_draws(strategy: Strategy, seed: int) -> None:
    setting = replace(SHIPPED, seed=seed, queries=20_000)
    found = profit(strategy.arranged(setting), strategy)
    assert found.mean + 3 * found.error < 0


@given(setting=WORLDS, conduct=CONDUCTS)
@settings(max_examples=200, deadline=None)
def test_no_sum_appears_or_vanishes(setting: Setting, conduct: Conduct) -> None:
    for number in range(setting.queries):
        book = Book()
        play(Run(setting, conduct, book), number)
        assert sum(book.balances) == 0
        assert book.balances[Account.MARKET] == 0
        assert book.balances[Account.BURNED] >= 0


@given(setting=WORLDS, conduct=CONDUCTS)
@settings(max_examples=100, deadline=None)
def test_an_overturned_query_costs_its_client_only_gas(setting: Setting, conduct: Conduct) -> None:
    conduct, setting = replace(conduct, owns_client=False), replace(setting, rules=Rules())
    book = Book()
    play(Run(setting, conduct, book), 0)
    environment = setting.economy.environment
    if book.overturned or not book.answered:
        gas = environment.request_gas * environment.gas_price
        assert book.balances[Account.CLIENTS] == -gas


def test_committees_and_turns_are_drawn_as_the_chain_draws_them() -> None:
    block_hash = SHIPPED.seed.to_bytes(16, "big") + (7).to_bytes(16, "big")
    seed = query_seed(CHAIN_ID, MARKET, QueryId(7), 1, block_hash)
    drawn = draw(seed, 2, SHIPPED.seats, SHIPPED.replicas, lambda slot: True)
    turns = SHIPPED.economy.query.oracle_turns
    assert SHIPPED.committee(7, 1, 2) == drawn
    assert SHIPPED.oracle_turns(7, 1) == draw(
        seed, ORACLE_SHARD, SHIPPED.oracles, turns, lambda slot: True
    )


def test_lies_are_as_frequent_as_captured_draws() -> None:
    found = profit(SHIPPED, named("colluding third"))
    risk = draw_risk([ShardSeats(SHIPPED.seats, SHIPPED.corrupt_seats)], SHIPPED.replicas)
    assert found.wrong == pytest.approx(float(risk.captured), abs=0.02)


@given(members=st.sets(st.integers(0, 19), min_size=3, max_size=8), work=st.sampled_from(Work))
def test_a_wrong_answer_takes_a_quorum_of_the_coalition(members: set[int], work: Work) -> None:
    setting = replace(SHIPPED, seats=20, corrupt=Fraction(1, 2), replicas=len(members))
    found = agreed(setting, Conduct(work), sorted(members))
    if found is not None:
        assert len(found.signers) >= quorum(len(members))
        assert found.is_right or all(slot < 10 for slot in found.signers)


def test_a_right_answer_never_costs_its_signers_stake() -> None:
    setting = replace(SHIPPED, audited=Fraction(1))
    for challenging in Challenging:
        book = Book()
        for number in range(50):
            play(Run(setting, Conduct(challenging=challenging), book), number)
        bonds = 50 * setting.economy.challenger_bond
        assert book.balances[Account.BURNED] <= bonds
        assert book.overturned == 0


def test_a_shown_lie_costs_each_signer_its_stake_and_three_quarters_burn() -> None:
    setting = replace(SHIPPED, corrupt=Fraction(1), audited=Fraction(1))
    run = Run(setting, Conduct(Work.LIE))
    play(run, 0)
    stake, split = 4 * setting.economy.limits.seat_stake, setting.split
    environment = setting.economy.environment
    kept = split.oracle + split.royalty + split.reviewers + split.treasury
    gas = 3 * environment.move_gas * environment.gas_price
    assert run.book.balances[Account.BURNED] == stake * 3 // 4
    assert run.book.balances[Account.WATCHERS] == stake // 4 - kept - environment.run_cost - gas
    assert run.book.balances[Account.COALITION] == -stake


def test_a_slash_takes_what_is_there_and_an_evicted_seat_is_not_drawn() -> None:
    seats = Spent(stake=10, evicted_after=2)
    assert [seats.slash(3, 7, 5), seats.slash(3, 7, 6), seats.slash(3, 7, 6)] == [7, 3, 0]
    assert (seats.gone(7), seats.gone(8)) == (frozenset(), frozenset({3}))
    for number in range(50):
        assert 3 not in SHIPPED.committee(number, 0, 0, seats.gone(8))


def test_seats_without_stake_that_stay_lie_for_nothing() -> None:
    gains = {}
    for after in (0, None):
        setting = with_prize(SHIPPED, 0.02)
        seats = Spent(setting.economy.limits.seat_stake, after)
        run = Run(setting, Conduct(Work.LIE), seats=seats)
        for number in range(setting.queries):
            play(run, number)
        gains[after] = run.book.balances[Account.COALITION]
    assert gains[0] < 0 < gains[None]


def test_greater_audits_contain_the_smaller_ones() -> None:
    few, many = (
        replace(SHIPPED, audited=part).is_audited for part in (Fraction(1, 20), Fraction(1, 5))
    )
    audited = [(one[0], other[0]) for one, other in zip(few, many, strict=True)]
    assert all(other for one, other in audited if one)
    assert sum(other for _, other in audited) / QUERIES == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("assurance", [Assurance.AGREED, Assurance.CHALLENGED])
@pytest.mark.parametrize("audited", [Fraction(1, 20), Fraction(1, 5), Fraction(1, 2)])
def test_the_safe_prize_is_safe_in_play(audited: Fraction, assurance: Assurance) -> None:
    prize = Amount(int(safe_prize(SHIPPED.economy.limits, SHIPPED.replicas, audited, assurance)))
    setting = replace(SHIPPED, audited=audited, assurance=assurance, prize=prize)
    liar = named("colluding third")
    assert profit(setting, liar).mean < 0
    assert profit(replace(setting, prize=Amount(20 * prize)), liar).mean > 0


def test_a_prize_above_the_turning_point_pays_and_one_below_does_not() -> None:
    knob = next(knob for knob in KNOBS if knob.strategy == "sham challenger, to collect for a lie")
    setting = replace(SHIPPED, queries=500)
    point = starts_to_pay(setting, knob)
    assert point is not None
    # Three quarters of three or four stakes burn; the rest comes back to the liars' friend.
    assert 0.75 < point < 0.9
    strategy = named(knob.strategy)
    assert profit(knob.turned(setting, point * 1.001), strategy).mean > 0
    assert profit(knob.turned(setting, point * 0.999), strategy).mean <= 0


def test_a_knob_that_does_not_matter_has_no_turning_point() -> None:
    knob = Knob(
        "griefing challenger", "nothing", lambda setting, value: setting, lambda _: 1.0, 1, 10
    )
    assert starts_to_pay(replace(SHIPPED, queries=50), knob) is None


def test_honest_play_gains_nothing_over_itself() -> None:
    same = Strategy("honest", HONEST, HONEST, lambda s: s, "none", lambda s: s)
    found = profit(replace(SHIPPED, queries=100), same)
    assert (found.mean, found.error, found.harm) == (0, 0, 0)


def test_a_smaller_bond_makes_griefing_cheaper() -> None:
    griefer = named("griefing challenger")
    arranged = replace(griefer.arranged(SHIPPED), queries=50)
    found = [profit(with_bond(arranged, bps), griefer).mean for bps in (1_000, 100, 10)]
    assert found == sorted(found)
    assert DEVNET.limits.challenger_bond_bps == PUBLIC.limits.challenger_bond_bps


@pytest.mark.parametrize("made", [one for name, one in vars(tables).items() if is_table(name, one)])
def test_every_table_is_made_of_rows_that_fit_its_head(made: Callable[[Setting], str]) -> None:
    lines = made(replace(SHIPPED, queries=60)).splitlines()
    assert len(lines) > 4
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    "title",
    [
        "Seats that stay after a slash",
        "Strategies, with the public profile",
        "Where each starts to pay",
        "Lies for the fee",
        "Lies for a prize",
        "A committee of one's own",
        "Griefing",
        "Bribed oracles",
        "Members that withhold",
        "Wash trading",
    ],
)
def test_the_docs_show_the_tables_of_the_benchmark(title: str) -> None:
    root = Path(__file__).parents[2]
    results = (root / "benchmarks" / "results" / "cheating.md").read_text(encoding="utf-8")
    section = results.split(f"## {title}\n")[1].split("\n## ")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert table
    assert table in (root / "docs" / "economics.md").read_text(encoding="utf-8")
