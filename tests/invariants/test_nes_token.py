"""NES against what everybody expects of an ERC-20 with burning, minting and permits.

The properties are those of the public property suites for tokens, in words of our own: each starts
from any balances and allowances. A machine then plays all functions in any order against a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import pytest
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.deployment import GENESIS_SUPPLY
from tests.reports import keys_of, signer_address
from tests.revm import Revert, RevmChain, RevmContract

CAP: Final = 10**18
UNLIMITED: Final = 2**256 - 1
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
NOBODY: Final = "0x" + "00" * 20
PERMIT: Final = keccak(
    text="Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
TRANSFER: Final = keccak(text="Transfer(address,address,uint256)")
APPROVAL: Final = keccak(text="Approval(address,address,uint256)")

KEYS: Final = keys_of([f"holder {number}" for number in range(3)])
HOLDERS: Final = tuple(str(signer_address(key)) for key in KEYS.values())
KEY_OF: Final = dict(zip(HOLDERS, KEYS.values(), strict=True))
OWNER, MINTER = (str(to_checksum_address(keccak(text=name)[-20:])) for name in ("owner", "minter"))
EVERYBODY: Final = (*HOLDERS, OWNER, MINTER)

amounts = st.one_of(
    st.integers(0, 100),
    st.integers(0, GENESIS_SUPPLY),
    st.sampled_from([0, 1, GENESIS_SUPPLY, GENESIS_SUPPLY + 1, CAP, CAP + 1, UNLIMITED]),
    st.integers(0, UNLIMITED),
)
holders = st.sampled_from(HOLDERS)
others = st.sampled_from([*HOLDERS, NOBODY])


@dataclass
class Token:
    """NES on a chain of its own, with helpers that read everything at once."""

    chain: RevmChain = field(default_factory=RevmChain)

    def __post_init__(self) -> None:
        self.nes: RevmContract = self.chain.deploy(
            "contracts/token/NesToken", OWNER, GENESIS_SUPPLY, sender=OWNER
        )
        self.nes.set_minter(MINTER, sender=OWNER)

    def balances(self) -> dict[str, int]:
        return {account: self.nes.balanceOf(account) for account in (*EVERYBODY, NOBODY)}

    def state(self) -> tuple[Any, ...]:
        """Everything that a call could change."""
        pairs = [(a, b) for a in HOLDERS for b in HOLDERS]
        return (
            self.balances(),
            {pair: self.nes.allowance(*pair) for pair in pairs},
            {account: self.nes.nonces(account) for account in HOLDERS},
            self.nes.totalSupply(),
        )

    def events(self) -> list[tuple[bytes, str, str, int]]:
        """Kind, both accounts, and amount of the last transaction's events."""
        return [
            (
                log.topics[0],
                to_checksum_address(log.topics[1][-20:]),
                to_checksum_address(log.topics[2][-20:]),
                int.from_bytes(log.data, "big"),
            )
            for log in self.chain.logs
        ]

    @contextmanager
    def refused(self, reason: str) -> Iterator[None]:
        """What happens inside reverts so, and nothing has changed."""
        before = self.state()
        with pytest.raises(Revert) as caught:
            yield
        assert caught.value.reason == reason
        assert self.state() == before

    def give(self, account: str, amount: int) -> None:
        self.nes.transfer(account, amount, sender=OWNER)

    def permit(
        self, owner: str, spender: str, amount: int, deadline: int, /, **other: Any
    ) -> tuple[Any, ...]:
        """The arguments of a permit, signed by its owner over what `other` does not change."""
        signed = {"spender": spender, "amount": amount, "nonce": self.nes.nonces(owner)}
        signed |= {"deadline": deadline, "key": KEY_OF[owner], **other}
        types = ["bytes32", "address", "address", "uint256", "uint256", "uint256"]
        values = [owner, *(signed[name] for name in ("spender", "amount", "nonce", "deadline"))]
        digest = keccak(
            b"\x19\x01" + self.nes.DOMAIN_SEPARATOR() + keccak(encode(types, [PERMIT, *values]))
        )
        key: PrivateKey = signed["key"]
        signature = key.sign_msg_hash(digest)
        words = (signature.r.to_bytes(32, "big"), signature.s.to_bytes(32, "big"))
        return (owner, spender, amount, deadline, signature.v + 27, *words)


