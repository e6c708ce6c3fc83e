"""What a client checks of a session before a share leaves, and what it owes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from eth_keys.datatypes import PrivateKey

from nesa.chain.committees import Seat
from nesa.chain.events import LogKey, SessionOpened
from nesa.client import shared_groups, sharing
from nesa.client.shared_draws import require_apart
from nesa.client.shared_groups import Members, Purse
from nesa.client.sharing import SharedPublicModel, SharedSession
from nesa.privacy.envelopes import Deployment
from nesa.privacy.keys import generate_key, public_bytes
from nesa.privacy.shared.evidence import decode_share_evidence
from nesa.privacy.shared.groups import MemoryGroup
from nesa.privacy.shared.members import GroupMember
from nesa.privacy.shared.wire import decode_request
from nesa.protocol.errors import InvalidInput, InvalidModel, InvalidTensor, WrongShare
from nesa.protocol.ids import Address, Amount, BlockNumber, Digest
from tests.miner.sessions.attended import OPERATORS, PRICE, SESSION, TERMS
from tests.privacy.shared.parties import SESSION as PLACE
from tests.privacy.shared.parties import Answer, Group, off_by_one

PUBLIC = Path(__file__).parents[2] / "models" / "breast-cancer-mlp"
WORD = Digest(bytes(32))
KEY = PrivateKey(b"\x01" * 32)
PAYER = Address(KEY.public_key.to_checksum_address())
OPENED = SessionOpened(
    LogKey(BlockNumber(1), 0, WORD, WORD), TERMS.query_id, TERMS.requester, WORD, TERMS, PAYER, 3
)
SEATS = tuple(
    Seat(place, OPERATORS[place], OPERATORS[place + 4], f"http://127.0.0.1:{place}", bytes(32))
    for place in range(3)
)


def test_whoever_is_drawn_twice_ends_it_before_a_share_leaves() -> None:
    require_apart(SEATS, OPENED)
    with pytest.raises(InvalidInput, match="only 2 of 3 seats"):
        require_apart(SEATS[:2], OPENED)
    with pytest.raises(InvalidInput, match="drew one operator twice"):
        require_apart((*SEATS[:2], replace(SEATS[2], operator=OPERATORS[0])), OPENED)
    with pytest.raises(InvalidInput, match="drew one signer twice"):
        require_apart((*SEATS[:2], replace(SEATS[2], signer=OPERATORS[4])), OPENED)


def test_a_purse_never_owes_more_than_all_products() -> None:
    purse = Purse(KEY, SESSION, PRICE, Amount(2 * PRICE))
    assert purse.voucher(OPERATORS[0])[0] == 0
    assert purse.is_settled(OPERATORS[0])
    for _ in range(3):
        purse.settle(OPERATORS[0])
    assert purse.voucher(OPERATORS[0])[0] == 2 * PRICE
    assert not purse.is_settled(OPERATORS[0])
    purse.told(OPERATORS[0], Amount(2 * PRICE))
    assert purse.is_settled(OPERATORS[0])
    assert purse.spent == 2 * PRICE


def test_a_model_whose_shares_are_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedPublicModel.read(PUBLIC)
    with pytest.raises(InvalidTensor):
        shared.encoded([1.0])
    monkeypatch.setattr(sharing, "MAX_SHARE_BYTES", 100)
    with pytest.raises(InvalidModel, match="compile it for shorter inputs"):
        SharedPublicModel.read(PUBLIC)


@pytest.fixture
async def silent() -> AsyncIterator[Members]:
    """Members that take a connection and say nothing, each of whom is owed a product."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    key = public_bytes(generate_key())
    purse = Purse(KEY, SESSION, PRICE, PRICE)
    seats = {}
    for seat in SEATS:
        endpoint = f"http://127.0.0.1:{port}"
        seats[seat.signer] = replace(seat, endpoint=endpoint, encryption_key=key)
        purse.settle(seat.operator)
    async with server, aiohttp.ClientSession() as http:
        yield Members(http, Deployment(SESSION.chain_id, SESSION.contract), seats, purse)


