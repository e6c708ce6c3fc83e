"""A member sues who signed another output: within its bonds, once, also after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.abi import ContractCall
from nesa.chain.connection import Block
from nesa.chain.contracts import Market, Token
from nesa.chain.court import Court
from nesa.chain.disputes import Challenge, Ending, ShownVersion
from nesa.chain.docket import EMPTY, Docket, FollowedChallenge
from nesa.models.disputes.parties import Defender
from nesa.models.disputes.traces import Charge
from nesa.models.folder import load
from nesa.models.judging import Witness
from nesa.protocol.commitments import ShardContext
from nesa.protocol.ids import (
    ONE_NES,
    Address,
    Amount,
    BlockNumber,
    Digest,
    QueryId,
    Seconds,
    Timestamp,
)
from nesa.protocol.outcomes import suing_ends
from nesa.protocol.queries import encode_query
from nesa.protocol.statements import Statement, encode_statement
from nesa_miner.at_rest import AtRest
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.inputs import Recomputed
from nesa_miner.disputes.suing import Suits
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal
from tests.miner.committee_network import DEPLOYMENT, MODEL, open_request
from tests.miner.disputes.memory_court import CLIENT, COURT
from tests.reports import Work, keys_of, signer_address, statement_of

MODEL_FILES = load(MODEL)
REQUEST = open_request(MODEL_FILES, 3)
QUERY = replace(REQUEST.query, seed_block=BlockNumber(100))
TRUTH = Witness.of_shard(MODEL_FILES.table, 0, (REQUEST.input,))
RIGHT = Digest(Defender(TRUTH, 0).charge.out_digest)
WRONG = Digest(keccak(text="a lie"))
SEED = Digest(keccak(text="seed"))
MEMBERS = tuple(keys_of([f"member {place}" for place in range(4)]).values())
ME, LIAR, OTHER_LIAR = (signer_address(MEMBERS[place]) for place in (0, 2, 3))
VERSION = ShownVersion(CLIENT, TRUTH.rows.root, Digest(bytes(32)), Digest(bytes(32)))
STAKE = 1_000 * ONE_NES
BOND = STAKE // 10


def said(place: int, out_digest: Digest = WRONG) -> Statement:
    context = ShardContext(
        DEPLOYMENT.chain_id, DEPLOYMENT.market, QueryId(QUERY.query_id), 0, SEED, 0
    )
    work = Work(context, MEMBERS, QUERY.input_digest, out_digest)
    return statement_of(work, place, work.commitments())


class MemoryCourtReads(Court):
    """Builds the calls of a court and knows whom it convicted."""

    convicted: tuple[Address, ...] = ()

    async def is_convicted(self, *place: Any) -> bool:
        return place[2] in self.convicted


@dataclass
class MemoryRoom:
    """The way of one account to a court and what it asks of the chain; `sent` are its calls."""

    number: int = 101
    now: int = int(QUERY.opened_at)
    balance: int = 10 * BOND
    is_answered: bool = False
    pinned: list[int] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    announced: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nobody = cast(Any, None)
        self.court = MemoryCourtReads(nobody, COURT)
        self.market, self.token = Market(nobody, COURT), Token(nobody, COURT)
        self.sender = SimpleNamespace(address=ME)
        self.connection = SimpleNamespace(head=self.head)
        parameters = SimpleNamespace(request_limits=self.limits)
        token = SimpleNamespace(
            balance_of=self.balance_of, allowance=self.nothing, approve=self.token.approve
        )
        market = SimpleNamespace(pinned_seed=self.pinned_seed, pin_seed=self.market.pin_seed)
        self.contracts = SimpleNamespace(parameters=parameters, token=token, market=market)

    async def head(self) -> Block:
        zero = Digest(bytes(32))
        return Block(BlockNumber(self.number), zero, zero, Timestamp(self.now), 1)

    async def limits(self, _: Any) -> Any:
        return SimpleNamespace(seat_stake=STAKE, challenger_bond_bps=1_000)

    async def balance_of(self, *_: Any) -> int:
        return self.balance

    async def nothing(self, *_: Any) -> int:
        return 0

    async def pinned_seed(self, seed_block: int, _: Any) -> Any:
        return SEED if seed_block in self.pinned else None

    async def history(self, _: QueryId) -> Any:
        return SimpleNamespace(query=QUERY, fulfilled="answer" if self.is_answered else None)

    async def has_announced(self, evidence: Digest) -> bool:
        if evidence not in self.announced:
            self.sent.append("announce")
        return self.announced.setdefault(evidence, self.number) < self.number

    async def send(self, call: ContractCall) -> None:
        self.sent.append(call.label.partition(".")[2])


@dataclass
class Accuser:
    """Suits over a journal that survives `restart`."""

    folder: Path
    room: MemoryRoom = field(default_factory=MemoryRoom)
    bonds: int = 10 * BOND
    computes: Witness = TRUTH
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    time: float = 0.0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        at_rest = AtRest(X25519PrivateKey.from_private_bytes(bytes(range(32))))
        self.journal = Journal(self.folder / "journal.sqlite", b"identity", at_rest)
        room = cast(Courtroom, self.room)
        self.suits = Suits(
            room,
            self.journal,
            self.show,
            self.recompute,
            Bonds(room, Amount(self.bonds), "max_bonds"),
            self.spawn,
            lambda: self.time,
        )
        self.suits.reload()

    def restart(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.journal.close()
        self.start()

    async def show(self, _: Any) -> ShownVersion:
        return VERSION

    async def recompute(self, _: QueryId, __: Charge) -> Recomputed:
        return Recomputed(self.computes)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def hears(self, *statements: Statement) -> None:
        """What the agreement hands out, in one transaction."""
        key = JobKey((QUERY.query_id, QUERY.attempt))
        self.journal.add_job(key, b"log", encode_query(QUERY), b"")
        for one in statements:
            self.journal.keep_statement(key, one.signer, encode_statement(one))
            self.suits.add(QUERY, one)

    async def block(self, docket: Docket = EMPTY, seconds: float = 60.0) -> None:
        """A block later everything that is due has been tried."""
        self.room.number += 1
        self.time += seconds
        self.suits.advance(docket)
        while self.tasks:
            await asyncio.gather(*self.tasks)


def brought(signer: Address, challenger: Address, ending: Ending | None = None) -> Docket:
    charge = Charge(VERSION.operators_root, 0, 2, QUERY.input_digest, WRONG)
    challenge = Challenge(
        1, challenger, QueryId(QUERY.query_id), CLIENT, charge, (signer,), Amount(STAKE),
        Amount(BOND), Amount(1), Timestamp(0), Seconds(1), signer,
    )  # fmt: skip
    return {1: FollowedChallenge(challenge, {}, ending)}


@pytest.fixture
def accuser(tmp_path: Path) -> Accuser:
    return Accuser(tmp_path)


async def test_a_liar_is_announced_in_one_block_and_sued_in_the_next(accuser: Accuser) -> None:
    accuser.hears(said(2))
    await accuser.block()
    assert accuser.room.sent == ["announce"]
    await accuser.block()
    assert accuser.room.sent == ["announce", "approve", "sue"]
    await accuser.block()
    assert accuser.room.sent.count("sue") == 1


async def test_a_suit_is_remembered_until_the_chain_tells_of_it(accuser: Accuser) -> None:
    accuser.hears(said(2), said(3))
    await accuser.block()
    accuser.restart()
    assert {dispute.accused for dispute in accuser.suits.open} == {LIAR, OTHER_LIAR}
    await accuser.block()
    assert accuser.room.sent.count("sue") == 2
    await accuser.block(brought(LIAR, ME))
    accuser.restart()
    assert {dispute.accused for dispute in accuser.suits.open} == {OTHER_LIAR}


async def test_what_fell_in_another_suit_is_let_go_and_what_is_only_sued_is_not(
    accuser: Accuser,
) -> None:
    """Somebody else's suit may be a sham."""
    accuser.hears(said(2), said(3))
    await accuser.block(brought(LIAR, CLIENT))
    assert len(accuser.suits.open) == 2
    await accuser.block(brought(LIAR, CLIENT, Ending.STANDING))
    assert len(accuser.suits.open) == 2
    await accuser.block(brought(LIAR, CLIENT, Ending.FALLEN))
    assert {dispute.accused for dispute in accuser.suits.open} == {OTHER_LIAR}


