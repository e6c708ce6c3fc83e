"""What follows an answer: audits, challenges, slashes, and the prize of a lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.economy.book import Account
from benchmarks.economy.run import Answer, Run
from benchmarks.economy.setting import Challenging
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
from nesa.protocol.ids import Address
from nesa.protocol.queries import Assurance

CHALLENGER: Final = Address("0x" + "ee" * 20)
SHORTEST_GAME: Final = 3
"""Transactions of a challenger whom nobody answers: announce, challenge, end."""


def dispute(run: Run, answers: Sequence[Answer], number: int) -> None:
    """What becomes of the answer to query `number`; the prize is won by what was delivered."""
    audited = run.setting.is_audited[number]
    fallen = [
        _judge(run, answer, number, is_audited)
        for answer, is_audited in zip(answers, audited, strict=True)
    ]
    is_wrong = not all(answer.is_right for answer in answers)
    is_overturned = any(burned is not None for burned in fallen)
    run.book.wrong += is_wrong
    run.book.overturned += is_overturned
    if is_overturned:
        _overturn(run, answers, fallen)
    if not is_wrong and run.client is Account.CLIENTS:
        run.book.move(Account.OUTSIDE, run.client, run.setting.query.fee)
    if is_wrong and (run.setting.assurance is Assurance.AGREED or not is_overturned):
        run.book.move(Account.OUTSIDE, Account.COALITION, run.setting.prize)


def _judge(run: Run, answer: Answer, number: int, is_audited: bool) -> int | None:
    """What was burned of the signers' stakes when the answer fell; None when it stands."""
    challenging = run.conduct.challenging
    if is_audited:
        cost = run.setting.economy.environment.run_cost
        run.book.move(Account.WATCHERS, Account.OUTSIDE, cost)
    if answer.is_right:
        if challenging is Challenging.RIGHT_ANSWERS:
            _grief(run, answer, number)
        return None
    if challenging is Challenging.TO_COLLECT:
        return _convict(run, answer, number, Account.COALITION)
    if challenging is Challenging.TO_CLEAR:
        _clear(run, answer, number)
        if not run.setting.rules.challenges_are_single:
            return None
    return _convict(run, answer, number, Account.WATCHERS) if is_audited else None


def _grief(run: Run, answer: Answer, number: int) -> None:
    """A right answer is challenged, and the challenger takes all the time there is."""
    honest = [slot for slot in answer.signers if slot >= run.setting.corrupt_seats]
    if not honest:
        return
    economy = run.setting.economy
    winner = Standing(_address(honest[0]))
    _end(run, answer, number, Account.COALITION, winner, Result.WON)
    for account in (Account.COALITION, Account.MEMBERS):
        run.book.move(account, Account.OUTSIDE, economy.side_gas)
    frozen = len(honest) * economy.limits.seat_stake + run.setting.query.fee
    interest = economy.interest(frozen, economy.longest_dispute)
    run.book.move(Account.MEMBERS, Account.OUTSIDE, int(interest))


def _clear(run: Run, answer: Answer, number: int) -> None:
    """A wrong answer is challenged by a friend, who then says nothing."""
    winner = Standing(_address(answer.signers[0]))
    _end(run, answer, number, Account.COALITION, winner, Result.WON)
    moves = 2 * SHORTEST_GAME
    run.burn_gas(Account.COALITION, moves * run.setting.economy.environment.move_gas)


def _convict(run: Run, answer: Answer, number: int, challenger: Account) -> int:
    """A wrong answer falls: nobody can defend it, though somebody may play for time."""
    if run.conduct.defends_lies:
        _play_for_time(run, answer, number, challenger)
        return _end(run, answer, number, challenger, Fallen(), Result.LOST_BY_TIME)
    run.burn_gas(challenger, SHORTEST_GAME * run.setting.economy.environment.move_gas)
    return _end(run, answer, number, challenger, Fallen(), None)


def _play_for_time(run: Run, answer: Answer, number: int, challenger: Account) -> None:
    """A whole game, and the penalty of the one who leaves it at the end."""
    economy = run.setting.economy
    for account in (Account.COALITION, challenger):
        run.book.move(account, Account.OUTSIDE, economy.side_gas)
    waiting = economy.interest(economy.challenger_bond, economy.longest_dispute)
    run.book.move(challenger, Account.OUTSIDE, int(waiting))
    taken = run.seats.slash(answer.signers[0], economy.defence_penalty, number)
    run.book.move(Account.COALITION, challenger, taken // 2)
    run.book.move(Account.COALITION, Account.BURNED, taken - taken // 2)


def _end(
    run: Run,
    answer: Answer,
    number: int,
    challenger: Account,
    ending: Ending,
    result: Result | None,
) -> int:
    """Books how a challenge with at most one defence ends; what is burned of stakes."""
    economy = run.setting.economy
    stakes = Stakes(economy.challenger_bond, 0, economy.limits.seat_stake)
    slots = {_address(slot): slot for slot in answer.signers}
    defender = ending.winner if isinstance(ending, Standing) else next(iter(slots))
    defences = () if result is None else ((defender, result),)
    found = settlement(Challenge(CHALLENGER, tuple(slots), stakes, 0, defences), ending)
    run.book.move(challenger, Account.MARKET, stakes.challenger_bond)
    for payee, amount in found.paid.items():
        account = challenger if payee == CHALLENGER else run.owner(slots[payee])
        run.book.move(Account.MARKET, account, amount)
    run.book.move(Account.MARKET, Account.BURNED, found.burned)
    return _slash(run, found, slots, number, challenger)


def _slash(
    run: Run, found: Settlement, slots: dict[Address, int], number: int, challenger: Account
) -> int:
    burned = 0
    for slash in found.slashes:
        slot = slots[slash.signer]
        taken = run.seats.slash(slot, slash.amount, number)
        reward = int(taken * run.setting.rules.rewarded)
        run.book.move(run.owner(slot), challenger, reward)
        run.book.move(run.owner(slot), Account.BURNED, taken - reward)
        burned += taken - reward
    return burned


def _overturn(run: Run, answers: Sequence[Answer], fallen: Sequence[int | None]) -> None:
    """The fee goes back: slots of fallen shards from their signers, the rest from the burn."""
    setting, slot_pay = run.setting, run.setting.split.slot
    unpaid = setting.shards * setting.replicas - sum(len(run.paid(one)) for one in answers)
    returned = unpaid * slot_pay
    for answer, burned in zip(answers, fallen, strict=True):
        for slot in () if burned is None else run.paid(answer):
            run.book.move(run.owner(slot), run.client, slot_pay)
            returned += slot_pay
    kept = setting.query.fee - returned
    available = sum(burned for burned in fallen if burned is not None)
    run.book.move(Account.BURNED, run.client, min(kept, available))


def _address(slot: int) -> Address:
    return Address(f"0x{slot + 1:040x}")
