"""Sues members of a split committee: whoever signed another output than this miner computed.

What was signed is in the journal until a suit is open, or nothing can be sued any more. That a suit
is open is known from the chain alone, so a kill costs time and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from nesa.chain.court import Suit
from nesa.chain.disputes import Dispute, ShownVersion
from nesa.models.disputes.parties import Defender
from nesa.models.disputes.traces import Charge
from nesa.protocol.errors import ExhaustedResource, NesaError
from nesa.protocol.ids import ONE_NES, Amount, BlockNumber, QueryId
from nesa.protocol.outcomes import suing_ends
from nesa.protocol.parameters import BPS
from nesa.protocol.queries import Query, decode_query
from nesa.protocol.statements import Statement, decode_statement
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.docket import Docket, bonds_of, is_brought
from nesa_miner.disputes.inputs import Recomputed
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal
from nesa_miner.log_format import origin_of
from nesa_miner.tasks import Spawn

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
HASH_BLOCKS: Final = 256
"""Blocks whose hash the chain remembers."""

PIN_AFTER: Final = 64
"""Blocks after which a seed is pinned rather than trusted to be there for the suit."""

log = structlog.get_logger("nesa_miner")

ShowVersion = Callable[[Query], Awaitable[ShownVersion]]
"""What the version of a query is the hash of."""

Recompute = Callable[[QueryId, Charge], Awaitable[Recomputed]]
"""What a shard of a query gives by the definition of its table."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A statement against this miner's own result, and the terms of the attempt that it is of."""

    attempted: Query
    statement: Statement

    @property
    def dispute(self) -> Dispute:
        """What a suit of it would be part of."""
        context = self.statement.reveal.context
        return Dispute(context.query_id, context.shard, self.statement.signer)

    @property
    def key(self) -> JobKey:
        """The attempt."""
        return JobKey((self.attempted.query_id, self.attempted.attempt))


class NothingToSue(NesaError):
    """The court would not take a suit of this statement, now or later."""