def properties(function: Callable[..., None]) -> Callable[..., None]:
    """Examples of one property share a chain; each begins anew."""
    return settings(max_examples=60, deadline=None)(function)


@cache
def deployed() -> Token:
    return Token()


@contextmanager
def fresh() -> Iterator[Token]:
    """The token as it was deployed."""
    with deployed().chain.anchor():
        yield deployed()


# --- Transfers ---


@properties
@given(source=holders, target=holders, held=st.integers(0, GENESIS_SUPPLY), amount=amounts)
def test_a_transfer_moves_exactly_what_it_says(source, target, held, amount):
    with fresh() as token:
        token.give(source, held)
        before = token.balances()
        if amount > held:
            with token.refused("erc20: transfer amount exceeds balance"):
                token.nes.transfer(target, amount, sender=source)
            return
        assert token.nes.transfer(target, amount, sender=source) is True
        assert token.events() == [(TRANSFER, source, target, amount)]
        expected = dict(before)
        expected[source] -= amount
        expected[target] += amount
        assert token.balances() == expected


@properties
@given(source=holders, amount=amounts)
def test_nobody_is_no_place_to_send_to(source, amount):
    with fresh() as token:
        token.give(source, GENESIS_SUPPLY)
        token.nes.approve(OWNER, UNLIMITED, sender=source)
        with token.refused("erc20: transfer to the zero address"):
            token.nes.transfer(NOBODY, amount, sender=source)
        with token.refused("erc20: transfer to the zero address"):
            token.nes.transferFrom(source, NOBODY, amount, sender=OWNER)


@properties
@given(account=holders, amount=st.integers(0, GENESIS_SUPPLY))
def test_a_transfer_to_oneself_changes_nothing(account, amount):
    with fresh() as token:
        token.give(account, amount)
        token.nes.approve(account, amount, sender=account)
        before = token.balances()
        token.nes.transfer(account, amount, sender=account)
        token.nes.transferFrom(account, account, amount, sender=account)
        assert token.balances() == before


@properties
@given(source=holders, target=holders)
def test_nothing_can_be_sent_by_anybody(source, target):
    with fresh() as token:
        before = token.state()
        assert token.nes.transfer(target, 0, sender=source) is True
        assert token.nes.transferFrom(source, target, 0, sender=target) is True
        assert token.state() == before


# --- Allowances ---


@properties
@given(owner=holders, spender=holders, first=amounts, second=amounts)
def test_an_allowance_is_the_last_one_given(owner, spender, first, second):
    with fresh() as token:
        for amount in (first, second):
            assert token.nes.approve(spender, amount, sender=owner) is True
            assert token.events() == [(APPROVAL, owner, spender, amount)]
            assert token.nes.allowance(owner, spender) == amount
        assert token.balances()[owner] == 0
        with token.refused("erc20: approve to the zero address"):
            token.nes.approve(NOBODY, first, sender=owner)


@properties
@given(
    owner=holders,
    spender=holders,
    target=holders,
    held=st.integers(0, GENESIS_SUPPLY),
    allowed=amounts,
    amount=amounts,
)
def test_an_allowance_is_spent_by_what_is_taken(owner, spender, target, held, allowed, amount):
    with fresh() as token:
        token.give(owner, held)
        token.nes.approve(spender, allowed, sender=owner)
        before = token.balances()
        if amount > allowed:
            with token.refused("erc20: insufficient allowance"):
                token.nes.transferFrom(owner, target, amount, sender=spender)
            return
        if amount > held:
            with token.refused("erc20: transfer amount exceeds balance"):
                token.nes.transferFrom(owner, target, amount, sender=spender)
            return
        assert token.nes.transferFrom(owner, target, amount, sender=spender) is True
        assert (TRANSFER, owner, target, amount) in token.events()
        left = UNLIMITED if allowed == UNLIMITED else allowed - amount
        assert token.nes.allowance(owner, spender) == left
        expected = dict(before)
        expected[owner] -= amount
        expected[target] += amount
        assert token.balances() == expected


