"""Sues members of a split committee: whoever signed another output than this miner computed.

What was signed is in the journal until a suit is open, or nothing can be sued any more. That a suit
is open is known from the chain alone, so a kill costs time and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from nesa.chain.court import Suit
from nesa.chain.disputes import Dispute, ShownVersion
from nesa.chain.docket import Docket, is_brought
from nesa.models.disputes.parties import Defender
from nesa.models.disputes.traces import Charge
from nesa.protocol.errors import NesaError
from nesa.protocol.ids import BlockNumber
from nesa.protocol.outcomes import suing_ends
from nesa.protocol.queries import Query, decode_query
from nesa.protocol.statements import Statement, decode_statement
from nesa_miner.disputes.bonds import Bonds
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.litigation import Recompute
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal
from nesa_miner.retrying import Retries, reason_of
from nesa_miner.tasks import Spawn

REST_SECONDS: Final = 0.5
LONGEST_PAUSE: Final = 30.0
HASH_BLOCKS: Final = 256
"""Blocks whose hash the chain remembers."""

PIN_AFTER: Final = 64
"""Blocks after which a seed is pinned rather than trusted to be there for the suit."""

log = structlog.get_logger("nesa_miner")

ShowVersion = Callable[[Query], Awaitable[ShownVersion]]
"""What the version of a query is the hash of."""


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
    """Opens suits, one at a time, within `bonds`."""

    room: Courtroom
    journal: Journal
    show_version: ShowVersion
    recompute: Recompute
    bonds: Bonds
    spawn: Spawn
    clock: Callable[[], float]
    open: dict[Dispute, Ground] = field(default_factory=dict)
    _wrong: set[Dispute] = field(default_factory=set)
    _retries: Retries[Dispute] = field(init=False)

    def __post_init__(self) -> None:
        self._retries = Retries(self.spawn, self.clock, _tell, REST_SECONDS, LONGEST_PAUSE)

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
            else:
                self._retries.start(dispute, partial(self._try, ground, docket))
        self._retries.keep_only(self.open)

    def _drop(self, ground: Ground) -> None:
        self.journal.drop_statement(ground.key, ground.statement.signer)
        self._wrong.discard(ground.dispute)
        self.open.pop(ground.dispute, None)

    async def _try(self, ground: Ground, docket: Docket) -> None:
        try:
            await self._sue(ground, docket)
        except NothingToSue as error:
            log.info("nothing to sue", **ground.dispute._asdict(), reason=str(error))
            self._drop(ground)

    async def _sue(self, ground: Ground, docket: Docket) -> None:
        """Announce a suit, or when that was done in an earlier block, open it.

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
        async with self.bonds.lock:
            limits = await room.contracts.parameters.request_limits("latest")
            bond = await self.bonds.payable(limits, docket)
            await self._pin(ground.attempted.seed_block)
            if not await room.has_announced(ground.statement.evidence):
                return
            if not self.bonds.is_on_the_way(dispute):
                await self.bonds.approve(bond, room.court.address)
                await room.send(room.court.sue(suit))
                self.bonds.paid(dispute, bond)
                log.warning("member sued", **dispute._asdict())

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

    async def _pin(self, seed_block: BlockNumber) -> None:
        """Keep the seed beyond what the chain remembers when it may be forgotten soon."""
        market, head = self.room.contracts.market, (await self.room.connection.head()).number
        if not PIN_AFTER <= head - seed_block < HASH_BLOCKS:
            return
        if await market.pinned_seed(seed_block, "latest") is None:
            await self.room.send(market.pin_seed(seed_block))


def _tell(dispute: Dispute, seconds: float, error: Exception) -> None:
    tell = log.warning if isinstance(error, NesaError) else log.error
    tell("not sued", **dispute._asdict(), seconds=seconds, **reason_of(error))
