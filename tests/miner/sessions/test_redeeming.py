"""Vouchers are brought to the chain when they bring more than the gas costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey
from structlog.testing import capture_logs

from nesa.chain.connection import Block
from nesa.chain.sessions import SharedSessions
from nesa.protocol.errors import NotEntitled
from nesa.protocol.ids import ZERO_DIGEST, Address, Amount, BlockNumber, Digest, QueryId, Timestamp
from nesa.protocol.sessions import Voucher, reward, voucher_hash
from nesa.protocol.signatures import sign_digest
from nesa_miner.at_rest import AtRest
from nesa_miner.journal import Journal
from nesa_miner.sessions.redeeming import PIN_GAS, REDEEM_GAS, Redeemer
from nesa_miner.sessions.terms import PIN_AFTER, Attendance, HeldVoucher

from .attended import PAYER, PRICE, SESSION, TERMS, attendance

ATTENDED = attendance()
FULL = ATTENDED.most


@dataclass
class Chain:
    """What the redeemer reads, what it sent, and what gas costs, in NES units for one."""

    head_at: Block = field(
        default_factory=lambda: Block(
            BlockNumber(20), ZERO_DIGEST, ZERO_DIGEST, Timestamp(2_000), 0
        )
    )
    paid: int = 0
    price: float = 0.0
    sent: list[str] = field(default_factory=list)
    address = Address("0x" + "55" * 20)

    async def head(self) -> Block:
        return self.head_at

    async def balance(self, _: Address) -> int:
        return 1

    async def send(self, call: str) -> None:
        self.sent.append(call)
        if call == "redeem":
            self.paid = FULL

    async def pays(self, units: int, gas: int) -> bool:
        return units > gas * self.price

    def later(self, number: int, timestamp: int) -> None:
        words = (Digest(bytes(32)), Digest(bytes(32)))
        self.head_at = Block(BlockNumber(number), *words, Timestamp(timestamp), 0)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    made = Chain()

    async def redeemed_by(*_: Any) -> int:
        return made.paid

    async def pinned_seed(*_: Any) -> Digest:
        return ZERO_DIGEST

    monkeypatch.setattr(SharedSessions, "of", lambda _: object.__new__(SharedSessions))
    monkeypatch.setattr(SharedSessions, "redeemed_by", redeemed_by)
    monkeypatch.setattr(SharedSessions, "pinned_seed", pinned_seed)
    monkeypatch.setattr(SharedSessions, "redeem", lambda *_: "redeem")
    monkeypatch.setattr(SharedSessions, "pin_seed", lambda *_: "pin")
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    key = X25519PrivateKey.from_private_bytes(bytes(32))
    made = Journal(tmp_path / "journal.sqlite", b"identity", AtRest(key))
    yield made
    made.close()


def redeemer(chain: Chain, journal: Journal, amount: Amount) -> Redeemer:
    async def read(session_id: QueryId, _: Address | None) -> Attendance:
        return attendance(session_id=session_id)

    journal.sessions.open(SESSION, Timestamp(4_100_000_000))
    journal.sessions.keep_voucher(SESSION, HeldVoucher(amount, bytes(32), bytes(32)))
    either: Any = chain
    return Redeemer(either, either, journal.sessions, read, lambda: 0.0, chain.pays)


async def test_a_full_voucher_waits_for_cheaper_gas_until_it_counts_no_more(
    chain: Chain, journal: Journal
) -> None:
    """What counts is the member's share, not the whole amount."""
    dear = reward(TERMS, FULL) / REDEEM_GAS
    made, chain.price = redeemer(chain, journal, FULL), dear
    await made.advance()
    assert chain.sent == []
    chain.later(20, ATTENDED.redeems_until)
    await made.advance()
    assert chain.sent == []
    chain.price = dear * 0.99
    await made.advance()
    assert chain.sent == ["redeem"]
    await made.advance()
    assert chain.sent == ["redeem"]


async def test_what_never_pays_for_its_gas_is_let_go(chain: Chain, journal: Journal) -> None:
    made, chain.price = redeemer(chain, journal, FULL), 1e9
    chain.later(20, ATTENDED.redeems_until + 1)
    await made.advance()
    assert chain.sent == []
    assert journal.sessions.unredeemed() == []


async def test_a_seed_is_kept_for_what_may_still_be_earned(chain: Chain, journal: Journal) -> None:
    made = redeemer(chain, journal, PRICE)
    chain.later(TERMS.seed_block + PIN_AFTER, 2_000)
    chain.price = reward(TERMS, FULL) / (REDEEM_GAS + PIN_GAS)
    await made.advance()
    assert chain.sent == []
    chain.price *= 0.99
    await made.advance()
    assert chain.sent == ["pin"]


async def test_after_a_reorganisation_a_voucher_counts_where_its_payer_still_pays(
    chain: Chain, journal: Journal
) -> None:
    """It says nothing of the seed; the session's number may be another client's, though."""
    made = redeemer(chain, journal, PRICE)
    said = voucher_hash(
        SESSION.chain_id, SESSION.contract, Voucher(SESSION.session_id, ATTENDED.operator, FULL)
    )
    others, own = (replace(SESSION, seed=Digest(bytes([one]) * 32)) for one in (0x23, 0x24))
    for session, key in ((others, PrivateKey(b"\x09" * 32)), (own, PAYER)):
        assert chain.sent == []
        journal.sessions.open(session, Timestamp(4_100_000_000))
        journal.sessions.keep_voucher(session, HeldVoucher(FULL, *sign_digest(key, said)))
        await made.advance()
    assert chain.sent == ["redeem"]
    await made.advance()
    assert [account.seed for account in journal.sessions.unredeemed()] == [others.seed]


async def test_why_a_voucher_waits_is_told_once(chain: Chain, journal: Journal) -> None:
    """It is looked after every two seconds, for as long as the journal keeps it."""
    made, gone = redeemer(chain, journal, FULL), [True, True, False, True, True]

    async def read(session_id: QueryId, _: Address | None) -> Attendance:
        if gone.pop(0):
            raise NotEntitled(f"there is no session {session_id}")
        return attendance(session_id=session_id)

    made, chain.price = replace(made, attendance=read), 1e9
    with capture_logs() as logs:
        while gone:
            await made.advance()
    told = [one["reason"] for one in logs if one["event"] == "voucher waits"]
    assert told == [f"there is no session {SESSION.session_id}"] * 2, "again once it was better"
    journal.sessions.prune(Timestamp(4_200_000_000))
    await made.advance()
    assert not made._told
