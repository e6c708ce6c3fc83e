"""Reads a session from the chain: its terms, its draw, and the place of this miner in it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from nesa.chain.committees import Seat, drawn_members
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.events import SessionOpened
from nesa.chain.session_history import find_session, list_of
from nesa.chain.sessions import SharedSessions
from nesa.privacy.shared.statements import Session
from nesa.protocol.errors import NotEntitled, Unavailable
from nesa.protocol.ids import ZERO_DIGEST, Address, BlockNumber, QueryId, VersionId
from nesa.protocol.sessions import is_session
from nesa_miner.sessions.terms import Attendance, require_products

MOST_KNOWN: Final = 256
"""Sessions that are not read again."""

ReadAttendance = Callable[[QueryId], Awaitable[Attendance]]
"""Reads what a member knows of a session. Raises NotEntitled where it is none of its own."""

ReadSeed = Callable[[Attendance], Awaitable[tuple[bool, BlockNumber]]]
"""Reads whether the hash of a session's seed block is kept, and the newest block."""


@dataclass(slots=True)
class Attending:
    """The sessions of one signer, as the chain has them; the newest ones are remembered as long as
    their seed blocks stand."""

    connection: Connection
    signer: Address
    _known: OrderedDict[QueryId, Attendance] = field(default_factory=OrderedDict)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    async def read(self, session_id: QueryId) -> Attendance:
        """What this signer's member knows of a session.

        Raises:
            NotEntitled: there is none, the signer was not drawn for it, or its products are not one
                developer's.
            Unavailable: its seed block is not there yet, or the node does not answer.
        """
        known = self._known.get(session_id)
        if known is not None and await self._is_of_this_history(known):
            self._known.move_to_end(session_id)
            return known
        if not is_session(session_id):
            raise NotEntitled(f"{session_id} is no session")
        async with self._turn:
            found = await self._read(session_id)
        self._known[session_id] = found
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return found

    async def _is_of_this_history(self, attended: Attendance) -> bool:
        """Whether no reorganisation has changed the terms, which hold the seed block's number, and
        nothing is redeemed under others."""
        found = await self.connection.find_block(attended.terms.seed_block)
        return found is not None and found.hash == attended.session.seed

    async def seed(self, attended: Attendance) -> tuple[bool, BlockNumber]:
        """Whether the hash of the seed block is kept for good, and the newest block.

        Raises:
            Unavailable: the node does not answer.
        """
        sessions, head = SharedSessions.of(self.connection), await self.connection.head()
        kept = await sessions.pinned_seed(attended.terms.seed_block, "latest")
        return kept != ZERO_DIGEST, head.number

    async def _read(self, session_id: QueryId) -> Attendance:
        opened = await find_session(self.connection, session_id)
        if opened is None:
            raise NotEntitled(f"there is no session {session_id}")
        seed = (await self.connection.block(opened.query.seed_block)).hash
        contract = SharedSessions.of(self.connection).address
        chain_id = self.connection.deployment.chain_id
        seats = await drawn_members(
            Contracts(self.connection).vault, chain_id, contract, opened.query, seed, opened.seats
        )
        position, seat = _own_place(seats, self.signer)
        session = Session(chain_id, contract, session_id, seed)
        products = await self._products(opened)
        return Attendance(session, opened.query, products, opened.payer, seat.operator, position)

    async def _products(self, opened: SessionOpened) -> tuple[VersionId, ...]:
        listed = await list_of(self.connection, opened.products_id)
        if listed is None:
            raise Unavailable("the node does not know the products of the session (yet)")
        registry = Contracts(self.connection).registry
        developers = (registry.developer_of(one, "latest") for one in listed.version_ids)
        shards = (registry.shard_count(one, "latest") for one in listed.version_ids)
        require_products(await asyncio.gather(*developers), await asyncio.gather(*shards))
        return listed.version_ids


def _own_place(seats: tuple[Seat, ...], signer: Address) -> tuple[int, Seat]:
    for position, seat in enumerate(seats):
        if seat.signer == signer:
            return position, seat
    raise NotEntitled("this miner was not drawn for the session")
