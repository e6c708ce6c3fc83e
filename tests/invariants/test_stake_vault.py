"""The stake vault against a model of it, over random lives of its operators."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from nesa.chain.contracts import ZERO_ADDRESS
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import ZERO_DIGEST, Address
from nesa.protocol.slashing import credited
from tests.deployment import (
    EPOCH_SECONDS,
    GENESIS_SUPPLY,
    MAXIMUM_QUERY_SECONDS,
    QUERY_PARAMETERS,
    REQUEST_LIMITS,
    SHARDS,
    UNBONDING_SECONDS,
)
from tests.reports import signer_address
from tests.revm import Revert, RevmChain

SEAT_STAKE = REQUEST_LIMITS.seat_stake
NO_END = 2**32 - 1
NOBODY = "0x" + "00" * 20
ORACLE_SHARD = 8


def account(name: str) -> str:
    return str(to_checksum_address(keccak(text=name)[-20:]))


OWNER, SLASHER = account("owner"), account("slasher")
BENEFICIARY, CREDITOR = account("beneficiary"), account("creditor")
OPERATORS = tuple(account(f"operator {index}") for index in range(4))

operators = st.sampled_from(OPERATORS)
amounts = st.integers(1, 3 * SEAT_STAKE) | st.just(SEAT_STAKE)
shards = st.sampled_from((0, 1, ORACLE_SHARD))


@dataclass
class Book:
    """What the vault should know of an operator's stake."""

    stake: int = 0
    locked: int = 0
    unbonding: int = 0
    withdrawable_at: int = 0
    holds: int = 0
    delegated: int = 0
    leaving: int = 0
    ending: int = 0
    creditable: int = 0

    @property
    def own(self) -> int:
        """What the operator owns and does not thaw."""
        return max(self.stake - self.delegated - self.unbonding, 0)

    @property
    def going(self) -> int:
        return self.unbonding + min(self.leaving, self.delegated)

    @property
    def free(self) -> int:
        return max(self.stake - self.locked - self.going, 0)

    @property
    def is_covered(self) -> bool:
        needed = self.locked - self.ending
        return self.stake - self.going >= needed and self.own * 2 >= needed


@dataclass
class SeatModel:
    """An occupied slot."""

    operator: str
    from_epoch: int
    to_epoch: int = NO_END


