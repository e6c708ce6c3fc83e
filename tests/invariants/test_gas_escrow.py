"""The whole protocol with gas escrows: coin against books in Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import QueryStatus
from tests.invariants.market_books import QueryBook
from tests.invariants.market_world import OWNER, PERSONS, STRANGER
from tests.invariants.test_query_market import NO_SHRINKING, QueryMarketMachine, picks
from tests.revm import Revert

PURSE = 10**24
REFUSAL = "^escrow: "

depositors = st.sampled_from((*PERSONS, STRANGER))
sums = st.integers(0, 10**17)


class GasEscrowMachine(QueryMarketMachine):
    """Queries live as in the market's machine; coin waits for their reporters."""

    calls: ClassVar[Counter[str]] = Counter()

    @initialize()
    def deploy(self) -> None:
        super().deploy()
        market = self.market.address
        self.escrow = self.chain.deploy("contracts/market/GasEscrow", market, sender=OWNER)
        for person in (*PERSONS, STRANGER):
            self.chain.evm.set_balance(person, PURSE)
        self.deposits: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.coin: dict[str, int] = defaultdict(int)
        self.settled: dict[int, int] = {}
        self.reclaimed: dict[int, int] = defaultdict(int)
        self.taken = self.forced = 0

    def held_for(self, query_id: int) -> int:
        return 0 if query_id in self.settled else sum(self.deposits[query_id].values())

    @rule(index=picks, depositor=depositors, amount=sums)
    def deposit_gas(self, index: int, depositor: str, amount: int) -> None:
        book = self.pick(index, QueryStatus.OPEN) or self.pick(index)
        if book is not None:
            self.deposit_for(book, depositor, amount)

    @rule(index=picks)
    def settle(self, index: int) -> None:
        book = self.pick(index, QueryStatus.FULFILLED, QueryStatus.FINAL)
        if book is not None:
            self.settle_for(book)

    @rule(index=picks, depositor=depositors, patient=st.booleans())
    def reclaim(self, index: int, depositor: str, patient: bool) -> None:
        book = self.pick(index, QueryStatus.REFUNDED) or self.pick(index)
        if book is None:
            return
        if patient and book.status is QueryStatus.OPEN:
            self.refund(len(self.books) - book.query.query_id, patient=True)
        self.reclaim_for(book, depositor)

    @rule(
        shards=st.sampled_from((1, 2)),
        depositor=depositors,
        amount=sums,
        wait=st.sampled_from((0, 30, 61)),
    )
    def live_with_escrow(self, shards: int, depositor: str, amount: int, wait: int) -> None:
        """A query's whole life with coin behind it; whoever waits too long sees it refunded."""
        before = len(self.books)
        self.ask_for_proofs(PERSONS[0], shards)
        if len(self.books) == before:
            return
        book = self.books[len(self.books)]
        self.deposit_for(book, depositor, amount)
        self.chain.mine(2, 2)
        self.wait_until(book.query.opened_at + wait)
        self.report(book, set(), set(), 0, 0)
        if book.outcome is not None:
            self.settle_for(book)
        else:
            self.refund(0, patient=True)
            self.reclaim_for(book, depositor)

    @rule(index=picks)
    def withdraw_coin(self, index: int) -> None:
        accounts = sorted(self.coin)
        if not accounts:
            return
        account = accounts[index % len(accounts)]
        before, credit = self.chain.evm.get_balance(account), self.coin[account]
        if self.ask_escrow(credit > 0, self.escrow.withdraw, account) is not None:
            assert self.chain.evm.get_balance(account) == before + credit
            self.taken += credit
            self.coin[account] = 0

    @rule(amount=st.integers(1, 10**15))
    def force(self, amount: int) -> None:
        """Coin that came without a call, as from a block's reward."""
        held = self.chain.evm.get_balance(self.escrow.address)
        self.chain.evm.set_balance(self.escrow.address, held + amount)
        self.forced += amount

    def ask_escrow(self, allowed: bool, call, *arguments, **options):
        """Result of the call; it must succeed exactly when `allowed`."""
        self.calls[f"{call.__name__} {'done' if allowed else 'refused'}"] += 1
        if allowed:
            result = call(*arguments, **options)
            return True if result == () else result
        with pytest.raises(Revert, match=REFUSAL):
            call(*arguments, **options)
        return None

    def deposit_for(self, book: QueryBook, depositor: str, amount: int) -> None:
        number = book.query.query_id
        allowed = book.status is QueryStatus.OPEN and amount > 0
        given = {"sender": depositor, "value": amount}
        if self.ask_escrow(allowed, self.escrow.deposit, number, **given) is not None:
            self.deposits[number][depositor] += amount

    def reclaim_for(self, book: QueryBook, depositor: str) -> None:
        number = book.query.query_id
        amount = self.deposits[number][depositor]
        allowed = book.status is QueryStatus.REFUNDED and amount > 0
        if self.ask_escrow(allowed, self.escrow.reclaim, number, depositor) is not None:
            del self.deposits[number][depositor]
            self.reclaimed[number] += amount
            self.coin[depositor] += amount

    def settle_for(self, book: QueryBook) -> None:
        assert book.outcome is not None
        number = book.query.query_id
        held = self.held_for(number)
        given = (book.query.as_abi(), outcome_as_abi(book.outcome))
        paid = self.ask_escrow(held > 0, self.escrow.settle, *given)
        if paid is not None:
            assert paid == held
            self.settled[number] = held
            self.coin[book.outcome.reporter] += held

    # What always holds

    @invariant()
    def the_escrow_is_solvent(self) -> None:
        waiting = sum(self.held_for(number) for number in self.books)
        held = waiting + sum(self.coin.values())
        assert self.escrow.total_held() == held
        assert self.chain.evm.get_balance(self.escrow.address) == held + self.forced

    @invariant()
    def deposits_end_once(self) -> None:
        for number in self.books:
            assert self.escrow.held_for(number) == self.held_for(number)
            assert number not in self.settled or self.reclaimed[number] == 0
            for depositor, amount in self.deposits[number].items():
                assert self.escrow.deposit_of(number, depositor) == amount
        for account, credit in self.coin.items():
            assert self.escrow.credit_of(account) == credit


@pytest.fixture
def machine() -> GasEscrowMachine:
    found = GasEscrowMachine()
    found.deploy()
    return found


@pytest.mark.parametrize(("wait", "ending"), [(0, "settle"), (30, "settle"), (61, "reclaim")])
def test_every_ending_is_reached(machine: GasEscrowMachine, wait: int, ending: str) -> None:
    before = machine.calls[f"{ending} done"]
    machine.live_with_escrow(1, STRANGER, 10**15, wait)
    assert machine.calls[f"{ending} done"] == before + 1
    machine.withdraw_coin(0)
    assert machine.taken == 10**15
    machine.the_escrow_is_solvent()


def test_the_escrow_keeps_its_invariants() -> None:
    quick = settings(max_examples=20, stateful_step_count=50, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(GasEscrowMachine, settings=quick)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_the_escrow_keeps_its_invariants_for_long() -> None:
    deep = settings(max_examples=500, stateful_step_count=120, deadline=None)
    run_state_machine_as_test(GasEscrowMachine, settings=deep)
