"""What a member remembers of its sessions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nesa.chain.connection import Block
from nesa.chain.events import LogKey, SessionOpened
from nesa.chain.sessions import SharedSessions
from nesa.protocol.errors import NotEntitled, Unavailable
from nesa.protocol.ids import Address, BlockNumber, Digest, QueryId, Timestamp
from nesa_miner.sessions.attending import (
    MOST_ASKED,
    NO_SEED_SECONDS,
    REFUSED_SECONDS,
    SEARCHES_A_MINUTE,
    SEARCHES_OF_ONE,
    Attending,
)
from nesa_miner.sessions.server import MOST_HELD
from nesa_miner.sessions.terms import Attendance

from .attended import OPERATORS, SESSION, TERMS, attendance

OTHER = Digest(b"\x23" * 32)


@dataclass
class History:
    """A chain of which only the seed block is asked for."""

    seed: Digest

    async def find_block(self, at: BlockNumber) -> Block:
        return Block(at, self.seed, Digest(bytes(32)), Timestamp(0), 0)


async def test_a_session_is_read_again_when_its_seed_block_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under the terms of a history that is gone nothing could be redeemed."""
    chain, read = History(SESSION.seed), 0

    async def _read(_: Attending, session_id: QueryId) -> Attendance:
        nonlocal read
        read += 1
        found = attendance(session_id=session_id)
        return replace(found, session=replace(found.session, seed=chain.seed))

    monkeypatch.setattr(Attending, "_read", _read)
    connection: Any = chain
    attending = Attending(connection, OPERATORS[0])
    first = await attending.read(TERMS.query_id)
    assert await attending.read(TERMS.query_id) is first
    chain.seed = OTHER
    assert (await attending.read(TERMS.query_id)).session.seed == OTHER
    assert read == 2


PAYER = attendance().payer
NOBODY = Address("0x" + "00" * 20)


@dataclass
class Searched:
    """Sessions that only one call or a search finds; both are counted."""

    payers: dict[QueryId, Address]
    drawn: set[QueryId]
    calls: int = 0
    searches: int = 0
    now: float = 1_000.0

    def attending(self, monkeypatch: pytest.MonkeyPatch) -> Attending:
        async def payer_of(_: SharedSessions, session_id: QueryId, __: str) -> tuple[Address, int]:
            self.calls += 1
            return self.payers.get(session_id, NOBODY), 4

        async def _read(_: Attending, session_id: QueryId) -> Attendance:
            self.searches += 1
            if session_id not in self.drawn:
                raise NotEntitled("this miner was not drawn for the session")
            return attendance(session_id=session_id)

        monkeypatch.setattr(SharedSessions, "of", lambda _: object.__new__(SharedSessions))
        monkeypatch.setattr(SharedSessions, "payer_of", payer_of)
        monkeypatch.setattr(Attending, "_read", _read)
        connection: Any = History(SESSION.seed)
        return Attending(connection, OPERATORS[0], clock=lambda: self.now)


async def test_logs_are_searched_for_who_pays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Searched({SESSION.session_id: PAYER}, {SESSION.session_id})
    attending = chain.attending(monkeypatch)
    with pytest.raises(NotEntitled, match="only the payer"):
        await attending.read(SESSION.session_id, OPERATORS[1])
    with pytest.raises(NotEntitled, match="there is no session"):
        await attending.read(QueryId(SESSION.session_id + 1), PAYER)
    assert (chain.calls, chain.searches) == (2, 0)
    assert (await attending.read(SESSION.session_id, PAYER)).payer == PAYER
    assert chain.searches == 1


async def test_a_refusal_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Searched({SESSION.session_id: PAYER}, set())
    attending = chain.attending(monkeypatch)
    for _ in range(3):
        with pytest.raises(NotEntitled, match="not drawn"):
            await attending.read(SESSION.session_id, PAYER)
    assert (chain.calls, chain.searches) == (1, 1)
    chain.now += REFUSED_SECONDS
    chain.drawn.add(SESSION.session_id)
    assert (await attending.read(SESSION.session_id, PAYER)).payer == PAYER