class StakeVaultMachine(RuleBasedStateMachine):
    """Every rule acts on chain and model alike, or expects the chain to refuse."""

    @initialize()
    def deploy(self) -> None:
        self.chain = RevmChain()
        contract = self.chain.deploy
        self.token = contract("contracts/token/NesToken", OWNER, GENESIS_SUPPLY, sender=OWNER)
        parameters = contract(
            "contracts/governance/ProtocolParameters",
            astuple(QUERY_PARAMETERS),
            astuple(REQUEST_LIMITS),
            OWNER,
            OWNER,
            MAXIMUM_QUERY_SECONDS,
        )
        router = contract("contracts/verification/ProofRouter")
        registry = contract("contracts/registry/ModelRegistry", router.address)
        self.vault = contract(
            "contracts/staking/StakeVault",
            self.token.address,
            registry.address,
            parameters.address,
            EPOCH_SECONDS,
            UNBONDING_SECONDS,
            OWNER,
        )
        self.vault.set_slasher(SLASHER, sender=OWNER)
        facts = [shard.as_abi() for shard in SHARDS]
        self.version_id = registry.register(
            "", "", bytes(32), bytes(32), facts, [], 0, 0, 0, ZERO_ADDRESS, sender=OWNER
        )
        self.token.approve(self.vault.address, 2**256 - 1, sender=OWNER)
        for index, operator in enumerate(OPERATORS):
            key = PrivateKey(keccak(text=f"signer {index}"))
            vault = Address(self.vault.address)
            consent = sign_consent(key, self.chain.chain_id, vault, Address(operator))
            given = (signer_address(key), consent, b"\x01" * 32, str(index))
            self.vault.register_operator(*given, sender=operator)
        self.books = {operator: Book() for operator in OPERATORS}
        self.seats: dict[tuple[int, int], SeatModel] = {}
        self.rewards = {BENEFICIARY: 0, CREDITOR: 0}
        self.burned = 0
        self.donated = 0
        for operator in OPERATORS:
            self.deposit(operator, 3 * SEAT_STAKE)
            self.take_seat(operator, 0)

    def version(self, shard: int) -> bytes:
        return ZERO_DIGEST if shard == ORACLE_SHARD else self.version_id

    @property
    def epoch(self) -> int:
        return self.chain.timestamp // EPOCH_SECONDS

    def expect(self, allowed: bool, call, *arguments, sender: str):
        """Result of the call; it must succeed exactly when `allowed`."""
        if allowed:
            return call(*arguments, sender=sender)
        with pytest.raises(Revert, match="^vault: "):
            call(*arguments, sender=sender)
        return None

    def place_of(self, operator: str, shard: int) -> tuple[int, int] | None:
        """Where an operator sits in the version of `shard`."""
        same = (ORACLE_SHARD,) if shard == ORACLE_SHARD else (0, 1)
        places = (p for p, seat in self.seats.items() if seat.operator == operator)
        return next((place for place in places if place[0] in same), None)

    # Operators

    @rule(operator=operators, amount=amounts)
    def deposit(self, operator: str, amount: int) -> None:
        if self.books[operator].stake > 3 * SEAT_STAKE:
            return  # so that slashes reach what is locked
        self.vault.deposit_for(operator, amount, sender=OWNER)
        self.books[operator].stake += amount

    @rule(operator=operators, amount=amounts)
    def begin_unbonding(self, operator: str, amount: int) -> None:
        book = self.books[operator]
        allowed = amount <= book.free and (book.own - amount) * 2 >= book.locked
        self.expect(allowed, self.vault.begin_unbonding, amount, sender=operator)
        if allowed:
            book.unbonding += amount
            book.withdrawable_at = self.chain.timestamp + UNBONDING_SECONDS

    @rule(operator=operators, amount=amounts)
    def exit_with(self, operator: str, amount: int) -> None:
        self.begin_unbonding(operator, amount)
        self.wait(UNBONDING_SECONDS)
        self.withdraw(operator)

    @rule(operator=operators)
    def cancel_unbonding(self, operator: str) -> None:
        book = self.books[operator]
        self.expect(book.unbonding > 0, self.vault.cancel_unbonding, sender=operator)
        if book.unbonding:
            book.unbonding = book.withdrawable_at = 0

    @rule(operator=operators)
    def withdraw(self, operator: str) -> None:
        book = self.books[operator]
        ripe = self.chain.timestamp >= book.withdrawable_at
        allowed = book.unbonding > 0 and ripe and not book.holds
        paid = self.expect(allowed, self.vault.withdraw, sender=operator)
        if allowed:
            assert paid == book.unbonding
            book.stake -= book.unbonding
            book.unbonding = book.withdrawable_at = 0

    @rule(operator=operators, shard=shards)
    def take_seat(self, operator: str, shard: int) -> None:
        book = self.books[operator]
        allowed = self.place_of(operator, shard) is None and book.free >= SEAT_STAKE
        allowed = allowed and book.own * 2 >= book.locked + SEAT_STAKE
        stated = (self.version(shard), shard, ZERO_DIGEST, ZERO_DIGEST)
        slot = self.expect(allowed, self.vault.take_seat, *stated, sender=operator)
        if allowed:
            assert (shard, slot) not in self.seats
            self.seats[shard, slot] = SeatModel(operator, self.epoch + 1)
            book.locked += SEAT_STAKE

    @rule(operator=operators, shard=shards)
    def leave_seat(self, operator: str, shard: int) -> None:
        place = self.place_of(operator, shard)
        if place is None:
            self.expect(False, self.vault.leave_seat, self.version(shard), shard, 0, sender=OWNER)
            return
        seat = self.seats[place]
        allowed = seat.to_epoch == NO_END
        self.expect(allowed, self.vault.leave_seat, self.version(shard), *place, sender=operator)
        if allowed:
            seat.to_epoch = self.epoch + 1
            self.books[operator].ending += SEAT_STAKE

    @rule(operator=operators, shard=shards)
    def give_seat_up(self, operator: str, shard: int) -> None:
        self.leave_seat(operator, shard)
        self.wait(UNBONDING_SECONDS + EPOCH_SECONDS)
        self.release_seat(operator, shard)

    # Anybody

    @rule(operator=operators, shard=shards)
    def release_seat(self, operator: str, shard: int) -> None:
        place = self.place_of(operator, shard)
        if place is None:
            return
        seat, book = self.seats[place], self.books[operator]
        released_at = seat.to_epoch * EPOCH_SECONDS + UNBONDING_SECONDS
        unused = seat.from_epoch >= seat.to_epoch or self.chain.timestamp >= released_at
        allowed = unused and not book.holds
        self.expect(allowed, self.vault.release_seat, self.version(shard), *place, sender=OWNER)
        if allowed:
            del self.seats[place]
            book.locked -= SEAT_STAKE
            book.ending -= SEAT_STAKE

    @rule(operator=operators, shard=shards)
    def evict(self, operator: str, shard: int) -> None:
        place = self.place_of(operator, shard)
        if place is None:
            return
        seat, book = self.seats[place], self.books[operator]
        allowed = not book.is_covered and seat.to_epoch == NO_END
        self.expect(allowed, self.vault.evict, self.version(shard), *place, sender=OWNER)
        if allowed:
            seat.to_epoch = self.epoch + 1
            book.ending += SEAT_STAKE

    @rule(amount=amounts)
    def donate(self, amount: int) -> None:
        self.token.transfer(self.vault.address, amount, sender=OWNER)
        self.donated += amount

    @rule(seconds=st.sampled_from((1, EPOCH_SECONDS, 3 * EPOCH_SECONDS, UNBONDING_SECONDS)))
    def wait(self, seconds: int) -> None:
        self.chain.mine(seconds=seconds)

    # Court

    @rule(operator=operators, amount=amounts, owed=amounts)
    def slash(self, operator: str, amount: int, owed: int) -> None:
        book = self.books[operator]
        before = self.token.balanceOf(self.vault.address)
        given = (amount, BENEFICIARY, CREDITOR, owed)
        taken, repaid, rewarded = self.vault.slash(operator, *given, sender=SLASHER)
        assert taken == min(amount, book.stake)
        share = credited(taken, book.stake - book.delegated, book.creditable)
        assert repaid == min(owed, share)
        assert repaid + rewarded == share
        after = self.token.balanceOf(self.vault.address)
        assert before - after == taken - share
        assert after < before or taken == 0
        self.take_stake(book, taken)
        self.rewards[BENEFICIARY] += rewarded
        self.rewards[CREDITOR] += repaid
        self.burned += taken - share

    def take_stake(self, book: Book, taken: int) -> None:
        """The operator's own goes first, and of that what is free, then what thaws."""
        from_own = min(taken, book.stake - book.delegated)
        if book.delegated:
            share = credited(taken, from_own, book.creditable)
            book.creditable += from_own // 2 - share
        book.delegated -= taken - from_own
        book.stake -= taken
        unlocked = max(book.stake - book.locked, 0)
        book.unbonding = min(book.unbonding, unlocked, book.stake - book.delegated)

    @rule(operator=operators)
    def hold(self, operator: str) -> None:
        self.vault.hold(operator, sender=SLASHER)
        self.books[operator].holds += 1

    @rule(operator=operators)
    def release_hold(self, operator: str) -> None:
        book = self.books[operator]
        self.expect(book.holds > 0, self.vault.release_hold, operator, sender=SLASHER)
        book.holds -= book.holds > 0

    @rule(account=st.sampled_from((BENEFICIARY, CREDITOR)))
    def withdraw_reward(self, account: str) -> None:
        is_due = self.rewards[account] > 0
        self.expect(is_due, self.vault.withdraw_reward, account, sender=OWNER)
        self.rewards[account] = 0

    # What always holds

    @invariant()
    def balance_covers_stake_and_rewards(self) -> None:
        owed = self.vault.total_stake() + self.vault.total_rewards()
        assert self.token.balanceOf(self.vault.address) == owed + self.donated
        assert self.vault.total_stake() == sum(book.stake for book in self.books.values())
        assert self.vault.total_rewards() == sum(self.rewards.values())
        for account, amount in self.rewards.items():
            assert self.vault.rewards(account) == amount
        assert self.token.totalSupply() == GENESIS_SUPPLY - self.burned

    @invariant()
    def parts_fit_the_stake(self) -> None:
        for operator, book in self.books.items():
            ledger = self.vault.ledger(operator)
            stake, locked, unbonding, _, _ = ledger
            assert locked + unbonding <= stake or (stake < locked and unbonding == 0)
            clock = book.withdrawable_at if book.unbonding else ledger[3]
            assert ledger == (book.stake, book.locked, book.unbonding, clock, book.holds)
            backing = (book.delegated, book.leaving, book.ending, book.creditable)
            assert self.vault.backing(operator) == backing

    @invariant()
    def locks_are_those_of_the_seats(self) -> None:
        locked = dict.fromkeys(OPERATORS, 0)
        for (shard, slot), seat in self.seats.items():
            locked[seat.operator] += self.vault.seat_lock(self.version(shard), shard, slot)
            assert self.vault.seat_of(self.version(shard), seat.operator) == (shard, slot)
        for operator, amount in locked.items():
            assert self.vault.ledger(operator)[1] == amount

    @invariant()
    def counts_are_those_of_the_seats(self) -> None:
        slots = self.vault.seat_counts(self.version_id, 2)
        active = self.vault.active_counts(self.version_id, 2)
        for shard in (0, 1, ORACLE_SHARD):
            seats = {slot: seat for (at, slot), seat in self.seats.items() if at == shard}
            expected = [s for s in seats.values() if s.from_epoch <= self.epoch < s.to_epoch]
            assert active >> 24 * shard & 0xFFFFFF == len(expected)
            count = slots >> 24 * shard & 0xFFFFFF
            assert count == max(seats, default=-1) + 1
            read = self.vault.seats(self.version(shard), shard, list(range(count)))
            for slot, (operator, _, from_epoch, to_epoch) in enumerate(read):
                seat = seats.get(slot, SeatModel(NOBODY, 0, 0))
                assert to_checksum_address(operator) == seat.operator
                assert (from_epoch, to_epoch) == (seat.from_epoch, seat.to_epoch)


def test_the_vault_keeps_its_invariants() -> None:
    quick = settings(max_examples=10, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(StakeVaultMachine, settings=quick)


@pytest.mark.deep
@pytest.mark.timeout(1_800)
def test_the_vault_keeps_its_invariants_for_long() -> None:
    deep = settings(max_examples=400, stateful_step_count=100, deadline=None)
    run_state_machine_as_test(StakeVaultMachine, settings=deep)
