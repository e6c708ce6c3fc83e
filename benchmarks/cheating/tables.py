"""The tables of benchmarks/results/cheating.md."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

from benchmarks.cheating.book import Account, Book
from benchmarks.cheating.margins import markdown
from benchmarks.cheating.playing import play
from benchmarks.cheating.run import Run
from benchmarks.cheating.seating import Spent
from benchmarks.cheating.setting import HONEST, Conduct, Setting, Work
from benchmarks.cheating.strategies import (
    STRATEGIES,
    Profit,
    Strategy,
    in_economy,
    profit,
    with_bond,
)
from benchmarks.cheating.sweeps import (
    KNOBS,
    named,
    starts_to_pay,
    with_fee_ratio,
    with_prize,
)
from nesa.protocol.commitments import quorum
from nesa.protocol.economics.economy import MAX_ROYALTY_BPS
from nesa.protocol.economics.lies import capture_cost, least_audit
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Assurance

SHARES: Final = (Fraction(1, 10), Fraction(1, 5), Fraction(1, 3), Fraction(1, 2))
AUDITS: Final = (0.001, 0.01, 0.05, 0.2, 0.5)
RATIOS: Final = (0.0001, 0.001, 0.01, 0.05, 0.2)
BONDS: Final = (0, 20, 30, 40, 50, 100, 200, 500, 1_000)
EMISSIONS: Final = (0, 5_000, 10_000, 12_000, 15_000, 20_000)


def strategies(setting: Setting) -> str:
    """What each strategy earns with all guards, and with its own taken away."""
    heads = ("strategy", "its guard", "NES a query", "others lose", "without the guard")
    rows = []
    for one in STRATEGIES:
        arranged = one.arranged(setting)
        found, without = profit(arranged, one), profit(one.unguarded(arranged), one)
        cells = (_with_error(found), f"{found.harm:,.4f}", f"{without.mean:+,.4f}")
        rows.append((one.name, one.guard, *cells))
    return markdown(heads, rows, texts=2)


def turning_points(setting: Setting) -> str:
    """Where each strategy starts to pay."""
    heads = ("strategy", "what is turned", "here", "pays from")
    rows = []
    for knob in KNOBS:
        point = starts_to_pay(setting, knob)
        here = knob.shipped(named(knob.strategy).arranged(setting))
        found = "-" if point is None else _number(point)
        rows.append((knob.strategy, knob.name, _number(here), found))
    return markdown(heads, rows, texts=2)


def lies(setting: Setting) -> str:
    """What a third of all seats earns by lies, by fee and audits; the prize is the fee."""
    liar = named("colluding third")
    heads = ("audited", *(f"fee {ratio:.2%} of q S" for ratio in RATIOS))
    rows = []
    for part in AUDITS:
        cells = [f"{part:.1%}"]
        for ratio in RATIOS:
            sized = with_fee_ratio(replace(setting, audited=Fraction(part)), ratio)
            found = profit(liar.arranged(sized), liar)
            cells.append(f"{found.mean * ONE_NES / sized.query.fee:+.3f}")
        rows.append(cells)
    return markdown(heads, rows)


def prizes(setting: Setting) -> str:
    """As `lies`, for what an answer is worth elsewhere, by assurance."""
    heads = ("prize, in stakes of a quorum", "AGREED: audits needed", "CHALLENGED: audits needed")
    limits = setting.economy.limits
    rows = []
    for part in (0.001, 0.01, 0.1, 0.25, 0.5, 1, 10):
        worth = round(part * quorum(setting.replicas) * limits.seat_stake)
        needed = [
            least_audit(limits, setting.replicas, worth, assurance)
            for assurance in (Assurance.AGREED, Assurance.CHALLENGED)
        ]
        cells = [f"{float(one):.1%}" if one <= 1 else "no audit" for one in needed]
        rows.append((f"{part:g}", *cells))
    return markdown(heads, rows)


def captures(setting: Setting) -> str:
    """What a client pays for a committee of its own, by its part of the seats."""
    heads = ("own seats", "r", "captured, simulated", "fees paid for one", "exact")
    rows = []
    for share in SHARES:
        for replicas in (4, 7):
            rows.append(_capture(replace(setting, corrupt=share, replicas=replicas)))
    return markdown(heads, rows)


def _capture(setting: Setting) -> tuple[str, ...]:
    conduct = Conduct(Work.LIE_OR_STALL, owns_client=True, owns_version=True, retries=True)
    free = replace(setting, audited=Fraction(0), bribed=Fraction(1), royalty_bps=MAX_ROYALTY_BPS)
    environment = replace(
        free.economy.environment,
        corrupt_bps=int(setting.corrupt * BPS),
        gas_price=0,
        run_cost=Amount(0),
    )
    free = in_economy(free, environment=environment, emission_bps=0)
    book = Book()
    for number in range(free.queries):
        play(Run(free, conduct, book), number)
    paid = -book.balances[Account.COALITION] / max(book.wrong, 1) / free.query.fee
    exact = float(capture_cost(free.economy, setting.replicas))
    counts = (f"{book.wrong / free.queries:.2%}", f"{paid:.2f}" if book.wrong else "-")
    return (f"{float(setting.corrupt):.0%}", str(setting.replicas), *counts, f"{exact:.2f}")


def griefing(setting: Setting) -> str:
    """A challenger that only wants to hold others up, by its bond."""
    heads = ("bond, bps of S", "it pays, NES", "others lose, NES", "lost by others for 1 NES")
    griefer = named("griefing challenger")
    rows = []
    for bps in BONDS:
        found = profit(with_bond(griefer.arranged(setting), bps), griefer)
        paid = found.harm - found.mean
        rows.append((str(bps), f"{paid:,.2f}", f"{found.harm:,.2f}", f"{found.harm / paid:+.2f}"))
    return markdown(heads, rows)


def bribes(setting: Setting) -> str:
    """What oracles that withhold lose, and what delay they sell for it."""
    heads = ("bribed oracles", "they lose a query, NES", "answers late by", "NES for an hour")
    oracle = named("bribed oracles, for a client that wants its fee back")
    rows = []
    for share in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1)):
        found = profit(replace(oracle.arranged(setting), bribed=share), oracle)
        hour = -found.mean / found.delay * 3_600
        row = (f"{float(share):.0%}", f"{-found.mean:.4f}", f"{found.delay:,.0f} s", f"{hour:.4f}")
        rows.append(row)
    return markdown(heads, rows)


def stalling(setting: Setting) -> str:
    """What members that withhold lose, by their part of the seats, and what they cost others."""
    heads = ("seats that stall", "unanswered", "they lose a query, NES", "others lose, NES")
    staller = Strategy("staller", Conduct(Work.STALL), HONEST, _same, "none", _same)
    rows = []
    for share in SHARES:
        held = replace(setting, corrupt=share)
        found = profit(held, staller)
        share_of = (f"{float(share):.0%}", f"{found.unanswered:.1%}")
        rows.append((*share_of, f"{-found.mean:.4f}", f"{found.harm:.4f}"))
    return markdown(heads, rows)


def _same(setting: Setting) -> Setting:
    return setting


def washing(setting: Setting) -> str:
    """Who asks itself and owns all else, by emission and royalty, in parts of the fee."""
    heads = ("emission, of the treasury's fees", "no royalty", "royalty of 20 %")
    washer = named("wash trader")
    rows = []
    for bps in EMISSIONS:
        cells = [f"{bps / BPS:.0%}"]
        for royalty in (0, 2_000):
            arranged = replace(washer.arranged(setting), royalty_bps=royalty)
            found = profit(in_economy(arranged, emission_bps=bps), washer)
            cells.append(f"{found.mean * ONE_NES / setting.query.fee:+.3f}")
        rows.append(cells)
    return markdown(heads, rows)


def watching(setting: Setting) -> str:
    """What watchers earn, by the part of seats that lies."""
    heads = ("seats that lie", "wrong answers", "a watcher earns by audit, NES")
    rows = []
    for share in (Fraction(0), *SHARES):
        book = Book()
        watched = replace(setting, corrupt=share, audited=Fraction(1, 10))
        for number in range(watched.queries):
            play(Run(watched, Conduct(Work.LIE), book), number)
        audits = sum(map(sum, watched.is_audited))
        earned = book.balances[Account.WATCHERS] / ONE_NES / audits
        rows.append(
            (f"{float(share):.0%}", f"{book.wrong / watched.queries:.2%}", f"{earned:+,.2f}")
        )
    return markdown(heads, rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def sprees(setting: Setting) -> str:
    """A third of all seats lies and stakes only once, by how long a slashed seat stays."""
    heads = ("a slashed seat is drawn for", "wrong answers", "stake taken", "profit, NES")
    spree = with_prize(setting, 0.02)
    rows = []
    for after in (0, 10, 100, 1_000, None):
        seats = Spent(spree.economy.limits.seat_stake, after)
        run, honest = Run(spree, Conduct(Work.LIE), Book(), seats), Run(spree, HONEST)
        for number in range(spree.queries):
            play(run, number)
            play(honest, number)
        taken = sum(seats.stake - left for left in seats.left.values()) / seats.stake
        gain = run.book.balances[Account.COALITION] - honest.book.balances[Account.COALITION]
        said = "ever" if after is None else f"{after:,} queries"
        rows.append((said, f"{run.book.wrong:,}", f"{taken:.0f} S", f"{gain / ONE_NES:+,.0f}"))
    return markdown(heads, rows)


def shares(setting: Setting) -> str:
    """Lies for a prize, by the part of all seats and by how much is run again."""
    parts = (0.0, 0.005, 0.02, 0.05, 0.2)
    liar = named("colluding third")
    heads = ("seats that lie", *(f"{part:.1%} audited" for part in parts))
    rows = []
    for share in SHARES:
        held = with_prize(replace(setting, corrupt=share), 0.02)
        found = [profit(replace(held, audited=Fraction(part)), liar).mean for part in parts]
        rows.append((f"{float(share):.0%}", *(f"{mean:+,.2f}" for mean in found)))
    return markdown(heads, rows)


def _with_error(found: Profit) -> str:
    return f"{found.mean:+,.4f} ± {found.error:,.4f}"