# --- Burning and minting ---


@properties
@given(account=holders, held=st.integers(0, GENESIS_SUPPLY), amount=amounts)
def test_burning_takes_from_balance_and_supply(account, held, amount):
    with fresh() as token:
        token.give(account, held)
        if amount > held:
            with token.refused("erc20: burn amount exceeds balance"):
                token.nes.burn(amount, sender=account)
            return
        token.nes.burn(amount, sender=account)
        assert token.events() == [(TRANSFER, account, NOBODY, amount)]
        assert token.nes.balanceOf(account) == held - amount
        assert token.nes.totalSupply() == GENESIS_SUPPLY - amount


@properties
@given(owner=holders, spender=holders, allowed=amounts, amount=amounts)
def test_burning_for_another_needs_and_spends_its_allowance(owner, spender, allowed, amount):
    with fresh() as token:
        token.give(owner, GENESIS_SUPPLY)
        token.nes.approve(spender, allowed, sender=owner)
        if amount > min(allowed, GENESIS_SUPPLY):
            short = amount > allowed
            reason = "insufficient allowance" if short else "burn amount exceeds balance"
            with token.refused(f"erc20: {reason}"):
                token.nes.burn_from(owner, amount, sender=spender)
            return
        token.nes.burn_from(owner, amount, sender=spender)
        left = UNLIMITED if allowed == UNLIMITED else allowed - amount
        assert token.nes.allowance(owner, spender) == left
        assert token.nes.balanceOf(owner) == token.nes.totalSupply() == GENESIS_SUPPLY - amount


@properties
@given(account=others, amount=amounts, burned=st.integers(0, GENESIS_SUPPLY))
def test_minting_adds_up_to_the_cap(account, amount, burned):
    with fresh() as token:
        token.nes.burn(burned, sender=OWNER)
        supply = GENESIS_SUPPLY - burned
        if amount > CAP - supply:
            with token.refused("token: beyond the cap"):
                token.nes.mint(account, amount, sender=MINTER)
            return
        if account == NOBODY:
            with token.refused("erc20: mint to the zero address"):
                token.nes.mint(account, amount, sender=MINTER)
            return
        token.nes.mint(account, amount, sender=MINTER)
        assert token.events() == [(TRANSFER, NOBODY, account, amount)]
        assert token.nes.balanceOf(account) == amount
        assert token.nes.totalSupply() == supply + amount


@properties
@given(caller=st.sampled_from([*HOLDERS, OWNER, NOBODY]), amount=amounts)
def test_only_the_minter_mints(caller, amount):
    with fresh() as token, token.refused("token: not the minter"):
        token.nes.mint(caller, amount, sender=caller)


# --- Permits ---


@properties
@given(owner=holders, spender=holders, relay=holders, amount=amounts, wait=st.integers(0, 50))
def test_a_permit_is_an_approval_by_signature(owner, spender, relay, amount, wait):
    with fresh() as token:
        deadline = token.chain.timestamp + 50
        given_ = token.permit(owner, spender, amount, deadline)
        token.chain.mine(seconds=wait)
        token.nes.permit(*given_, sender=relay)
        assert token.events() == [(APPROVAL, owner, spender, amount)]
        assert token.nes.allowance(owner, spender) == amount
        assert token.nes.nonces(owner) == 1
        with token.refused("erc20: invalid signature"):
            token.nes.permit(*given_, sender=relay)


