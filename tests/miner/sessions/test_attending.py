"""What a member remembers of its sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from nesa.chain.connection import Block
from nesa.protocol.ids import BlockNumber, Digest, QueryId, Timestamp
from nesa_miner.sessions.attending import Attending
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
