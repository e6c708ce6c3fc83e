"""Reads a session from the chain: its terms, its draw, and the place of this miner in it.

Anybody can send an envelope that names a session, and its logs are slow to search. So what one call
of a contract answers is asked first, what was refused is remembered, and searches are counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from nesa.chain.committees import Seat, drawn_members
from nesa.chain.connection import Connection
from nesa.chain.contracts import ZERO_ADDRESS, Contracts
from nesa.chain.events import SessionOpened
from nesa.chain.session_history import find_session, list_of
from nesa.chain.sessions import SharedSessions
from nesa.privacy.shared.statements import Session
from nesa.protocol.errors import NesaError, NotEntitled, Unavailable
from nesa.protocol.ids import ZERO_DIGEST, Address, BlockNumber, Digest, QueryId, VersionId
from nesa.protocol.sessions import is_session
from nesa_miner.sessions.terms import Attendance, require_payer, require_products

MOST_KNOWN: Final = 256
"""Sessions that are not read again."""

MOST_REFUSED: Final = 1_024
"""Sessions whose refusal is remembered, the newest ones."""

REFUSED_SECONDS: Final = 60.0
"""For how long; a reorganisation may draw others."""

NO_SEED_SECONDS: Final = 1.0
"""How long the chain counts as no higher than it was when a seed block was not there yet."""

MOST_ASKED: Final = 16
"""Payers of sessions that are asked for at once; fewer than the envelopes that are held, so that
strangers do not take the places of those whose sessions are known."""

SEARCHES_A_MINUTE: Final = 240
"""Sessions of others that are looked for in the logs within a minute."""

SEARCHES_OF_ONE: Final = 60
"""The same of one payer, so that it keeps nobody else out."""

ReadAttendance = Callable[[QueryId, Address | None], Awaitable[Attendance]]
"""Reads what a member knows of a session that a sender asks about, None where the member itself
does. Raises NotEntitled where the session is none of its own, or the sender does not pay for it."""

_Kept = TypeVar("_Kept")
_Refusal: TypeAlias = tuple[float, type[NotEntitled] | type[Unavailable], str]
"""Until when it holds, and what is raised."""

ReadSeed = Callable[[Attendance], Awaitable[tuple[bool, BlockNumber]]]
"""Reads whether the hash of a session's seed block is kept, and the newest block."""


class _NoSeedYet(Unavailable):
    """Nobody is drawn for the session yet."""


