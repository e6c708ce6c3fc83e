"""The shipped parameters keep every inequality, and none of them is kept whatever is shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from itertools import compress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cheating.margins import assumptions, margins
from nesa.models.disputes.game import MOST_MOVES
from nesa.protocol.commitments import quorum
from nesa.protocol.economics.economy import LONGEST_GAME, MAX_MEMBER_SLOTS, Clocks, Economy
from nesa.protocol.economics.inequalities import INEQUALITIES, Inequality, broken
from nesa.protocol.economics.lies import (
    capture_cost,
    largest_stake_step,
    least_audit,
    least_lie_rate,
    lost,
    rewarded,
    safe_prize,
)
from nesa.protocol.errors import InvalidInput
from nesa.protocol.fees import DELIVERY_GAS
from nesa.protocol.ids import ONE_NES
from nesa.protocol.parameters import BPS, QueryParameters, RequestLimits
from nesa.protocol.queries import Assurance
from nesa.protocol.slashing import OWN, OWN_BPS, REWARD, REWARD_BPS, credited
from nesa.protocol.summons import SummonsRules
from scripts.deployment.economies import ENVIRONMENTS, economy
from scripts.deployment.profiles import DEVNET, PROFILES, PUBLIC

ROOT = Path(__file__).parents[2]
NAMES = [one.name for one in INEQUALITIES]

ECONOMIES = {name: economy(profile) for name, profile in PROFILES.items()}


def with_query(**changes: Any) -> Callable[[Economy], Economy]:
    return lambda shipped: replace(shipped, query=replace(shipped.query, **changes))


def with_limits(**changes: Any) -> Callable[[Economy], Economy]:
    return lambda shipped: replace(shipped, limits=replace(shipped.limits, **changes))


def with_clocks(**changes: Any) -> Callable[[Economy], Economy]:
    return lambda shipped: replace(shipped, clocks=replace(shipped.clocks, **changes))


def with_environment(**changes: Any) -> Callable[[Economy], Economy]:
    return lambda shipped: replace(shipped, environment=replace(shipped.environment, **changes))


def with_summons(**changes: Any) -> Callable[[Economy], Economy]:
    return lambda shipped: replace(shipped, summons=replace(shipped.summons, **changes))


DAY = 86_400
NOTHING_LEFT = {"treasury_earns", "washing_loses"}

CHANGES: dict[tuple[str, str], tuple[Callable[[Economy], Economy], set[str]]] = {
    ("miners_bps", "more"): (with_query(miners_bps=6_700), NOTHING_LEFT),
    ("miners_bps", "less"): (
        with_query(miners_bps=1_900),
        {"serving_pays", "silence_loses"},
    ),
    ("oracle_bps", "more"): (with_query(oracle_bps=1_200), NOTHING_LEFT),
    ("oracle_bps", "less"): (with_query(oracle_bps=80), {"reporting_pays"}),
    ("reviewers_bps", "more"): (with_query(reviewers_bps=500), NOTHING_LEFT),
    ("oracle_turn", "more"): (with_query(oracle_turn=1_200), {"reports_arrive"}),
    ("oracle_turns", "more"): (with_query(oracle_turns=14), {"reports_arrive"}),
    ("prover_turn", "more"): (with_query(prover_turn=1_801), {"provers_have_turns"}),
    ("prover_turns", "more"): (with_query(prover_turns=7), {"provers_have_turns"}),
    ("answer_window", "less"): (
        with_query(answer_window=4_000),
        {"reports_arrive", "provers_have_turns", "spares_have_time"},
    ),
    ("answer_window", "more"): (with_query(answer_window=2 * DAY), {"queries_end"}),
    ("claim_window", "more"): (with_query(claim_window=2 * DAY), {"queries_end"}),
    ("dispute_window", "less"): (with_query(dispute_window=DAY // 2), {"watchers_have_time"}),
    ("dispute_window", "more"): (with_query(dispute_window=2 * DAY + 1), {"credits_wait"}),
    ("defence_window", "less"): (
        with_query(defence_window=DAY // 2),
        {"defences_outlast_absence"},
    ),
    ("defence_window", "more"): (with_query(defence_window=8 * DAY), {"freezing_costs"}),
    ("move_window", "less"): (with_query(move_window=3_000), {"moves_outlast_stalls"}),
    ("move_window", "more"): (with_query(move_window=9 * 3_600), {"freezing_costs"}),
    ("callback_price", "less"): (with_limits(callback_price=4_999), {"callbacks_pay"}),
    ("min_seats", "less"): (with_limits(min_seats=3), {"silent_seats_are_spared"}),
    ("seat_stake", "less"): (with_limits(seat_stake=70 * ONE_NES), {"audits_deter"}),
    ("seat_stake", "least"): (
        with_limits(seat_stake=12 * ONE_NES),
        {"audits_deter", "lying_in_a_session_loses"},
    ),
    ("exposure_bps", "more"): (
        with_limits(exposure_bps=2_501),
        {"lying_loses"},
    ),
    ("exposure_bps", "much more"): (
        with_limits(exposure_bps=2_710),
        {"lying_loses", "challenging_pays_at_the_cap"},
    ),
    ("exposure_bps", "most"): (
        with_limits(exposure_bps=2_722),
        {"lying_loses", "clients_are_repaid", "challenging_pays_at_the_cap"},
    ),
    ("max_replicas", "more"): (with_limits(max_replicas=15), {"freezing_costs"}),
    ("challenger_bond_bps", "less"): (with_limits(challenger_bond_bps=500), {"freezing_costs"}),
    ("challenger_bond_bps", "least"): (
        with_limits(challenger_bond_bps=100),
        {"freezing_costs", "defending_pays"},
    ),
    ("challenger_bond_bps", "more"): (
        with_limits(challenger_bond_bps=2_501),
        {"bonds_are_within_reach"},
    ),
    ("defence_penalty_bps", "less"): (with_limits(defence_penalty_bps=6), {"sham_defences_pay"}),
    ("defence_penalty_bps", "more"): (
        with_limits(defence_penalty_bps=9_500),
        {"defending_pays"},
    ),
    ("defence_penalty_bps", "most"): (
        with_limits(defence_penalty_bps=10_001),
        {"defending_pays", "penalties_are_covered"},
    ),
    ("epoch", "more"): (with_clocks(epoch=3 * DAY + 1), {"exits_outlast_queries"}),
    ("unbonding", "less"): (
        with_clocks(unbonding=4 * DAY),
        {"exits_outlast_queries", "jails_bite"},
    ),
    ("maximum_query", "less"): (with_clocks(maximum_query=2 * DAY), {"queries_end"}),
    ("maximum_query", "more"): (with_clocks(maximum_query=7 * DAY), {"exits_outlast_queries"}),
    ("credit_window", "less"): (with_clocks(credit_window=2 * DAY - 1), {"credits_wait"}),
    ("emission_bps", "more"): (
        lambda shipped: replace(shipped, emission_bps=BPS + 1),
        {"washing_loses"},
    ),
    ("patience", "less"): (with_summons(patience=599), {"members_have_time"}),
    ("patience", "more"): (with_summons(patience=901), {"spares_have_time"}),
    ("summons_window", "less"): (with_summons(answer_window=2_699), {"answers_arrive"}),
    ("summons_window", "more"): (with_summons(answer_window=3_001), {"spares_have_time"}),
    ("bond", "less"): (with_summons(bond=599_999), {"answers_pay"}),
    ("bond", "more"): (with_summons(bond=ONE_NES // 40), {"silence_loses"}),
    ("period", "less"): (with_summons(period=DAY // 3), {"outages_are_forgiven"}),
    ("period", "more"): (with_summons(period=DAY + 1), {"jails_bite"}),
    ("jail_misses", "less"): (with_summons(jail_misses=2), {"outages_are_forgiven"}),
    ("jail_misses", "more"): (with_summons(jail_misses=8), {"silence_is_jailed"}),
    ("jail_periods", "more"): (with_summons(jail_periods=8), {"jails_bite"}),
    ("corrupt_bps", "more"): (with_environment(corrupt_bps=5_000), {"rerolling_loses"}),
    ("missed_bps", "more"): (
        with_environment(missed_bps=9_000),
        {"challenging_pays", "challenging_pays_at_the_cap", "defending_pays"},
    ),
}
"""One change of what is shipped to public chains, and exactly what it breaks."""

FREE = {
    "royalty_bps": "the market fills it in from the version",
    "max_callback_gas": "bounds the gas of a report; its fee is part of the dearest query's",
}
"""Parameters that no inequality bounds."""


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("inequality", INEQUALITIES, ids=NAMES)
def test_shipped_parameters_keep(inequality: Inequality, profile: str) -> None:
    assert inequality.margin(ECONOMIES[profile]) >= 1


def newly_broken(changed: Callable[[Economy], Economy]) -> set[str]:
    """What a change of the public economy breaks that it keeps as shipped."""
    shipped = ECONOMIES[PUBLIC.name]
    return set(broken(changed(shipped))) - set(broken(shipped))


@pytest.mark.parametrize("change", CHANGES, ids="-".join)
def test_a_changed_parameter_breaks_what_it_guards(change: tuple[str, str]) -> None:
    changed, expected = CHANGES[change]
    assert newly_broken(changed) == expected


def test_games_are_as_long_as_the_rules_let_them_be() -> None:
    assert LONGEST_GAME == MOST_MOVES


def test_every_parameter_is_bounded_by_an_inequality() -> None:
    shipped = {
        field.name for kind in (QueryParameters, RequestLimits, Clocks) for field in fields(kind)
    }
    shipped |= {field.name for field in fields(SummonsRules)}
    assert shipped - {name for name, _ in CHANGES} == set(FREE)


def test_every_inequality_can_be_broken() -> None:
    assert {name for _, found in CHANGES.values() for name in found} == set(NAMES)


def test_two_unbondings_outlast_a_query_that_a_dispute_has_stopped() -> None:
    shipped = ECONOMIES[PUBLIC.name]
    query = shipped.clocks.maximum_query + shipped.clocks.epoch
    assert 2 * shipped.clocks.unbonding == 14 * DAY >= query + shipped.longest_dispute


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("moves_outlast_stalls", with_query(move_window=9)),
        ("defences_outlast_absence", with_query(defence_window=59)),
        ("exits_outlast_queries", with_clocks(unbonding=289)),
        ("credits_wait", with_clocks(credit_window=119)),
        ("provers_have_turns", with_query(prover_turn=31)),
        ("silent_seats_are_spared", with_limits(min_seats=3)),
    ],
)
def test_the_development_profile_stands_at_its_bounds(name, changed) -> None:
    assert name in broken(changed(ECONOMIES[DEVNET.name]))


def test_the_docs_state_what_is_assumed_and_what_follows() -> None:
    page = (ROOT / "docs" / "economics.md").read_text(encoding="utf-8")
    assert assumptions(ECONOMIES) in page
    assert margins(ECONOMIES) in page


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2, set()),
        (12, {"callbacks_pay"}),
        (16, {"callbacks_pay", "reporting_pays"}),
        (17, {"callbacks_pay", "reporting_pays", "answers_pay"}),
        (8_400, {"callbacks_pay", "reporting_pays", "answers_pay"}),
        (8_500, {"callbacks_pay", "reporting_pays", "answers_pay", "sham_defences_pay"}),
    ],
)
def test_gas_may_become_so_much_dearer(factor: int, expected: set[str]) -> None:
    price = ECONOMIES[PUBLIC.name].environment.gas_price
    assert newly_broken(with_environment(gas_price=factor * price)) == expected


def test_assumed_gas_covers_what_was_measured() -> None:
    leaves, moves = measured("disputes.md", "gas of a leaf"), measured("games.md", "dearest move")
    shards, replicas = measured("gas.md", "shards"), measured("gas.md", "replicas")
    answers = measured("summonses.md", "answer")
    assert leaves
    assert answers
    single = [one == 1 and other <= 4 for one, other in zip(shards, replicas, strict=True)]
    requests, reports = (
        list(compress(measured("gas.md", name), single)) for name in ("request", "fulfil")
    )
    for environment in ENVIRONMENTS.values():
        assert max(leaves + moves) <= environment.move_gas
        assert max(answers) <= environment.answer_gas
        assert max(requests) <= environment.request_gas
        assert max(reports) <= environment.report_gas
    assert max(measured("gas.md", "deliver")) <= DELIVERY_GAS


def measured(page: str, head: str) -> list[int]:
    """What stands below a head of a benchmark's tables; nothing where it was not run yet."""
    path = ROOT / "benchmarks" / "results" / page
    found: list[int] = []
    column = None
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        cells = [cell.strip() for cell in line.split("|")]
        if head in cells:
            column = cells.index(head)
        elif len(cells) < 3:
            column = None
        elif column is not None and cells[column].strip("-:"):
            found.append(int(cells[column].replace(",", "")))
    return found


