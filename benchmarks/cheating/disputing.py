"""What follows an answer: audits, challenges, slashes, and the prize of a lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.cheating.book import Account
from benchmarks.cheating.run import Answer, Run
from benchmarks.cheating.setting import CLIENT, Challenging
from nesa.protocol.challenges import (
    Challenge,
    Ending,
    Fallen,
    Result,
    Slash,
    Stakes,
    Standing,
    settlement,
)
from nesa.protocol.ids import Address
from nesa.protocol.queries import Assurance

CHALLENGER: Final = Address("0x" + "ee" * 20)
SHORTEST_GAME: Final = 3
"""Transactions of a challenger whom nobody answers: announce, challenge, end."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """One shard's answer to query `number`; `kept` is what its client is owed when it falls."""

    answer: Answer
    number: int
    kept: int


def dispute(run: Run, answers: Sequence[Answer], number: int) -> None:
    """What becomes of the answer to query `number`; the prize is won by what was delivered."""
    is_overturned = False
    for answer, is_audited in zip(answers, run.setting.is_audited[number], strict=True):
        if is_audited:
            cost = run.setting.economy.environment.run_cost
            run.book.move(Account.WATCHERS, Account.OUTSIDE, cost)
        kept = 0 if is_overturned else _kept(run, answers, answer)
        is_overturned |= _judge(run, Disputed(answer, number, kept), is_audited)
    is_wrong = not all(answer.is_right for answer in answers)
    run.book.wrong += is_wrong
    run.book.overturned += is_overturned
    if not is_wrong and run.client is Account.CLIENTS:
        run.book.move(Account.OUTSIDE, run.client, run.setting.query.fee)
    if is_wrong and (run.setting.assurance is Assurance.AGREED or not is_overturned):
        run.book.move(Account.OUTSIDE, Account.COALITION, run.setting.prize)


def _kept(run: Run, answers: Sequence[Answer], fallen: Answer) -> int:
    """What is left of the fee with others when this shard is the first to fall: shares, and the
    slots of the other shards.
    """
    slots = run.setting.shards * run.setting.replicas
    unpaid = slots - sum(len(run.paid(answer)) for answer in answers)
    returned = (unpaid + len(run.paid(fallen))) * run.setting.split.slot
    return run.setting.query.fee - returned


def _judge(run: Run, disputed: Disputed, is_audited: bool) -> bool:
    """Whether the answer falls, by whoever challenges it."""
    challenging = run.conduct.challenging
    if disputed.answer.is_right:
        if challenging is Challenging.RIGHT_ANSWERS:
            _grief(run, disputed)
        return False
    if challenging is Challenging.TO_COLLECT:
        _convict(run, disputed, Account.COALITION)
        return True
    if challenging is Challenging.TO_CLEAR:
        _clear(run, disputed)
        if not run.setting.rules.challenges_are_single:
            return False
    if is_audited:
        _convict(run, disputed, Account.WATCHERS)
    return is_audited


def _grief(run: Run, disputed: Disputed) -> None:
    """A right answer is challenged, and the challenger takes all the time there is."""
    honest = [slot for slot in disputed.answer.signers if slot >= run.setting.corrupt_seats]
    if not honest:
        return
    economy = run.setting.economy
    _end(run, disputed, Account.COALITION, Standing(_address(honest[0])), Result.WON)
    for account in (Account.COALITION, Account.MEMBERS):
        run.book.move(account, Account.OUTSIDE, economy.side_gas)
    frozen = len(honest) * economy.limits.seat_stake + run.setting.query.fee
    interest = economy.interest(frozen, economy.longest_dispute)
    run.book.move(Account.MEMBERS, Account.OUTSIDE, int(interest))


def _clear(run: Run, disputed: Disputed) -> None:
    """A wrong answer is challenged by a friend, who then says nothing."""
    winner = Standing(_address(disputed.answer.signers[0]))
    _end(run, disputed, Account.COALITION, winner, Result.WON)
    moves = 2 * SHORTEST_GAME
    run.burn_gas(Account.COALITION, moves * run.setting.economy.environment.move_gas)


def _convict(run: Run, disputed: Disputed, challenger: Account) -> None:
    """A wrong answer falls: nobody can defend it, though somebody may play for time."""
    for slot in run.paid(disputed.answer):
        run.book.move(run.owner(slot), run.client, run.setting.split.slot)
    if run.conduct.defends_lies:
        _play_for_time(run, challenger)
        _end(run, disputed, challenger, Fallen(), Result.LOST_BY_TIME)
    else:
        run.burn_gas(challenger, SHORTEST_GAME * run.setting.economy.environment.move_gas)
        _end(run, disputed, challenger, Fallen(), None)


def _play_for_time(run: Run, challenger: Account) -> None:
    """A whole game, every clock of which runs to its end."""
    economy = run.setting.economy
    for account in (Account.COALITION, challenger):
        run.book.move(account, Account.OUTSIDE, economy.side_gas)
    waiting = economy.interest(economy.challenger_bond, economy.longest_dispute)
    run.book.move(challenger, Account.OUTSIDE, int(waiting))


def _end(
    run: Run, disputed: Disputed, challenger: Account, ending: Ending, result: Result | None
) -> None:
    """Books how a challenge with at most one defence ends."""
    economy, signers = run.setting.economy, disputed.answer.signers
    slots = {_address(slot): slot for slot in signers}
    stakes = Stakes(economy.challenger_bond, economy.defence_penalty, economy.limits.seat_stake)
    defender = ending.winner if isinstance(ending, Standing) else _address(signers[0])
    defences = () if result is None else ((defender, result),)
    challenge = Challenge(CHALLENGER, CLIENT, tuple(slots), stakes, 0, defences)
    found = settlement(challenge, ending, disputed.kept)
    accounts = {address: run.owner(slot) for address, slot in slots.items()}
    accounts |= {CHALLENGER: challenger, CLIENT: run.client}
    run.book.move(challenger, Account.MARKET, stakes.bond)
    for payee, amount in found.credits.items():
        run.book.move(Account.MARKET, accounts[payee], amount)
    run.book.move(Account.MARKET, Account.BURNED, found.burned)
    for slash in found.slashes:
        taken = run.seats.slash(slots[slash.signer], slash.amount, disputed.number)
        _share_out(run, slash, taken, accounts)


def _share_out(run: Run, slash: Slash, taken: int, accounts: Mapping[Address, Account]) -> None:
    """Credits a share of what was taken and burns the rest, as the vault does."""
    credited = int(taken * run.setting.rules.rewarded)
    repaid, signer = min(slash.owed, credited), accounts[slash.signer]
    run.book.move(signer, accounts[CLIENT], repaid)
    run.book.move(signer, accounts[CHALLENGER], credited - repaid)
    run.book.move(signer, Account.BURNED, taken - credited)


def _address(slot: int) -> Address:
    return Address(f"0x{slot + 1:040x}")