async def test_a_seed_block_that_is_not_there_is_looked_for_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A payer repeats its envelopes for as long as the block does not come."""
    looked, now, key = 0, [0.0], LogKey(BlockNumber(9), 0, OTHER, OTHER)

    async def find_session(*_: object) -> SessionOpened:
        nonlocal looked
        looked += 1
        return SessionOpened(key, SESSION.session_id, PAYER, OTHER, TERMS, PAYER, 4)

    class Early:
        async def find_block(self, _: BlockNumber) -> Block | None:
            return None

    monkeypatch.setattr("nesa_miner.sessions.attending.find_session", find_session)
    connection: Any = Early()
    attending = Attending(connection, OPERATORS[0], clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(Unavailable, match="not there yet"):
            await attending.read(SESSION.session_id)
    assert looked == 1
    now[0] += NO_SEED_SECONDS
    with pytest.raises(Unavailable, match="not there yet"):
        await attending.read(SESSION.session_id)
    assert looked == 2


async def test_strangers_cost_one_call_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is no secret, and accounts are for nothing."""
    chain = Searched({SESSION.session_id: PAYER}, {SESSION.session_id})
    attending = chain.attending(monkeypatch)
    for stranger in OPERATORS:
        with pytest.raises(NotEntitled, match="only the payer"):
            await attending.read(SESSION.session_id, stranger)
    assert (await attending.read(SESSION.session_id, PAYER)).payer == PAYER
    assert (chain.calls, chain.searches) == (1, 1)


async def test_strangers_leave_places_to_those_whose_session_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain, going = Searched({SESSION.session_id: PAYER}, {SESSION.session_id}), asyncio.Event()
    attending = chain.attending(monkeypatch)
    await attending.read(SESSION.session_id, PAYER)

    async def slow(*_: object) -> tuple[Address, int]:
        await going.wait()
        return NOBODY, 0

    monkeypatch.setattr(SharedSessions, "payer_of", slow)
    invented = [QueryId(SESSION.session_id + one) for one in range(1, MOST_ASKED + 1)]
    waiting = [asyncio.create_task(attending.read(one, OPERATORS[0])) for one in invented]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="at once"):
        await attending.read(QueryId(SESSION.session_id + MOST_ASKED + 1), OPERATORS[0])
    assert (await attending.read(SESSION.session_id, PAYER)).payer == PAYER
    going.set()
    refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, NotEntitled) for error in refused)
    assert MOST_ASKED < MOST_HELD


async def test_searches_of_others_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the miner itself are not: its vouchers are at stake."""
    sessions = [QueryId(SESSION.session_id + one) for one in range(SEARCHES_A_MINUTE + 2)]
    payers = {one: Address(f"0x{place // 20:040x}") for place, one in enumerate(sessions, 20)}
    chain = Searched(payers, set(sessions))
    attending = chain.attending(monkeypatch)
    *first, last, own = sessions
    for session_id in first:
        await attending.read(session_id, payers[session_id])
    with pytest.raises(Unavailable, match="in a minute"):
        await attending.read(last, payers[last])
    await attending.read(own)
    chain.now += 60
    await attending.read(last, payers[last])


async def test_no_payer_keeps_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = [QueryId(SESSION.session_id + one) for one in range(SEARCHES_OF_ONE + 2)]
    *own, last, others = sessions
    chain = Searched({**dict.fromkeys(sessions, PAYER), others: OPERATORS[3]}, set(sessions))
    attending = chain.attending(monkeypatch)
    for session_id in own:
        await attending.read(session_id, PAYER)
    with pytest.raises(Unavailable, match="in a minute"):
        await attending.read(last, PAYER)
    await attending.read(others, OPERATORS[3])