# === Lies ===


@given(
    audited=st.fractions(0, Fraction(99, 100)),
    assurance=st.sampled_from([Assurance.AGREED, Assurance.CHALLENGED]),
    replicas=st.integers(3, 8),
)
def test_the_safe_prize_is_the_one_that_its_audits_deter(audited, assurance, replicas) -> None:
    worth = int(safe_prize(PUBLIC.limits, replicas, audited, assurance))
    assert least_audit(PUBLIC.limits, replicas, worth, assurance) <= audited
    assert least_audit(PUBLIC.limits, replicas, worth + 1, assurance) > audited


def test_an_agreed_answer_is_never_safe_for_more_than_is_lost() -> None:
    at_stake = lost(PUBLIC.limits, 4)
    assert at_stake == Fraction(quorum(4) * PUBLIC.limits.seat_stake, 4)
    assert least_audit(PUBLIC.limits, 4, int(at_stake) + 1, Assurance.AGREED) > 1
    assert least_audit(PUBLIC.limits, 4, 10 * int(at_stake), Assurance.CHALLENGED) < 1


@pytest.mark.parametrize("audited", [Fraction(-1, 9), Fraction(1), Fraction(2)])
def test_no_part_of_all_queries_is_refused(audited: Fraction) -> None:
    with pytest.raises(InvalidInput, match="no part"):
        safe_prize(PUBLIC.limits, 4, audited, Assurance.AGREED)