@properties
@given(
    owner=holders,
    spender=holders,
    amount=amounts,
    change=st.sampled_from(["spender", "amount", "nonce", "deadline", "key"]),
    data=st.data(),
)
def test_a_permit_for_something_else_is_refused(owner, spender, amount, change, data):
    with fresh() as token:
        deadline = token.chain.timestamp + 50
        said = {"spender": spender, "amount": amount, "nonce": 0, "deadline": deadline}
        said["key"] = KEY_OF[owner]
        strategies: dict[str, Any] = {"spender": others, "key": st.sampled_from([*KEYS.values()])}
        other = data.draw(strategies.get(change, amounts))
        assume(other != said[change])
        forged = token.permit(owner, spender, amount, deadline, **{change: other})
        with token.refused("erc20: invalid signature"):
            token.nes.permit(*forged, sender=OWNER)


@properties
@given(owner=holders, spender=holders, amount=amounts, late=st.integers(1, 2**30))
def test_a_permit_ends_with_its_deadline(owner, spender, amount, late):
    with fresh() as token:
        expired = token.permit(owner, spender, amount, token.chain.timestamp)
        token.nes.permit(*expired, sender=OWNER)
        again = token.permit(owner, spender, amount, token.chain.timestamp)
        token.chain.mine(seconds=late)
        with token.refused("erc20: expired deadline"):
            token.nes.permit(*again, sender=OWNER)


@properties
@given(owner=holders, spender=holders, amount=amounts)
def test_a_permit_has_one_signature(owner, spender, amount):
    """The other root of the curve signs nothing, nor does a signature of nobody."""
    with fresh() as token:
        *head, v, r, s = token.permit(owner, spender, amount, UNLIMITED)
        high = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
        with token.refused("ecdsa: invalid signature `s` value"):
            token.nes.permit(*head, 55 - v, r, high, sender=OWNER)
        for bad in ((v, bytes(32), s), (v + 2, r, s), (0, r, s)):
            with token.refused("ecdsa: invalid signature"):
                token.nes.permit(*head, *bad, sender=OWNER)
        zero = (NOBODY, *head[1:])
        with token.refused("ecdsa: invalid signature"):
            token.nes.permit(*zero, v, bytes(32), bytes(32), sender=OWNER)


def test_permits_hold_on_one_chain():
    elsewhere = Token(RevmChain(chain_id=1))
    permit = elsewhere.permit(HOLDERS[0], HOLDERS[1], 5, UNLIMITED)
    with fresh() as token:
        assert elsewhere.nes.address == token.nes.address
        with token.refused("erc20: invalid signature"):
            token.nes.permit(*permit, sender=OWNER)
    elsewhere.nes.permit(*permit, sender=OWNER)


# --- All of it, in any order ---


