"""Members of a session that serve over HTTP from real journals and runners, and its payer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.committees import Seat
from nesa.client.shared_groups import Members, NetworkGroup, Purse
from nesa.models.runtime import ShardRunner
from nesa.privacy.envelopes import Deployment
from nesa.privacy.keys import public_bytes
from nesa.privacy.shared.groups import Spares
from nesa.privacy.shared.session import SharedModel
from nesa.privacy.shared.statements import Session
from nesa.protocol.errors import NotEntitled
from nesa.protocol.ids import (
    Address,
    Amount,
    BlockNumber,
    Digest,
    Epoch,
    QueryId,
    Timestamp,
    VersionId,
)
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Assurance, Privacy, Query
from nesa.protocol.sessions import FIRST_SESSION
from nesa.protocol.versions import ShardFacts
from nesa_miner.at_rest import AtRest
from nesa_miner.identity import Identity
from nesa_miner.journal import Journal
from nesa_miner.sessions.products import LoadedProducts
from nesa_miner.sessions.server import SessionsEndpoint
from nesa_miner.sessions.serving import SessionService
from nesa_miner.sessions.terms import Attendance
from nesa_miner.transport.http import HttpServer
from tests.privacy.shared.parties import held_products

MARKET = Deployment(31337, Address("0x" + "11" * 20))
CONTRACT = Address("0x" + "33" * 20)
SESSION = Session(31337, CONTRACT, QueryId(FIRST_SESSION + 1), Digest(b"\x22" * 32))
RULES = QueryParameters(7000, 1000, 500, 500, 8, 3, 20, 2, 60, 30, 120, 60, 20)
PRICE = Amount(100)
FAR = Timestamp(4_000_000_000)
TERMS = Query(
    SESSION.session_id,
    Address("0x" + "44" * 20),
    VersionId(keccak(text="product 0")),
    Digest(bytes(32)),
    bytes(32),
    Assurance.AGREED,
    Privacy.SHARED,
    1,
    1,
    PRICE,
    Amount(0),
    Amount(0),
    0,
    Epoch(1),
    0,
    RULES.pack(),
    Timestamp(1_000),
    FAR,
    0,
    BlockNumber(10),
)
PAYER = PrivateKey(keccak(text="payer"))
OPERATORS = tuple(Address(f"0x{number:040x}") for number in range(1, 9))


def products(count: int = 3) -> tuple[VersionId, ...]:
    """Versions of a session's products."""
    return tuple(VersionId(keccak(text=f"product {number}")) for number in range(count))


def attendance(position: int = 0, session_id: QueryId = SESSION.session_id) -> Attendance:
    """What the member at a place of the draw knows of a session."""
    payer = Address(PAYER.public_key.to_checksum_address())
    session = replace(SESSION, session_id=session_id)
    terms = replace(TERMS, query_id=session_id)
    return Attendance(session, terms, products(), payer, OPERATORS[position], position)


@dataclass(frozen=True)
class HeldProducts:
    """A library of the products of one model."""

    runners: dict[VersionId, ShardRunner]
    released: list[VersionId] = field(default_factory=list)

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, ShardRunner]:
        found = self.runners[version_id]
        return found.facts, found

    async def prover(self, version_id: VersionId, shard: int) -> None:
        raise NotImplementedError

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        self.released.append(version_id)


@dataclass
class Member:
    """One member: its keys, its journal, and what serves from them; `now` is its clock."""

    folder: Path
    model: SharedModel
    position: int
    now: list[float]
    seed: tuple[bool, BlockNumber] = (False, TERMS.seed_block)
    """Whether the hash of the seed block is kept, and the newest block."""
    journal: Journal = field(init=False)
    service: SessionService = field(init=False)

    def __post_init__(self) -> None:
        self.identity = Identity(
            PrivateKey(keccak(text=f"member {self.position}")),
            X25519PrivateKey.from_private_bytes(keccak(text=f"sealed {self.position}")),
        )
        self.open()

    def open(self) -> None:
        """Begin as after a restart."""
        path = self.folder / f"{self.position}.sqlite"
        self.journal = Journal(path, b"identity", AtRest(self.identity.encryption))
        held = HeldProducts(dict(zip(products(), held_products(self.model), strict=True)))

        async def read(session_id: QueryId, _: Address | None) -> Attendance:
            if session_id not in (SESSION.session_id, SESSION.session_id + 1):
                raise NotEntitled(f"there is no session {session_id}")
            return attendance(self.position, session_id)

        async def seed(_: Attendance) -> tuple[bool, BlockNumber]:
            return self.seed

        parts = (self.identity, MARKET, self.journal.sessions, LoadedProducts(held), read, seed)  # type: ignore[arg-type]
        self.service = SessionService(*parts, lambda: self.now[0], 60)

    def restart(self) -> None:
        """End and begin again from what is on disk."""
        self.journal.close()
        self.open()

    def seat(self, url: str) -> Seat:
        """Its seat as the draw has it."""
        key = public_bytes(self.identity.encryption)
        operator = OPERATORS[self.position]
        return Seat(self.position, operator, self.identity.address, url, key)

    async def answer(self, data: bytes) -> bytes:
        """As the newest service does."""
        return await self.service.answer(data)


@dataclass(frozen=True)
class World:
    """Members of one session, reached over HTTP."""

    members: Sequence[Member]
    reached: Members

    @property
    def purse(self) -> Purse:
        """The payer's."""
        return self.reached.purse

    def groups(self) -> tuple[NetworkGroup, NetworkGroup]:
        """Two of one member each, and the others as spares."""
        first, second, *others = [member.identity.address for member in self.members]
        spares = Spares(others)
        return (
            NetworkGroup("first", [first], spares, self.reached),
            NetworkGroup("second", [second], spares, self.reached),
        )


@asynccontextmanager
async def serving(members: Sequence[Member]) -> AsyncIterator[World]:
    """The members' servers while they run."""
    servers = [HttpServer(SessionsEndpoint(member.answer).routes()) for member in members]
    urls = [await server.start() for server in servers]
    seats = {
        member.identity.address: member.seat(url) for member, url in zip(members, urls, strict=True)
    }
    purse = Purse(PAYER, SESSION, PRICE, Amount(PRICE * len(products())))
    try:
        async with aiohttp.ClientSession() as http:
            yield World(members, Members(http, MARKET, seats, purse))
    finally:
        for server in servers:
            await server.close()
        for member in members:
            member.journal.close()
