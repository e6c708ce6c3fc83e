"""Delegations against a model of them, over random lives of operators, seats and delegators."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from nesa.protocol.slashing import delegable
from tests.deployment import EPOCH_SECONDS, UNBONDING_SECONDS
from tests.invariants.test_stake_vault import (
    OPERATORS,
    OWNER,
    SEAT_STAKE,
    Book,
    StakeVaultMachine,
    account,
    amounts,
    operators,
)
from tests.revm import Revert

VIRTUAL_SHARES = 10**6
MAX_SHARES_A_UNIT = 10**12
NOTICE_SECONDS = UNBONDING_SECONDS + 2 * EPOCH_SECONDS
FIRST_COMMISSION = 1_000

DELEGATORS = tuple(account(f"delegator {index}") for index in range(3))

delegators = st.sampled_from(DELEGATORS)
sums = amounts | st.integers(0, 3)
parts = st.sampled_from((1, 2, 3, 1_000))

Pick = tuple[int, str, str]
"""Which of those that exist, or, for a third of all, whom whether it exists or not."""
picks = st.tuples(st.integers(0, 8), operators, delegators)


def chosen(existing: list[tuple[str, str]], pick: Pick) -> tuple[str, str]:
    """An operator and a delegator."""
    index, operator, delegator = pick
    if index > 5 or not existing:
        return operator, delegator
    return existing[index % len(existing)]


@dataclass
class Leaving:
    """Shares on their way out."""

    shares: int = 0
    amount: int = 0
    ready_at: int = 0


@dataclass
class Pool:
    """One operator's pool: who has how many shares."""

    shares: Counter[str] = field(default_factory=Counter)
    exits: dict[str, Leaving] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.shares.total() + sum(leaving.shares for leaving in self.exits.values())

    def value(self, shares: int, assets: int) -> int:
        return shares * (assets + 1) // (self.total + VIRTUAL_SHARES)

    def price(self, assets: int) -> Fraction:
        return Fraction(assets + 1, self.total + VIRTUAL_SHARES)


@dataclass
class Gain:
    """What slashes took of an operator's own, and paid to anybody, since some moment."""

    lost: int = 0
    rewarded: int = 0