@dataclass(slots=True)
class Suits:
    """Opens suits, one at a time, as long as no more than `bonds` NES units are in bonds."""

    room: Courtroom
    journal: Journal
    show_version: ShowVersion
    recompute: Recompute
    bonds: Amount
    spawn: Spawn
    clock: Callable[[], float]
    open: dict[Dispute, Ground] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _wrong: set[Dispute] = field(default_factory=set)
    _on_the_way: dict[Dispute, Amount] = field(default_factory=dict)
    _busy: set[Dispute] = field(default_factory=set)
    _pauses: dict[Dispute, float] = field(default_factory=dict)
    _retry_at: dict[Dispute, float] = field(default_factory=dict)

    def reload(self) -> None:
        """Take up what the journal holds."""
        for query, body in self.journal.statements():
            self.add(decode_query(query), decode_statement(body))

    def add(self, attempted: Query, statement: Statement) -> None:
        """Take up what a member signed in an attempt; it has been checked and is stored."""
        ground = Ground(attempted, statement)
        self.open.setdefault(ground.dispute, ground)

    def advance(self, docket: Docket) -> None:
        """Try everything that is due, and let go of what is brought to the court."""
        for dispute, ground in list(self.open.items()):
            if is_brought(docket, dispute, self.room.sender.address):
                self._drop(ground)
            elif dispute not in self._busy and self._retry_at.get(dispute, 0.0) <= self.clock():
                self._busy.add(dispute)
                self.spawn(self._try(ground, docket))

    def _drop(self, ground: Ground) -> None:
        self.journal.drop_statement(ground.key, ground.statement.signer)
        self._wrong.discard(ground.dispute)
        for kept in (self.open, self._on_the_way, self._pauses, self._retry_at):
            kept.pop(ground.dispute, None)

    async def _try(self, ground: Ground, docket: Docket) -> None:
        """One try. The next comes after a growing pause."""
        dispute = ground.dispute
        pause = min(2 * self._pauses.get(dispute, FIRST_PAUSE / 2), LONGEST_PAUSE)
        try:
            if not await self._sue(ground, docket):
                pause = FIRST_PAUSE
        except NothingToSue as error:
            log.info("nothing to sue", **dispute._asdict(), reason=str(error))
            self._drop(ground)
        except NesaError as error:
            log.warning("not sued", **dispute._asdict(), reason=str(error), seconds=pause)
        except Exception as error:
            log.error("not sued", **dispute._asdict(), **origin_of(error))
        finally:
            self._busy.discard(dispute)
            if dispute in self.open:
                self._pauses[dispute] = pause
                self._retry_at[dispute] = self.clock() + pause

    async def _sue(self, ground: Ground, docket: Docket) -> bool:
        """Announce a suit, or when that was done in an earlier block, open it.

        Returns whether it is open now.

        Raises:
            NothingToSue: the query is answered, its time is over, or the statement is right.
            ExhaustedResource: the budget or the account does not allow it now.
            Rejected, Unavailable: as the sender.
        """
        dispute, room = ground.dispute, self.room
        suit = await self._suit(ground)
        accused = (dispute.query_id, dispute.shard, ground.statement.signer)
        if await room.court.is_convicted(*accused, "latest"):
            raise NothingToSue("the member was convicted before")
        await self._expect_wrong(ground, suit)
        async with self._lock:
            bond = await self._affordable(docket)
            await self._pin(ground.attempted.seed_block)
            if not await room.has_announced(ground.statement.evidence):
                return False
            if dispute not in self._on_the_way:
                await self._approve(bond)
                await room.send(room.court.sue(suit))
                self._on_the_way[dispute] = bond
                log.warning("member sued", **dispute._asdict())
        return True

    async def _suit(self, ground: Ground) -> Suit:
        """What the court is shown, under the terms of now."""
        history = await self.room.history(ground.attempted.query_id)
        query = history.query
        if history.fulfilled is not None:
            raise NothingToSue("the query was answered")
        if (await self.room.connection.head()).timestamp > suing_ends(query):
            raise NothingToSue("the time to sue is over")
        version = await self.show_version(query)
        return Suit(query, version, ground.statement, ground.attempted.seed_block)

    async def _expect_wrong(self, ground: Ground, suit: Suit) -> None:
        """Returns when the statement is not what the table gives, whatever the runner computed."""
        dispute, said = ground.dispute, ground.statement.reveal
        if dispute in self._wrong:
            return
        place = (suit.version.operators_root, dispute.shard, suit.query.shards)
        charge = Charge(*place, said.in_digest, said.out_digest)
        recomputed = await self.recompute(suit.query.query_id, charge)
        defender = Defender(recomputed.witness, dispute.shard, recomputed.blind)
        ours = await asyncio.to_thread(lambda: defender.charge)
        if ours.in_digest != charge.in_digest:
            raise NothingToSue("the input of the shard is not here any more")
        if ours.out_digest == charge.out_digest:
            log.error("own result is wrong", **dispute._asdict())
            raise NothingToSue("the member is right, and this miner was wrong")
        self._wrong.add(dispute)

    async def _affordable(self, docket: Docket) -> Amount:
        """The bond, when it can be paid and may be."""
        room, me = self.room, self.room.sender.address
        limits = await room.contracts.parameters.request_limits("latest")
        bond = Amount(limits.seat_stake * limits.challenger_bond_bps // BPS)
        out = bonds_of(docket, me) + sum(self._on_the_way.values())
        if out + bond > self.bonds:
            raise ExhaustedResource(
                f"bonds of {out / ONE_NES:g} NES are out and another one would pass max_bonds"
            )
        if await room.contracts.token.balance_of(me, "latest") < bond:
            raise ExhaustedResource(
                f"the signer {me} has less than the bond of {bond / ONE_NES:g} NES"
            )
        return bond

    async def _pin(self, seed_block: BlockNumber) -> None:
        """Keep the seed beyond what the chain remembers when it may be forgotten soon."""
        market, head = self.room.contracts.market, (await self.room.connection.head()).number
        if not PIN_AFTER <= head - seed_block < HASH_BLOCKS:
            return
        if await market.pinned_seed(seed_block, "latest") is None:
            await self.room.send(market.pin_seed(seed_block))

    async def _approve(self, bond: Amount) -> None:
        token, court = self.room.contracts.token, self.room.court.address
        allowed = await token.allowance(self.room.sender.address, court, "latest")
        if allowed < bond:
            await self.room.send(token.approve(court, bond))
