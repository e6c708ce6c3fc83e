"""The rules of one query, from its fee to the last slash.

Seats that were slashed are staked again, so that every query meets the same list; what that costs
is the slash itself. To whoever asks in earnest, a right answer is worth its fee and a wrong one
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from benchmarks.economy.book import Account, Book
from benchmarks.economy.setting import Challenging, Conduct, Setting, Work
from nesa.protocol.challenges import (
    Challenge,
    Ending,
    Fallen,
    Result,
    Settlement,
    Stakes,
    Standing,
    settlement,
)
from nesa.protocol.commitments import quorum
from nesa.protocol.ids import Address
from nesa.protocol.outcomes import MAX_ATTEMPTS
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Assurance

CHALLENGER: Final = Address("0x" + "ee" * 20)
SHORTEST_GAME: Final = 3
"""Transactions of a challenger whom nobody answers: announce, challenge, end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a committee agreed on: slots of its signers, and whether it is what the table gives."""

    signers: tuple[int, ...]
    is_right: bool
    members: tuple[int, ...]


def play(setting: Setting, conduct: Conduct, number: int, book: Book) -> None:
    """Query `number`, booked."""
    client = Account.COALITION if conduct.owns_client else Account.CLIENTS
    book.move(client, Account.MARKET, setting.query.fee)
    book.move(client, Account.OUTSIDE, _gas(setting, setting.economy.environment.request_gas))
    for attempt in range(MAX_ATTEMPTS if conduct.retries else 1):
        answers = _work(setting, conduct, book, number, attempt)
        reporter = _reporter(setting, conduct, book, number, attempt)
        if answers is not None and reporter is not None:
            book.answered += 1
            _settle(setting, conduct, book, answers, reporter, client)
            _dispute(setting, conduct, book, answers, client, setting.is_audited[number])
            return
    book.move(Account.MARKET, client, setting.query.fee)


# === Work ===


def _work(
    setting: Setting, conduct: Conduct, book: Book, number: int, attempt: int
) -> list[Answer] | None:
    """What each shard's committee agrees on; None when one of them does not."""
    answers: list[Answer] = []
    for shard in range(setting.shards):
        members = setting.committee(number, attempt, shard)
        found = agreed(setting, conduct, members)
        _book_runs(setting, conduct, book, members, found)
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


def _book_runs(
    setting: Setting,
    conduct: Conduct,
    book: Book,
    members: Sequence[int],
    answer: Answer | None,
) -> None:
    """The others always run; the coalition's members where they sign what only a run can give."""
    own = sum(slot < setting.corrupt_seats for slot in members)
    cost = setting.economy.environment.run_cost
    book.move(Account.MEMBERS, Account.OUTSIDE, (len(members) - own) * cost)
    is_lazy = conduct.work in (Work.COPY, Work.LIE_ALWAYS)
    if not is_lazy and answer is not None and answer.is_right:
        book.move(Account.COALITION, Account.OUTSIDE, own * cost)


def _reporter(
    setting: Setting, conduct: Conduct, book: Book, number: int, attempt: int
) -> Account | None:
    """Who reports: the first oracle that does so in its turn, then anybody, else nobody."""
    turns = setting.oracle_turns(number, attempt)
    for slot in turns:
        is_own = slot < setting.bribed_oracles
        if not (is_own and conduct.withholds_reports):
            return Account.COALITION if is_own else Account.ORACLES
        book.delay += setting.economy.query.oracle_turn
    return Account.MEMBERS if setting.rules.anybody_reports else None


# === Pay ===