class DelegationPoolMachine(StakeVaultMachine):
    """Operators live as in the vault's machine; others delegate to them."""

    done: ClassVar[Counter[str]] = Counter()

    @initialize()
    def deploy(self) -> None:
        super().deploy()
        bound = (self.token.address, self.vault.address)
        self.pool = self.chain.deploy("contracts/staking/DelegationPool", *bound, sender=OWNER)
        self.vault.set_delegation_pool(self.pool.address, sender=OWNER)
        for operator in OPERATORS[:-1]:
            self.pool.announce_commission(FIRST_COMMISSION, sender=operator)
        for delegator in DELEGATORS:
            self.token.transfer(delegator, 10**15, sender=OWNER)
            self.token.approve(self.pool.address, 2**256 - 1, sender=delegator)
        self.token.approve(self.pool.address, 2**256 - 1, sender=OWNER)
        self.pools = {operator: Pool() for operator in OPERATORS}
        self.announced = dict.fromkeys(OPERATORS[:-1], (FIRST_COMMISSION, FIRST_COMMISSION, 0))
        self.prices = {operator: Fraction(1, VIRTUAL_SHARES) for operator in OPERATORS}
        self.gains = {operator: [Gain()] for operator in OPERATORS}
        self.given = 0
        self.delegate(OPERATORS[0], DELEGATORS[0], 2 * SEAT_STAKE)

    def try_pool(self, allowed: bool, call: Any, *arguments: Any, sender: str) -> Any:
        """Result of the call; it must succeed exactly when `allowed`."""
        self.done[f"{call.__name__} {'done' if allowed else 'refused'}"] += 1
        if allowed:
            return call(*arguments, sender=sender)
        with pytest.raises(Revert, match="^(delegation|vault): "):
            call(*arguments, sender=sender)
        return None

    # Delegators

    @rule(operator=operators, delegator=delegators, amount=sums)
    def delegate(self, operator: str, delegator: str, amount: int) -> None:
        pool, book = self.pools[operator], self.books[operator]
        shares = amount * (pool.total + VIRTUAL_SHARES) // (book.delegated + 1)
        ruined = pool.total > (book.delegated + 1) * MAX_SHARES_A_UNIT
        fits = amount <= delegable(book.stake, book.delegated, book.unbonding)
        allowed = operator in self.announced and shares > 0 and not ruined and fits
        made = self.try_pool(
            allowed, self.pool.delegate, operator, amount, shares, sender=delegator
        )
        if allowed:
            assert made == shares
            pool.shares[delegator] += shares
            book.stake += amount
            book.delegated += amount
            book.creditable = 0
            self.gains[operator].append(Gain())

    @rule(pick=picks, part=parts)
    def leave(self, pick: Pick, part: int) -> None:
        holders = [(o, d) for o, pool in self.pools.items() for d in DELEGATORS if pool.shares[d]]
        self.begin_exit(*chosen(holders, pick), part)

    @rule(pick=picks)
    def stay(self, pick: Pick) -> None:
        self.cancel_exit(*chosen(self.leaving, pick))

    @rule(pick=picks, patient=st.booleans())
    def withdraw_exit(self, pick: Pick, patient: bool) -> None:
        self.withdraw_delegation(*chosen(self.leaving, pick), patient)

    @property
    def leaving(self) -> list[tuple[str, str]]:
        return [(operator, d) for operator, pool in self.pools.items() for d in pool.exits]

    def begin_exit(self, operator: str, delegator: str, part: int) -> None:
        pool, book = self.pools[operator], self.books[operator]
        shares = pool.shares[delegator] // part
        amount = pool.value(shares, book.delegated)
        told = self.try_pool(amount > 0, self.pool.begin_exit, operator, shares, sender=delegator)
        if amount > 0:
            assert told == amount
            leaving = pool.exits.setdefault(delegator, Leaving())
            pool.shares[delegator] -= shares
            leaving.shares += shares
            leaving.amount += amount
            leaving.ready_at = self.chain.timestamp + UNBONDING_SECONDS
            book.leaving += amount

    def cancel_exit(self, operator: str, delegator: str) -> None:
        pool, book = self.pools[operator], self.books[operator]
        leaving = pool.exits.get(delegator, Leaving())
        amount = min(leaving.amount, pool.value(leaving.shares, book.delegated))
        staying = pool.total - leaving.shares + VIRTUAL_SHARES
        shares = min(leaving.shares, amount * staying // (book.delegated - amount + 1))
        allowed = shares > 0
        self.try_pool(allowed, self.pool.cancel_exit, operator, sender=delegator)
        if allowed:
            del pool.exits[delegator]
            pool.shares[delegator] += shares
            book.leaving -= leaving.amount

    def withdraw_delegation(self, operator: str, delegator: str, patient: bool) -> None:
        pool, book = self.pools[operator], self.books[operator]
        leaving = pool.exits.get(delegator, Leaving())
        if patient and self.chain.timestamp < leaving.ready_at:
            self.chain.mine(seconds=leaving.ready_at - self.chain.timestamp)
        amount = min(leaving.amount, pool.value(leaving.shares, book.delegated))
        ripe = leaving.shares > 0 and self.chain.timestamp >= leaving.ready_at
        fits = book.locked + book.unbonding + amount <= book.stake
        allowed = ripe and not book.holds and fits
        before = self.token.balanceOf(delegator)
        self.try_pool(allowed, self.pool.withdraw, operator, delegator, sender=OWNER)
        if allowed:
            assert self.token.balanceOf(delegator) == before + amount
            del pool.exits[delegator]
            book.stake -= amount
            book.delegated -= amount
            book.leaving -= leaving.amount

    @rule(operator=operators, delegator=delegators)
    def leave_for_good(self, operator: str, delegator: str) -> None:
        """An operator that does not make room is made to."""
        self.begin_exit(operator, delegator, 1)
        for (shard, _), seat in list(self.seats.items()):
            if seat.operator == operator:
                self.evict(operator, shard)
        self.chain.mine(seconds=UNBONDING_SECONDS + EPOCH_SECONDS)
        for (shard, _), seat in list(self.seats.items()):
            if seat.operator == operator and seat.to_epoch <= self.epoch:
                self.release_seat(operator, shard)
        book, leaving = self.books[operator], self.pools[operator].exits.get(delegator)
        if leaving is not None and not book.holds and book.stake >= book.locked + book.going:
            self.withdraw_delegation(operator, delegator, False)
            assert delegator not in self.pools[operator].exits

    # Rewards

    @rule(operator=operators, amount=sums)
    def add_rewards(self, operator: str, amount: int) -> None:
        pool, book = self.pools[operator], self.books[operator]
        allowed = pool.total > 0 and amount > 0
        self.try_pool(allowed, self.pool.add_rewards, operator, amount, sender=OWNER)
        if allowed:
            book.stake += amount
            book.delegated += amount

    @rule(operator=operators, bps=st.integers(0, 5_001))
    def announce_commission(self, operator: str, bps: int) -> None:
        allowed = bps <= 5_000
        self.try_pool(allowed, self.pool.announce_commission, bps, sender=operator)
        if allowed:
            now = self.chain.timestamp
            first, current = operator not in self.announced, self.commission(operator)
            changes_at = now + NOTICE_SECONDS if bps > current and not first else now
            self.announced[operator] = (current, bps, changes_at)

    def commission(self, operator: str) -> int:
        before, after, changes_at = self.announced.get(operator, (0, 0, 0))
        return before if self.chain.timestamp < changes_at else after

    @rule()
    def give_to_the_pool(self) -> None:
        self.token.transfer(self.pool.address, 7, sender=OWNER)
        self.given += 7

    def take_stake(self, book: Book, taken: int) -> None:
        super().take_stake(book, taken)
        operator = next(name for name, found in self.books.items() if found is book)
        self.prices[operator] = self.pools[operator].price(book.delegated)

    def slash(self, operator: str, amount: int, owed: int) -> None:
        """What it took of the operator's own and what it paid, by the chain's own books."""
        own, paid = self.own(operator), self.vault.total_rewards()
        super().slash(operator, amount, owed)
        for gain in self.gains[operator]:
            gain.lost += own - self.own(operator)
            gain.rewarded += self.vault.total_rewards() - paid

    def own(self, operator: str) -> int:
        stake, delegated = self.vault.ledger(operator)[0], self.vault.backing(operator)[0]
        return int(stake - delegated)

    # What always holds

    @invariant()
    def own_stake_goes_first(self) -> None:
        """`take_stake` says how; here the vault is held to it, and nobody's stake is negative."""
        for operator, book in self.books.items():
            delegated = self.vault.backing(operator)[0]
            assert delegated == book.delegated <= book.stake

    @invariant()
    def rewards_are_own_stake(self) -> None:
        """Half of what an operator loses of its own is gone, whatever its friends do: in all, and
        since any delegation came."""
        for gain in chain(*self.gains.values()):
            assert gain.rewarded * 2 <= gain.lost

    @invariant()
    def shares_are_covered(self) -> None:
        for operator, pool in self.pools.items():
            held = [*pool.shares.values(), *[leaving.shares for leaving in pool.exits.values()]]
            worth = sum(self.pool.value_of(operator, shares) for shares in held)
            assert worth <= self.books[operator].delegated
            assert self.pool.total_shares(operator) == pool.total
            for delegator in DELEGATORS:
                assert self.pool.shares_of(operator, delegator) == pool.shares[delegator]
                leaving = pool.exits.get(delegator, Leaving())
                found = self.pool.exit_of(operator, delegator)
                assert found == (leaving.shares, leaving.amount, leaving.ready_at)

    @invariant()
    def delegations_lie_in_the_vault(self) -> None:
        assert self.token.balanceOf(self.pool.address) == self.given
        for operator, pool in self.pools.items():
            reserved = sum(leaving.amount for leaving in pool.exits.values())
            assert self.vault.backing(operator)[1] == reserved

    @invariant()
    def only_slashes_lower_a_share(self) -> None:
        for operator, pool in self.pools.items():
            price = pool.price(self.books[operator].delegated)
            assert price >= self.prices[operator]
            self.prices[operator] = price

    @invariant()
    def delegators_earn_by_their_stake(self) -> None:
        for operator, pool in self.pools.items():
            book, earned = self.books[operator], 10**9 + 7
            part = earned * book.delegated // book.stake if pool.total and book.stake else 0
            expected = part * (10_000 - self.commission(operator)) // 10_000
            assert self.pool.delegators_part(operator, earned) == expected
            assert self.pool.commission_of(operator) == self.commission(operator)


@pytest.fixture
def machine() -> DelegationPoolMachine:
    found = DelegationPoolMachine()
    found.deploy()
    return found


def test_an_operator_that_needs_the_stake_is_made_to_let_go(
    machine: DelegationPoolMachine,
) -> None:
    operator, delegator = OPERATORS[0], DELEGATORS[0]
    machine.take_seat(operator, 8)
    machine.begin_unbonding(operator, SEAT_STAKE)
    assert machine.books[operator].locked == 2 * SEAT_STAKE
    machine.leave_for_good(operator, delegator)
    assert machine.token.balanceOf(delegator) == 10**15


def test_a_slash_reaches_delegators_after_the_operator(machine: DelegationPoolMachine) -> None:
    operator = OPERATORS[0]
    machine.begin_exit(operator, DELEGATORS[0], 2)
    machine.slash(operator, 3 * SEAT_STAKE, 0)
    assert machine.books[operator].delegated == 2 * SEAT_STAKE
    machine.slash(operator, SEAT_STAKE, 0)
    assert machine.books[operator].delegated == SEAT_STAKE
    machine.shares_are_covered()


def test_the_pool_keeps_its_invariants() -> None:
    quick = settings(max_examples=20, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(DelegationPoolMachine, settings=quick)


@pytest.mark.deep
@pytest.mark.timeout(1_800)
def test_the_pool_keeps_its_invariants_for_long() -> None:
    deep = settings(max_examples=400, stateful_step_count=100, deadline=None)
    run_state_machine_as_test(DelegationPoolMachine, settings=deep)