@dataclass(slots=True)
class Attending:
    """The sessions of one signer, as the chain has them; the newest ones are remembered as long as
    their seed blocks stand."""

    connection: Connection
    signer: Address
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[QueryId, Attendance] = field(default_factory=OrderedDict)
    _refused: OrderedDict[QueryId, _Refusal] = field(default_factory=OrderedDict)
    _payers: OrderedDict[QueryId, tuple[float, Address]] = field(default_factory=OrderedDict)
    _asking: int = 0
    _searches: deque[tuple[float, Address]] = field(default_factory=deque)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    async def read(self, session_id: QueryId, sender: Address | None = None) -> Attendance:
        """What this signer's member knows of a session that `sender` asks about; None where the
        member itself wants to know.

        Raises:
            NotEntitled: there is none, the sender does not pay for it, the signer was not drawn for
                it, or its products are not one developer's.
            Unavailable: its seed block is not there yet, the node does not answer, or too many
                sessions were looked for within a minute.
        """
        known = self._known.get(session_id)
        asks_again = known is not None and sender in (None, known.payer)
        if known is not None and asks_again and await self._is_of_this_history(known):
            self._known.move_to_end(session_id)
            return known
        if not is_session(session_id):
            raise NotEntitled(f"{session_id} is no session")
        self._require_not_refused(session_id)
        if sender is not None:
            await self._require_payer(session_id, sender)
            self._count_search(sender)
        async with self._turn:
            found = await self._found(session_id)
        _remember(self._known, session_id, found, MOST_KNOWN)
        return found

    def _require_not_refused(self, session_id: QueryId) -> None:
        until, kind, reason = self._refused.get(session_id, (0.0, NotEntitled, ""))
        if self.clock() < until:
            raise kind(reason)

    async def _require_payer(self, session_id: QueryId, sender: Address) -> None:
        """One call a minute instead of a search, for whoever pays for nothing."""
        until, payer = self._payers.get(session_id, (0.0, ZERO_ADDRESS))
        if self.clock() >= until:
            payer = await self._payer_of(session_id)
            known_until = self.clock() + REFUSED_SECONDS
            _remember(self._payers, session_id, (known_until, payer), MOST_REFUSED)
        require_payer(payer, sender)

    async def _payer_of(self, session_id: QueryId) -> Address:
        if self._asking >= MOST_ASKED:
            raise Unavailable("too many sessions are asked about at once; ask again")
        self._asking += 1
        try:
            payer, _ = await SharedSessions.of(self.connection).payer_of(session_id, "latest")
        finally:
            self._asking -= 1
        if payer == ZERO_ADDRESS:
            raise NotEntitled(f"there is no session {session_id}")
        return payer

    def _count_search(self, sender: Address) -> None:
        now = self.clock()
        while self._searches and self._searches[0][0] <= now - 60:
            self._searches.popleft()
        own = sum(one == sender for _, one in self._searches)
        if len(self._searches) >= SEARCHES_A_MINUTE or own >= SEARCHES_OF_ONE:
            raise Unavailable("too many sessions were looked up; ask again in a minute")
        self._searches.append((now, sender))

    async def _found(self, session_id: QueryId) -> Attendance:
        try:
            return await self._read(session_id)
        except NotEntitled as error:
            self._refuse(session_id, REFUSED_SECONDS, NotEntitled, error)
            raise
        except _NoSeedYet as error:
            self._refuse(session_id, NO_SEED_SECONDS, Unavailable, error)
            raise

    def _refuse(
        self,
        session_id: QueryId,
        seconds: float,
        kind: type[NotEntitled] | type[Unavailable],
        error: NesaError,
    ) -> None:
        refusal = (self.clock() + seconds, kind, str(error))
        _remember(self._refused, session_id, refusal, MOST_REFUSED)

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
        seed = await self._seed_of(opened)
        contract = SharedSessions.of(self.connection).address
        chain_id = self.connection.deployment.chain_id
        seats = await drawn_members(
            Contracts(self.connection).vault, chain_id, contract, opened.query, seed, opened.seats
        )
        position, seat = _own_place(seats, self.signer)
        session = Session(chain_id, contract, session_id, seed)
        products = await self._products(opened)
        spares = max(0, opened.seats - 2 * opened.query.replicas)
        place = (seat.operator, position, spares)
        return Attendance(session, opened.query, products, opened.payer, *place)

    async def _seed_of(self, opened: SessionOpened) -> Digest:
        found = await self.connection.find_block(opened.query.seed_block)
        if found is None:
            raise _NoSeedYet(
                f"the session's seed is the hash of block {opened.query.seed_block}, which is not "
                "there yet; ask again"
            )
        return found.hash

    async def _products(self, opened: SessionOpened) -> tuple[VersionId, ...]:
        listed = await list_of(self.connection, opened.products_id)
        if listed is None:
            raise Unavailable("the node does not know the products of the session (yet)")
        registry = Contracts(self.connection).registry
        developers = (registry.developer_of(one, "latest") for one in listed.version_ids)
        shards = (registry.shard_count(one, "latest") for one in listed.version_ids)
        require_products(await asyncio.gather(*developers), await asyncio.gather(*shards))
        return listed.version_ids


def _remember(
    kept: OrderedDict[QueryId, _Kept], session_id: QueryId, value: _Kept, most: int
) -> None:
    """Keep a value as the newest of `most`."""
    kept[session_id] = value
    kept.move_to_end(session_id)
    if len(kept) > most:
        kept.popitem(last=False)


def _own_place(seats: tuple[Seat, ...], signer: Address) -> tuple[int, Seat]:
    for position, seat in enumerate(seats):
        if seat.signer == signer:
            return position, seat
    raise NotEntitled("this miner was not drawn for the session")