class TokenMachine(RuleBasedStateMachine):
    """NES beside a dictionary of balances and one of allowances."""

    def __init__(self) -> None:
        super().__init__()
        self.token = Token()
        self.balance = dict.fromkeys((*EVERYBODY, NOBODY), 0) | {OWNER: GENESIS_SUPPLY}
        self.allowed = {(a, b): 0 for a in EVERYBODY for b in EVERYBODY}
        self.signed = dict.fromkeys(HOLDERS, 0)

    def sends(self, works: bool, function: str, *arguments: Any, sender: str) -> None:
        """The call works or not, as the model says; `function` is one of NES."""
        with nullcontext() if works else pytest.raises(Revert):
            getattr(self.token.nes, function)(*arguments, sender=sender)

    def spends(self, owner: str, spender: str, amount: int) -> bool:
        return amount <= self.allowed[owner, spender] and amount <= self.balance[owner]

    def spent(self, owner: str, spender: str, amount: int) -> None:
        if self.allowed[owner, spender] != UNLIMITED:
            self.allowed[owner, spender] -= amount

    @rule(source=st.sampled_from(EVERYBODY), receiver=others, amount=amounts)
    def transfer(self, source: str, receiver: str, amount: int) -> None:
        works = receiver != NOBODY and amount <= self.balance[source]
        self.sends(works, "transfer", receiver, amount, sender=source)
        if works:
            self.balance[source] -= amount
            self.balance[receiver] += amount

    @rule(owner=st.sampled_from(EVERYBODY), spender=others, amount=amounts)
    def approve(self, owner: str, spender: str, amount: int) -> None:
        self.sends(spender != NOBODY, "approve", spender, amount, sender=owner)
        if spender != NOBODY:
            self.allowed[owner, spender] = amount

    @rule(
        owner=st.sampled_from(EVERYBODY),
        spender=st.sampled_from(EVERYBODY),
        receiver=others,
        amount=amounts,
    )
    def transfer_from(self, owner: str, spender: str, receiver: str, amount: int) -> None:
        works = receiver != NOBODY and self.spends(owner, spender, amount)
        self.sends(works, "transferFrom", owner, receiver, amount, sender=spender)
        if works:
            self.spent(owner, spender, amount)
            self.balance[owner] -= amount
            self.balance[receiver] += amount

    @rule(account=st.sampled_from(EVERYBODY), amount=amounts)
    def burn(self, account: str, amount: int) -> None:
        works = amount <= self.balance[account]
        self.sends(works, "burn", amount, sender=account)
        if works:
            self.balance[account] -= amount

    @rule(owner=st.sampled_from(EVERYBODY), spender=st.sampled_from(EVERYBODY), amount=amounts)
    def burn_from(self, owner: str, spender: str, amount: int) -> None:
        works = self.spends(owner, spender, amount)
        self.sends(works, "burn_from", owner, amount, sender=spender)
        if works:
            self.spent(owner, spender, amount)
            self.balance[owner] -= amount

    @rule(caller=st.sampled_from(EVERYBODY), account=others, amount=amounts)
    def mint(self, caller: str, account: str, amount: int) -> None:
        room = amount <= CAP - sum(self.balance.values())
        works = caller == MINTER and account != NOBODY and room
        self.sends(works, "mint", account, amount, sender=caller)
        if works:
            self.balance[account] += amount

    @rule(owner=holders, spender=holders, amount=amounts, late=st.booleans(), old=st.booleans())
    def permit(self, owner: str, spender: str, amount: int, late: bool, old: bool) -> None:
        deadline = self.token.chain.timestamp - (1 if late else 0)
        nonce = max(self.signed[owner] - (1 if old else 0), 0)
        works = not late and nonce == self.signed[owner]
        given_ = self.token.permit(owner, spender, amount, deadline, nonce=nonce)
        self.sends(works, "permit", *given_, sender=OWNER)
        if works:
            self.allowed[owner, spender] = amount
            self.signed[owner] += 1

    @rule(caller=st.sampled_from(EVERYBODY), minter=others)
    def set_minter(self, caller: str, minter: str) -> None:
        self.sends(False, "set_minter", minter, sender=caller)

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        assert self.token.balances() == self.balance

    @invariant()
    def allowances_and_nonces_are_those_of_the_model(self) -> None:
        nes = self.token.nes
        for pair in [(a, b) for a in HOLDERS for b in HOLDERS]:
            assert nes.allowance(*pair) == self.allowed[pair]
        assert {a: nes.nonces(a) for a in HOLDERS} == self.signed

    @invariant()
    def the_supply_is_all_that_is_held(self) -> None:
        nes = self.token.nes
        assert nes.totalSupply() == sum(self.balance.values()) <= nes.cap() == CAP
        assert nes.balanceOf(NOBODY) == 0
        assert to_checksum_address(nes.minter()) == MINTER


def play(examples: int, steps: int) -> None:
    limits = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    run_state_machine_as_test(TokenMachine, settings=limits)


def test_the_token_keeps_its_invariants() -> None:
    play(examples=50, steps=40)


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_the_token_keeps_its_invariants_for_long() -> None:
    play(examples=500, steps=200)
