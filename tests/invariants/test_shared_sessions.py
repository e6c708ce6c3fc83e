"""Sessions against books in Python: deposits, vouchers of several payers, closings, withdrawals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from nesa.chain.abi import Interface
from nesa.protocol.ids import ONE_NES, Address, Amount, Digest, QueryId, VersionId
from nesa.protocol.queries import Query
from nesa.protocol.sessions import (
    SessionOrder,
    Voucher,
    deposit,
    groups,
    product_terms,
    reward,
    sign_voucher,
)
from tests.invariants.market_world import (
    DEVELOPER,
    MEMBERS,
    OWNER,
    PERSONS,
    REVIEWERS,
    STRANGER,
    TREASURIES,
    MarketWorld,
)
from tests.invariants.test_query_market import NO_SHRINKING
from tests.market import CREDIT_WINDOW
from tests.reports import keys_of, signer_address
from tests.revm import Revert, RevmChain
from tests.shared_sessions import PRODUCTS, product_ids

REFUSAL = r"^(sessions|market|vault|signature): "
PAYERS: dict[str, PrivateKey] = dict(keys_of(["payer", "other payer"]))

payers = st.sampled_from(sorted(PAYERS))
picks = st.integers(0, 2**16)
parts = st.integers(-1, 12)
"""Twelfths of what a member may earn in all, one more than that, or less than nothing new."""


@dataclass
class Book:
    """One session."""

    terms: Query
    payer: str
    seats: int
    redeemed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    is_closed: bool = False
    is_pinned: bool = False

    @property
    def most(self) -> int:
        """What one member may earn."""
        return int(self.terms.base_fee) * PRODUCTS

    @property
    def left(self) -> int:
        """What members did not redeem."""
        total = deposit(self.terms.base_fee, PRODUCTS, self.seats)
        return 0 if self.is_closed else total - sum(self.redeemed.values())

    @property
    def redeems_until(self) -> int:
        """The last second of vouchers."""
        return self.terms.answer_deadline + self.terms.rules.claim_window


class SharedSessionsMachine(RuleBasedStateMachine):
    """Every rule acts on the contract and on the books alike, or expects it to refuse."""

    calls: ClassVar[Counter[str]] = Counter()

    @initialize()
    def deploy(self) -> None:
        self.world = MarketWorld(RevmChain())
        self.chain, self.token = self.world.chain, self.world.token
        below = (self.token, self.world.parameters, self.world.registry, self.world.vault)
        self.sessions = self.world._deploy_contract(
            "market/SharedSessions", *below, self.world.committee, CREDIT_WINDOW
        )
        self.listed = product_ids(self.world.versions[1])
        self.products_id = Digest(self.sessions.list_products(self.listed))
        for person in PERSONS:
            self.token.approve(self.sessions.address, 2**256 - 1, sender=person)
        self.books: list[Book] = []
        self.donated = self.withdrawn = self.paid_in = 0

    def expect(self, allowed: bool, call: Any, *arguments: Any, **options: Any) -> Any:
        """The call's result; None where it is not allowed, and reverts."""
        self.calls[f"{call.__name__} {allowed}"] += 1
        if allowed:
            return call(*arguments, **options)
        with pytest.raises(Revert, match=REFUSAL):
            call(*arguments, **options)
        return None

    def pick(self, index: int) -> Book | None:
        return self.books[index % len(self.books)] if self.books else None

    @rule(
        client=st.sampled_from(PERSONS),
        payer=payers,
        replicas=st.integers(0, 3),
        seats=st.integers(1, 9),
    )
    def open_session(self, client: str, payer: str, replicas: int, seats: int) -> None:
        address = Address(signer_address(PAYERS[payer]))
        order = (self.products_id, replicas, seats, address, Amount(100 * ONE_NES))
        allowed = replicas > 0 and 2 * replicas <= seats <= min(8, MEMBERS)
        if self.expect(allowed, self.sessions.open_session, order, sender=client) is None:
            return
        assert SessionOrder(*order).as_abi() == order
        event = self.event("SessionOpened")
        terms = Query.from_abi(tuple(event["query"]))
        self.books.append(Book(terms, payer, seats))
        self.paid_in += deposit(terms.base_fee, PRODUCTS, seats)
        assert groups(replicas, seats).first == tuple(range(replicas))
        self.chain.mine()
        self.chain.mine()

    def event(self, name: str) -> dict[str, Any]:
        interface = Interface("SharedSessions", self.sessions.abi)
        shape = next(event for event in interface.events if event.name == name)
        (log,) = [log for log in self.chain.logs if log.topics[0] == shape.topic]
        return dict(shape.decode(log.topics[1:], log.data))

    @rule(index=picks, position=st.integers(0, 6), part=parts, payer=payers)
    def redeem(self, index: int, position: int, part: int, payer: str) -> None:
        book = self.pick(index)
        if book is None or not self.knows_seed(book):
            return
        drawn = self.drawn(book)
        operator = self.world.owners[drawn[position]] if position < len(drawn) else STRANGER
        before = book.redeemed[operator]
        amount = max(before + 1, 0) if part < 0 else book.most * part // 11
        allowed = (
            position < book.seats
            and payer == book.payer
            and before < amount <= book.most
            and self.chain.timestamp <= book.redeems_until
            and not book.is_closed
        )
        voucher = Voucher(QueryId(book.terms.query_id), Address(operator), Amount(amount))
        address = Address(self.sessions.address)
        signed = sign_voucher(PAYERS[payer], self.chain.chain_id, address, voucher)
        given = (book.terms.as_abi(), position, amount, *signed)
        if self.expect(allowed, self.sessions.redeem, *given, sender=STRANGER) is not None:
            book.redeemed[operator] = amount
            assert reward(book.terms, amount - before) <= amount - before

    def knows_seed(self, book: Book) -> bool:
        age = self.chain.number - book.terms.seed_block
        return book.is_pinned or 0 < age <= 256

    def drawn(self, book: Book) -> list[str]:
        """Signers in draw order: those that the market's world draws for these terms."""
        market, self.world.market = self.world.market, self.sessions
        try:
            return self.world.drawn(book.terms, 0, 8)
        finally:
            self.world.market = market

    @rule(index=picks)
    def pin(self, index: int) -> None:
        book = self.pick(index)
        if book is None:
            return
        age = self.chain.number - book.terms.seed_block
        if self.expect(0 < age <= 256, self.sessions.pin_seed, book.terms.seed_block):
            for one in self.books:
                one.is_pinned |= one.terms.seed_block == book.terms.seed_block

    @rule(index=picks, patient=st.booleans())
    def close(self, index: int, patient: bool) -> None:
        book = self.pick(index)
        if book is None:
            return
        if patient and self.chain.timestamp <= book.redeems_until:
            self.chain.mine(seconds=book.redeems_until + 1 - self.chain.timestamp)
        allowed = self.chain.timestamp > book.redeems_until and not book.is_closed
        left = book.left
        closed = self.expect(
            allowed, self.sessions.close_session, book.terms.as_abi(), sender=STRANGER
        )
        if closed is not None:
            assert closed == left
            book.is_closed = True

    @rule(seconds=st.sampled_from((1, 10, CREDIT_WINDOW, 10 * CREDIT_WINDOW)))
    def wait(self, seconds: int) -> None:
        self.chain.mine(seconds=seconds)

    @rule(index=picks)
    def withdraw(self, index: int) -> None:
        holders = self.holders
        account = holders[index % len(holders)]
        ready, _ = self.sessions.credit_of(account)
        paid = self.expect(ready > 0, self.sessions.withdraw, account, sender=STRANGER)
        self.withdrawn += paid or 0

    @rule(index=picks, position=st.integers(0, 3), part=st.integers(1, 11))
    def redeem_honestly(self, index: int, position: int, part: int) -> None:
        book = self.pick(index)
        if book is not None:
            self.redeem(index, position % book.seats, part, book.payer)

    @rule(index=picks)
    def redeem_in_the_last_second(self, index: int) -> None:
        book = self.pick(index)
        if book is not None and self.chain.timestamp < book.redeems_until:
            self.pin(index)
            self.chain.mine(seconds=book.redeems_until - self.chain.timestamp)
            self.redeem(index, 0, 11, book.payer)

    @rule()
    def collect(self) -> None:
        shares = sum(self.sessions.shares_of(self.world.versions[1]))
        given = (DEVELOPER, self.world.root(1))
        self.expect(shares > 0, self.sessions.collect, *given, sender=STRANGER)

    @rule(amount=st.integers(1, 10**9))
    def donate(self, amount: int) -> None:
        self.token.transfer(self.sessions.address, amount, sender=OWNER)
        self.donated += amount

    @property
    def holders(self) -> list[str]:
        return [*PERSONS, DEVELOPER, REVIEWERS, TREASURIES[0], *self.world.places]

    @invariant()
    def the_sessions_are_solvent(self) -> None:
        owed = self.sessions.total_owed()
        assert owed == self.paid_in - self.withdrawn
        assert self.token.balanceOf(self.sessions.address) == owed + self.donated
        credits = sum(sum(self.sessions.credit_of(account)) for account in self.holders)
        shares = sum(self.sessions.shares_of(self.world.versions[1]))
        assert credits + shares + sum(book.left for book in self.books) == owed

    @invariant()
    def a_deposit_is_spent_once(self) -> None:
        for book in self.books:
            for operator, amount in book.redeemed.items():
                found = self.sessions.redeemed_by(book.terms.query_id, operator)
                assert found == amount <= book.most

    @invariant()
    def a_closed_session_is_empty(self) -> None:
        for book in self.books:
            assert self.sessions.left_of(book.terms.query_id) == book.left

    @invariant()
    def a_product_has_the_sessions_terms(self) -> None:
        for book in self.books[-1:]:
            other = product_terms(book.terms, 1, VersionId(self.listed[1]))
            assert self.sessions.verify_terms(other.as_abi())