def test_stake_has_no_part_in_a_proof() -> None:
    with pytest.raises(InvalidInput, match="nobody can lie in a proof"):
        safe_prize(PUBLIC.limits, 4, Fraction(1, 2), Assurance.PROVED)
    with pytest.raises(InvalidInput, match="nobody can lie in a proof"):
        least_audit(PUBLIC.limits, 4, 1, Assurance.PROVED)


def test_a_step_of_the_stake_keeps_lying_dear() -> None:
    """Old seats repay old stakes while the cap goes by the new one, and the other way round."""
    for shipped in ECONOMIES.values():
        step, fees = largest_stake_step(shipped), shipped.exposed(4)
        assert rewarded(shipped.limits, 4) >= step * shipped.most_kept * fees
        assert step * fees <= lost(shipped.limits, 4) < (step + Fraction(1, 1_000)) * fees


@given(seats=st.integers(1, 8), delegated=st.fractions(0, OWN))
def test_liars_lose_as_much_of_their_own_as_the_lines_say(seats, delegated) -> None:
    """A friend shows every seat's lie, and as much as may be is delegated."""
    stake = PUBLIC.limits.seat_stake
    own = most = seats * stake - int(seats * stake * delegated)
    creditable, earned = 0, 0
    for _ in range(seats):
        share = credited(stake, own, creditable)
        creditable += min(stake, own) * REWARD_BPS // OWN_BPS - share
        own -= min(stake, own)
        earned += share
        assert share >= int(REWARD * stake) - 1
    assert most - own - earned >= seats * lost(PUBLIC.limits, 3) / 3


def test_what_is_credited_of_a_quorums_stake_is_its_rewards() -> None:
    for replicas in range(3, 9):
        taken = quorum(replicas) * PUBLIC.limits.seat_stake
        assert rewarded(PUBLIC.limits, replicas) == credited(taken)


def test_watchers_live_on_few_lies() -> None:
    shipped = ECONOMIES[PUBLIC.name]
    assert least_lie_rate(shipped, 4) == Fraction(1, 750_000)


def test_more_own_seats_make_a_capture_cheaper() -> None:
    shares = [with_environment(corrupt_bps=bps) for bps in (1_000, 2_000, 3_333, 5_000, 10_000)]
    costs = [capture_cost(change(ECONOMIES[PUBLIC.name]), 4) for change in shares]
    assert costs == sorted(costs, reverse=True)
    # All of the seats, the version and the oracles: the treasury's and the reviewers' shares.
    assert costs[-1] == Fraction(500, BPS)


def test_the_dearest_query_fits_under_the_cap() -> None:
    for shipped in ECONOMIES.values():
        assert shipped.largest_fee >= shipped.environment.price * MAX_MEMBER_SLOTS
        assert shipped.largest_fee <= shipped.exposed(4)