def _settle(
    setting: Setting,
    conduct: Conduct,
    book: Book,
    answers: Sequence[Answer],
    reporter: Account,
    client: Account,
) -> None:
    """Shares as the market credits them; slots that nobody earned go back to the client."""
    split, developer = setting.split, _developer(conduct)
    book.move(reporter, Account.OUTSIDE, _gas(setting, setting.economy.environment.report_gas))
    shares = [(reporter, split.oracle), (developer, split.royalty)]
    paid = [slot for answer in answers for slot in _paid(setting, answer)]
    shares += [(_owner(setting, slot), split.slot) for slot in paid]
    unpaid = setting.shards * setting.replicas - len(paid)
    for account, share in shares:
        book.move(Account.MARKET, account, share)
    book.move(Account.MARKET, client, unpaid * split.slot)
    book.move(Account.MARKET, Account.REVIEWERS, split.reviewers)
    book.move(Account.MARKET, Account.TREASURY, split.treasury)
    if all(answer.is_right for answer in answers):
        _emit(setting, book, shares)


def _paid(setting: Setting, answer: Answer) -> tuple[int, ...]:
    return answer.signers if setting.rules.agreement_is_paid else answer.members


def _emit(setting: Setting, book: Book, shares: Sequence[tuple[Account, int]]) -> None:
    """What is minted for a query, to those who worked for it as the fee was."""
    minted = setting.split.treasury * setting.economy.emission_bps // BPS
    earned = sum(share for _, share in shares)
    for account, share in shares:
        book.move(Account.OUTSIDE, account, minted * share // earned)


def _developer(conduct: Conduct) -> Account:
    return Account.COALITION if conduct.owns_version else Account.DEVELOPERS


def _owner(setting: Setting, slot: int) -> Account:
    return Account.COALITION if slot < setting.corrupt_seats else Account.MEMBERS


def _gas(setting: Setting, gas: int) -> int:
    return gas * setting.economy.environment.gas_price


# === Disputes ===


def _dispute(
    setting: Setting,
    conduct: Conduct,
    book: Book,
    answers: Sequence[Answer],
    client: Account,
    is_audited: Sequence[bool],
) -> None:
    """Audits, challenges and what follows; the prize is won by what was delivered."""
    fallen = [
        _judge(setting, conduct, book, answer, audited)
        for answer, audited in zip(answers, is_audited, strict=True)
    ]
    is_wrong = not all(answer.is_right for answer in answers)
    is_overturned = any(taken is not None for taken in fallen)
    book.wrong += is_wrong
    book.overturned += is_overturned
    if is_overturned:
        _overturn(setting, book, answers, fallen, client)
    if not is_wrong and client is Account.CLIENTS:
        book.move(Account.OUTSIDE, client, setting.query.fee)
    if is_wrong and (setting.assurance is Assurance.AGREED or not is_overturned):
        book.move(Account.OUTSIDE, Account.COALITION, setting.prize)


def _judge(
    setting: Setting, conduct: Conduct, book: Book, answer: Answer, is_audited: bool
) -> int | None:
    """What was burned of the signers' stakes when the answer fell; None when it stands."""
    if is_audited:
        book.move(Account.WATCHERS, Account.OUTSIDE, setting.economy.environment.run_cost)
    if answer.is_right:
        if conduct.challenging is Challenging.RIGHT_ANSWERS:
            _grief(setting, book, answer)
        return None
    if conduct.challenging is Challenging.TO_COLLECT:
        return _convict(setting, conduct, book, answer, Account.COALITION)
    if conduct.challenging is Challenging.TO_CLEAR:
        _clear(setting, book, answer)
        if not setting.rules.challenges_are_single:
            return None
    return _convict(setting, conduct, book, answer, Account.WATCHERS) if is_audited else None


def _grief(setting: Setting, book: Book, answer: Answer) -> None:
    """A right answer is challenged, and the challenger takes all the time there is."""
    winner = next((slot for slot in answer.signers if slot >= setting.corrupt_seats), None)
    if winner is None:
        return
    economy = setting.economy
    _end(setting, book, answer, Account.COALITION, Standing(_address(winner)), Result.WON)
    for account in (Account.COALITION, Account.MEMBERS):
        book.move(account, Account.OUTSIDE, economy.side_gas)
    held = sum(slot >= setting.corrupt_seats for slot in answer.signers)
    frozen = held * economy.limits.seat_stake + setting.query.fee
    interest = economy.interest(frozen, economy.longest_dispute)
    book.move(Account.MEMBERS, Account.OUTSIDE, int(interest))


def _clear(setting: Setting, book: Book, answer: Answer) -> None:
    """A wrong answer is challenged by a friend, who then says nothing."""
    winner = Standing(_address(answer.signers[0]))
    _end(setting, book, answer, Account.COALITION, winner, Result.WON)
    moves = 2 * SHORTEST_GAME * setting.economy.environment.move_gas
    book.move(Account.COALITION, Account.OUTSIDE, _gas(setting, moves))


def _convict(
    setting: Setting, conduct: Conduct, book: Book, answer: Answer, challenger: Account
) -> int:
    """A wrong answer falls: nobody can defend it, though somebody may play for time."""
    economy = setting.economy
    result = Result.LOST_BY_TIME if conduct.defends_lies else None
    moves = _gas(setting, SHORTEST_GAME * economy.environment.move_gas)
    if conduct.defends_lies:
        moves = economy.side_gas
        book.move(Account.COALITION, Account.OUTSIDE, economy.side_gas)
        waiting = economy.interest(economy.challenger_bond, economy.longest_dispute)
        book.move(challenger, Account.OUTSIDE, int(waiting))
        penalty = economy.defence_penalty
        book.move(Account.COALITION, challenger, penalty // 2)
        book.move(Account.COALITION, Account.BURNED, penalty - penalty // 2)
    book.move(challenger, Account.OUTSIDE, moves)
    return _end(setting, book, answer, challenger, Fallen(), result)


def _end(
    setting: Setting,
    book: Book,
    answer: Answer,
    challenger: Account,
    ending: Ending,
    result: Result | None,
) -> int:
    """Books how a challenge with at most one defence ends; what is burned of stakes."""
    economy = setting.economy
    stakes = Stakes(economy.challenger_bond, 0, economy.limits.seat_stake)
    signers = tuple(_address(slot) for slot in answer.signers)
    defender = ending.winner if isinstance(ending, Standing) else signers[0]
    defences = () if result is None else ((defender, result),)
    found = settlement(Challenge(CHALLENGER, signers, stakes, 0, defences), ending)
    owners = {_address(slot): _owner(setting, slot) for slot in answer.signers}
    owners[CHALLENGER] = challenger
    book.move(challenger, Account.MARKET, stakes.challenger_bond)
    for payee, amount in found.paid.items():
        book.move(Account.MARKET, owners[payee], amount)
    book.move(Account.MARKET, Account.BURNED, found.burned)
    return _slash(setting, book, found, owners, challenger)


def _slash(
    setting: Setting,
    book: Book,
    found: Settlement,
    owners: dict[Address, Account],
    challenger: Account,
) -> int:
    burned = 0
    for slash in found.slashes:
        reward = int(slash.amount * setting.rules.rewarded)
        book.move(owners[slash.signer], challenger, reward)
        book.move(owners[slash.signer], Account.BURNED, slash.amount - reward)
        burned += slash.amount - reward
    return burned


def _overturn(
    setting: Setting,
    book: Book,
    answers: Sequence[Answer],
    fallen: Sequence[int | None],
    client: Account,
) -> None:
    """The fee goes back: slots of fallen shards from their signers, the rest from the burn."""
    unpaid = setting.shards * setting.replicas - sum(len(_paid(setting, one)) for one in answers)
    returned = unpaid * setting.split.slot
    for answer, burned in zip(answers, fallen, strict=True):
        for slot in () if burned is None else _paid(setting, answer):
            book.move(_owner(setting, slot), client, setting.split.slot)
            returned += setting.split.slot
    kept = setting.query.fee - returned
    burned = sum(amount for amount in fallen if amount is not None)
    book.move(Account.BURNED, client, min(kept, burned))


def _address(slot: int) -> Address:
    return Address(f"0x{slot + 1:040x}")