async def test_members_that_say_nothing_do_not_hold_up_a_session(
    silent: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one whose reply is still on its way: the session's end gives it up."""
    monkeypatch.setattr(shared_groups, "PAYING_SECONDS", 0.2)
    given_up = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    silent.late.follow(SEATS[0].signer, never())
    async with asyncio.timeout(60):
        assert await silent.pay(0.2) == tuple(silent.seats)
        assert not given_up.is_set()
        await silent.leave()
    assert given_up.is_set()


class OneStandsIn(MemoryGroup):
    """A group of one, in which another stands in once."""

    def __init__(self, name: str, liar: Group, spare: Group) -> None:
        super().__init__(name, {**liar.answers, **spare.answers})
        self.members, self._spare, self.at_once = tuple(liar.answers), tuple(spare.answers), 1

    def replace(self, failed: Collection[Address]) -> bool:
        found, self.members = self.members != self._spare, self._spare
        return found


class InMemory:
    """Members of two groups in this process. Whoever is late for the last product answers when it
    is paid, or not before the session is left."""

    def __init__(self, groups: tuple[MemoryGroup, MemoryGroup], open_: asyncio.Event) -> None:
        self.groups, self.open, self.seats = groups, open_, ()
        self.purse = SimpleNamespace(session=PLACE, price=PRICE, spent=PRICE)
        self.opens_when_paid, self.unpaid = True, tuple[Address, ...]()

    async def pay(self, seconds: float) -> tuple[Address, ...]:
        if self.opens_when_paid:
            await self.leave()
        return self.unpaid

    async def leave(self) -> None:
        self.open.set()
        for group in self.groups:
            for member in group.members:
                await group.late.arrived(member)


def in_memory(
    shared: SharedPublicModel, first: MemoryGroup, second: MemoryGroup, members: Any = None
) -> SharedSession:
    """A session on groups in this process."""
    members = members or SimpleNamespace(purse=SimpleNamespace(session=PLACE))
    drawn = SimpleNamespace(first=first, second=second, members=members)
    listed = SimpleNamespace(version_ids=shared.model.roots)
    opening = SimpleNamespace(opened=SimpleNamespace(session_id=1, seats=2), gas=0)
    return SharedSession(shared, cast(Any, listed), cast(Any, opening), cast(Any, drawn))


def signers(found: Mapping[str, bytes]) -> dict[Address, bool]:
    """Who is convicted, and whether the share was discarded."""
    kept = map(decode_share_evidence, found.values())
    return {one.statement.signer: one.is_discarded for one in kept}


class LateForTheLast(MemoryGroup):
    """A group of which one member answers about the last product only once it may."""

    def __init__(self, group: Group, late: Address, may: asyncio.Event) -> None:
        super().__init__(group.name, group.answers)
        self._late, self._may, self._last = late, may, len(group.model.plan.products) - 1

    async def ask(self, member: Address, request: bytes) -> bytes:
        if member == self._late and decode_request(request).number == self._last:
            await self._may.wait()
        return await super().ask(member, request)


@pytest.mark.parametrize("while_paying", [True, False])
async def test_a_lie_that_comes_late_is_named_and_kept(while_paying: bool) -> None:
    shared, may = SharedPublicModel.read(PUBLIC), asyncio.Event()
    first, second = Group("first", shared.model, 1), Group("second", shared.model, 11, 4)
    last = len(shared.model.plan.products) - 1

    def lies_at_last(member: GroupMember, key: PrivateKey) -> Answer:
        lie = off_by_one(shared.model)(member, key)
        return lambda data: (lie if decode_request(data).number == last else member.answer)(data)

    liar = second.replace(0, lies_at_last)
    groups = first.transport, LateForTheLast(second, liar, may)
    members = InMemory(groups, may)
    members.opens_when_paid = while_paying
    session = in_memory(shared, *groups, members)
    result = await session.ask([one.offset + one.step for one in shared.card.features])
    assert (liar in result.refused) is while_paying
    await members.leave()
    members.purse.spent, members.unpaid = 2 * PRICE, (liar,)
    whole = session.with_late(result)
    assert (whole.spent, whole.unpaid) == (2 * PRICE, (liar,))
    assert whole.refused == {liar: "signed other sums than the quorum"}
    assert set(signers(whole.evidence)) == {liar}
    (name,) = whole.evidence
    assert name.endswith(f"-{liar}.cbor"), "not a part of it, on which colluding ones could agree"


async def test_what_a_member_signed_is_kept_however_the_query_ends() -> None:
    """A liar of the first group is replaced; then nobody stands in in the second, or it is slow."""
    shared = SharedPublicModel.read(PUBLIC)
    first, spare, second = (Group("group", shared.model, 10 * place + 1) for place in range(3))
    liar = first.replace(0, off_by_one(shared.model))
    features = [one.offset + one.step for one in shared.card.features]

    def session_of(last: MemoryGroup) -> SharedSession:
        return in_memory(shared, OneStandsIn("first", first, spare), last)

    class Slow(MemoryGroup):
        async def ask(self, member: Address, request: bytes) -> bytes:
            query.cancel()
            await asyncio.Event().wait()
            raise AssertionError

    session = session_of(Slow("second", second.answers))
    query = asyncio.ensure_future(session.ask(features))
    with pytest.raises(asyncio.CancelledError):
        await query
    assert signers(session.evidence()) == {liar: True}
    other = second.replace(0, off_by_one(shared.model))
    with pytest.raises(WrongShare) as caught:
        await session_of(second.transport).ask(features)
    assert signers(caught.value.evidence) == {liar: True, other: False}