def test_sessions_keep_their_invariants() -> None:
    quick = settings(max_examples=10, stateful_step_count=60, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(SharedSessionsMachine, settings=quick)


def test_the_machine_goes_through_a_whole_life() -> None:
    """Chance may leave a rule out of a short run; each of these is taken by the contract."""
    machine = SharedSessionsMachine()
    machine.deploy()
    steps: tuple[Callable[[], None], ...] = (
        lambda: machine.open_session(PERSONS[0], next(iter(PAYERS)), 1, 3),
        lambda: machine.redeem_honestly(0, 0, 5),
        lambda: machine.redeem_honestly(0, 0, 5),
        lambda: machine.redeem_honestly(0, 2, 11),
        machine.collect,
        lambda: machine.pin(0),
        lambda: machine.close(0, patient=True),
        lambda: machine.redeem_honestly(0, 1, 5),
    )
    SharedSessionsMachine.calls.clear()
    for step in steps:
        step()
        machine.the_sessions_are_solvent()
        machine.a_deposit_is_spent_once()
        machine.a_closed_session_is_empty()
    assert SharedSessionsMachine.calls == {
        "open_session True": 1,
        "redeem True": 2,
        "redeem False": 2,
        "collect True": 1,
        "pin_seed True": 1,
        "close_session True": 1,
    }


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_sessions_keep_their_invariants_for_long() -> None:
    deep = settings(max_examples=500, stateful_step_count=120, deadline=None)
    run_state_machine_as_test(SharedSessionsMachine, settings=deep)
