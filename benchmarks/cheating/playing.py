"""The rules of one query, from its fee to what it pays; `disputing` has what comes after.

To whoever asks in earnest, a right answer is worth its fee and a wrong one nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from benchmarks.cheating.book import Account
from benchmarks.cheating.disputing import dispute
from benchmarks.cheating.run import Answer, Run
from benchmarks.cheating.setting import Conduct, Setting, Work
from nesa.protocol.commitments import quorum
from nesa.protocol.outcomes import MAX_ATTEMPTS
from nesa.protocol.parameters import BPS


def play(run: Run, number: int) -> None:
    """Query `number`, booked."""
    fee, book = run.setting.query.fee, run.book
    book.move(run.client, Account.MARKET, fee)
    run.burn_gas(run.client, run.setting.economy.environment.request_gas)
    for attempt in range(MAX_ATTEMPTS if run.conduct.retries else 1):
        answers = _work(run, number, attempt)
        reporter = _reporter(run, number, attempt)
        if answers is not None and reporter is not None:
            book.answered += 1
            _settle(run, answers, reporter)
            dispute(run, answers, number)
            return
    book.move(Account.MARKET, run.client, fee)


# === Work ===


def _work(run: Run, number: int, attempt: int) -> list[Answer] | None:
    """What each shard's committee agrees on; None when one of them does not."""
    answers: list[Answer] = []
    gone = run.seats.gone(number)
    for shard in range(run.setting.shards):
        members = run.setting.committee(number, attempt, shard, gone)
        found = agreed(run.setting, run.conduct, members)
        _book_runs(run, members, found)
        if found is None:
            return None
        answers.append(found)
    return answers


def agreed(setting: Setting, conduct: Conduct, members: Sequence[int]) -> Answer | None:
    """What a committee agrees on: the coalition as it likes, the others on the right digest."""
    own = tuple(slot for slot in members if slot < setting.corrupt_seats)
    others = tuple(slot for slot in members if slot >= setting.corrupt_seats)
    needed = quorum(setting.replicas)
    everybody = tuple(members)
    together = Answer(everybody, True, everybody)
    alone = Answer(others, True, everybody) if len(others) >= needed else None
    captured = Answer(own, False, everybody) if len(own) >= needed else None
    match conduct.work:
        case Work.HONEST:
            return together
        case Work.COPY:
            return alone if setting.rules.commitments_hide else together
        case Work.LIE:
            return captured or together
        case Work.LIE_ALWAYS:
            return captured or alone
        case Work.STALL:
            return alone and together
        case Work.LIE_OR_STALL:
            return captured or (alone and together)
    assert_never(conduct.work)


def _book_runs(run: Run, members: Sequence[int], answer: Answer | None) -> None:
    """The others always run; the coalition's members where they sign what only a run can give."""
    own = sum(slot < run.setting.corrupt_seats for slot in members)
    cost = run.setting.economy.environment.run_cost
    run.book.move(Account.MEMBERS, Account.OUTSIDE, (len(members) - own) * cost)
    is_lazy = run.conduct.work in (Work.COPY, Work.LIE_ALWAYS)
    if not is_lazy and answer is not None and answer.is_right:
        run.book.move(Account.COALITION, Account.OUTSIDE, own * cost)


def _reporter(run: Run, number: int, attempt: int) -> Account | None:
    """Who reports: the first oracle that does so in its turn, then anybody, else nobody."""
    for slot in run.setting.oracle_turns(number, attempt):
        is_own = slot < run.setting.bribed_oracles
        if not (is_own and run.conduct.withholds_reports):
            return Account.COALITION if is_own else Account.ORACLES
        run.book.delay += run.setting.economy.query.oracle_turn
    return Account.MEMBERS if run.setting.rules.anybody_reports else None


# === Pay ===


def _settle(run: Run, answers: Sequence[Answer], reporter: Account) -> None:
    """Shares as the market credits them; slots that nobody earned go back to the client."""
    split, book = run.setting.split, run.book
    run.burn_gas(reporter, run.setting.economy.environment.report_gas)
    paid = [slot for answer in answers for slot in run.paid(answer)]
    shares = [(reporter, split.oracle), (run.developer, split.royalty)]
    shares += [(run.owner(slot), split.slot) for slot in paid]
    unpaid = run.setting.shards * run.setting.replicas - len(paid)
    for account, share in shares:
        book.move(Account.MARKET, account, share)
    book.move(Account.MARKET, run.client, unpaid * split.slot)
    book.move(Account.MARKET, Account.REVIEWERS, split.reviewers)
    book.move(Account.MARKET, Account.TREASURY, split.treasury)
    if all(answer.is_right for answer in answers):
        _emit(run, shares)


def _emit(run: Run, shares: Sequence[tuple[Account, int]]) -> None:
    """What is minted for a query, to those who worked for it as the fee was."""
    minted = run.setting.split.treasury * run.setting.economy.emission_bps // BPS
    earned = sum(share for _, share in shares)
    for account, share in shares:
        run.book.move(Account.OUTSIDE, account, minted * share // earned)