async def test_no_more_is_in_bonds_than_the_operator_allows(tmp_path: Path) -> None:
    accuser = Accuser(tmp_path, bonds=BOND)
    accuser.hears(said(2), said(3))
    for _ in range(4):
        await accuser.block()
    assert accuser.room.sent.count("sue") == 1
    await accuser.block(brought(LIAR, ME))
    assert accuser.room.sent.count("sue") == 1
    await accuser.block(brought(LIAR, ME, Ending.FALLEN))
    await accuser.block(brought(LIAR, ME, Ending.FALLEN))
    assert accuser.room.sent.count("sue") == 2


async def test_a_poor_signer_sues_once_it_has_the_bond(tmp_path: Path) -> None:
    accuser = Accuser(tmp_path, MemoryRoom(balance=BOND - 1))
    accuser.hears(said(2))
    await accuser.block()
    assert accuser.room.sent == []
    accuser.room.balance = BOND
    await accuser.block()
    await accuser.block()
    assert accuser.room.sent[-1] == "sue"


async def test_who_is_wrong_itself_sues_nobody(accuser: Accuser) -> None:
    """The runner erred and the table agrees with the other side."""
    accuser.hears(said(2, RIGHT))
    await accuser.block()
    assert accuser.room.sent == []
    assert accuser.suits.open == {}
    assert accuser.journal.statements() == []


@pytest.mark.parametrize("why", ["answered", "late", "convicted"])
async def test_what_the_court_would_not_take_is_let_go(accuser: Accuser, why: str) -> None:
    accuser.hears(said(2))
    accuser.room.is_answered = why == "answered"
    accuser.room.court.convicted = (LIAR,) if why == "convicted" else ()
    if why == "late":
        accuser.room.now = suing_ends(QUERY) + 1
    await accuser.block()
    assert accuser.room.sent == []
    assert accuser.journal.statements() == []


async def test_an_old_seed_is_pinned_before_it_is_forgotten(accuser: Accuser) -> None:
    accuser.hears(said(2))
    accuser.room.number = QUERY.seed_block + 100
    await accuser.block()
    assert accuser.room.sent == ["pin_seed", "announce"]
    accuser.room.pinned = [QUERY.seed_block]
    await accuser.block()
    assert accuser.room.sent == ["pin_seed", "announce", "approve", "sue"]
