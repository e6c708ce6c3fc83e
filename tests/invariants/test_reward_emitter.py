"""The whole protocol with emission: what is minted for queries against books in Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from nesa.protocol.emission import MAX_SHARE_BPS, Schedule, reward_of
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ONE_NES, Amount
from nesa.protocol.outcomes import outcome_as_abi, paid_slots
from nesa.protocol.queries import Assurance, Outcome, Query, QueryStatus
from tests.invariants.market_books import QueryBook
from tests.invariants.market_world import DEVELOPER, OWNER
from tests.invariants.test_query_market import NO_SHRINKING, QueryMarketMachine, picks
from tests.reports import signer_address
from tests.revm import Revert

PERIOD_SECONDS, HALVING_PERIODS = 400, 3
FIRST_BUDGET = Amount(ONE_NES)
FIRST_SHARE = 5_000


@dataclass(frozen=True)
class Rewarded:
    """A query whose work made new NES."""

    query: Query
    outcome: Outcome
    amount: int


class RewardEmitterMachine(QueryMarketMachine):
    """Queries live as in the market's machine; the final ones are rewarded, or rightly refused."""

    calls: ClassVar[Counter[str]] = Counter()

    @initialize()
    def deploy(self) -> None:
        super().deploy()
        staking = (self.token.address, self.vault.address)
        pool = self.chain.deploy("contracts/staking/DelegationPool", *staking, sender=OWNER)
        bound = (self.token.address, self.market.address, self.vault.address, pool.address)
        terms = (FIRST_SHARE, PERIOD_SECONDS, HALVING_PERIODS, FIRST_BUDGET)
        self.emitter = self.chain.deploy(
            "contracts/token/RewardEmitter", *bound, *terms, sender=OWNER
        )
        self.token.set_minter(self.emitter.address, sender=OWNER)
        self.started_at = self.now
        self.schedule = Schedule(FIRST_BUDGET, HALVING_PERIODS)
        self.shares_from = {0: FIRST_SHARE}
        self.rewarded: dict[int, Rewarded] = {}
        self.emission: dict[str, int] = {}
        self.emitted: dict[int, int] = {}

    @property
    def period(self) -> int:
        return (self.now - self.started_at) // PERIOD_SECONDS

    @property
    def share(self) -> int:
        return self.shares_from[max(p for p in self.shares_from if p <= self.period)]

    @rule(share=st.integers(0, MAX_SHARE_BPS) | st.just(MAX_SHARE_BPS + 1))
    def set_share(self, share: int) -> None:
        if share > MAX_SHARE_BPS:
            with pytest.raises(Revert, match="^emitter: share too large"):
                self.emitter.set_share(share, sender=OWNER)
            return
        self.emitter.set_share(share, sender=OWNER)
        self.shares_from[self.period + 1] = share

    @rule(index=picks, patient=st.booleans())
    def reward(self, index: int, patient: bool) -> None:
        book = self.pick(index, QueryStatus.FULFILLED, QueryStatus.FINAL)
        if book is None:
            return
        if patient and not book.is_held:
            self.wait_until(book.closes_at + 1)
        self.reward_for(book)

    @rule(shards=st.sampled_from((1, 2)), left_out=st.sets(st.integers(0, 3), max_size=1))
    def wash(self, shards: int, left_out: set[int]) -> None:
        """One party asks, answers, reports and takes the reward."""
        self.live(1, shards, 4, 1, self.temper, left_out, [])
        book = self.books.get(len(self.books))
        if book is not None and book.status is QueryStatus.FULFILLED:
            self.wait_until(book.closes_at + 1)
            self.reward_for(book)

    @rule(index=picks)
    def withdraw_emission(self, index: int) -> None:
        accounts = sorted(self.emission)
        if not accounts:
            return
        account = accounts[index % len(accounts)]
        credit = self.emission[account]
        if credit == 0:
            with pytest.raises(Revert, match="^emitter: nothing to withdraw"):
                self.emitter.withdraw(account)
            return
        assert self.emitter.withdraw(account) == credit
        self.emission[account] = 0
        self.minted += credit

    def reward_for(self, book: QueryBook) -> None:
        assert book.outcome is not None
        budget = self.schedule.budget(self.period)
        expected = reward_of(book.query, self.share, budget).total(paid_slots(book.outcome))
        left = budget - self.emitted.get(self.period, 0)
        first = book.query.query_id not in self.rewarded
        allowed = self.is_final(book) and first and 0 < expected <= left
        self.calls[f"reward {'done' if allowed else 'refused'}"] += 1
        if not allowed:
            with pytest.raises(Revert, match="^emitter: "):
                self.send_reward(book)
            return
        assert self.send_reward(book) == expected
        self.note_reward(book, expected)

    def send_reward(self, book: QueryBook) -> int:
        assert book.outcome is not None
        members = [[signer_address(key) for key in work.members] for work in book.works]
        proved = book.query.assurance is Assurance.PROVED
        root = (self.world.proved_root if proved else self.world.root)(book.query.shards)
        given = (book.query.as_abi(), outcome_as_abi(book.outcome), members, DEVELOPER, root)
        return int(self.emitter.reward(*given))

    def note_reward(self, book: QueryBook, amount: int) -> None:
        assert book.outcome is not None
        query, outcome = book.query, book.outcome
        each = reward_of(query, self.share, self.schedule.budget(self.period))
        for work, shard in zip(book.works, outcome.shards, strict=True):
            for position, key in enumerate(work.members):
                if shard.paid >> position & 1:
                    self.credit(signer_address(key), each.slot)
        self.credit(outcome.reporter, each.oracle)
        self.credit(DEVELOPER, each.developer)
        self.emitted[self.period] = self.emitted.get(self.period, 0) + amount
        self.rewarded[query.query_id] = Rewarded(query, outcome, amount)

    def credit(self, signer: str, amount: int) -> None:
        account = self.world.owners.get(signer, signer)
        self.emission[account] = self.emission.get(account, 0) + amount

    def is_final(self, book: QueryBook) -> bool:
        closed = book.status is QueryStatus.FULFILLED and self.now > book.closes_at
        return book.status is QueryStatus.FINAL or (closed and not book.is_held)

    # What always holds

    @invariant()
    def washing_loses(self) -> None:
        """Whoever is client, members, oracle, developer and reviewers at once gets less back."""
        for rewarded in self.rewarded.values():
            assert rewarded.amount < split_fee(rewarded.query).treasury

    @invariant()
    def periods_keep_their_budget(self) -> None:
        for period, emitted in self.emitted.items():
            assert self.emitter.emitted_in(period) == emitted <= self.schedule.budget(period)

    @invariant()
    def supply_follows_the_emission(self) -> None:
        total = sum(self.emitted.values())
        assert self.emitter.total_emitted() == total
        assert self.emitter.total_credit() == sum(self.emission.values()) == total - self.minted
        for account, credit in self.emission.items():
            assert self.emitter.credit_of(account) == credit

    @invariant()
    def only_final_queries_are_rewarded(self) -> None:
        for query_id in self.books:
            assert self.emitter.is_rewarded(query_id) == (query_id in self.rewarded)
            if query_id in self.rewarded:
                assert self.market.status_of(query_id) == QueryStatus.FINAL


def test_a_washer_is_rewarded_and_loses() -> None:
    machine = RewardEmitterMachine()
    machine.deploy()
    machine.wash(1, set())
    machine.wash(2, {0})
    machine.washing_loses()
    assert len(machine.rewarded) == 2
    machine.withdraw_emission(0)
    assert machine.minted > 0
    machine.supply_follows_the_emission()


def test_the_emitter_keeps_its_invariants() -> None:
    quick = settings(max_examples=20, stateful_step_count=50, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(RewardEmitterMachine, settings=quick)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_the_emitter_keeps_its_invariants_for_long() -> None:
    deep = settings(max_examples=500, stateful_step_count=120, deadline=None)
    run_state_machine_as_test(RewardEmitterMachine, settings=deep)
