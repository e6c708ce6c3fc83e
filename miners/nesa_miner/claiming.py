"""Brings claims to the chain: one try after the other until they are paid or it is too late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from nesa.chain.connection import Connection
from nesa.chain.contracts import Market
from nesa.chain.events import QueryFulfilled, QueryReleased, SlotClaimed
from nesa.chain.sender import Sender
from nesa.privacy.envelopes import Deployment
from nesa.protocol.errors import ExhaustedResource, NesaError
from nesa.protocol.ids import Timestamp
from nesa_miner.agreement.records import decode_record
from nesa_miner.claims import (
    Claim,
    claim_of,
    decode_claim,
    encode_claim,
    is_left_out,
    settled_work,
)
from nesa_miner.identity import Identity
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

log = structlog.get_logger("nesa_miner")

SendClaim = Callable[[Claim], Awaitable[None]]
"""Claims a slot on the chain."""


@dataclass(frozen=True, slots=True)
class Claimer:
    """Sends claims with the miner's signer key, which pays their gas."""

    connection: Connection
    sender: Sender

    async def send(self, claim: Claim) -> None:
        """Claim a slot.

        Raises:
            Rejected: the market refuses; another claim may have come first.
            ExhaustedResource: the signer cannot pay for gas.
            Unavailable: the node does not answer.
        """
        if await self.connection.balance(self.sender.address) == 0:
            raise ExhaustedResource(f"the signer {self.sender.address} has no coin to pay gas with")
        market = Market(self.connection, self.connection.deployment.market)
        parts = (claim.query, claim.outcome, claim.shard, claim.commitments, claim.result)
        await self.sender.send(market.claim_slot(*parts))


@dataclass(slots=True)
class Claims:
    """What is left to claim. The journal has it; who is paid is known from the chain alone.

    `is_held` says whether a dispute holds a query: nothing of it can be claimed meanwhile.
    """

    identity: Identity
    deployment: Deployment
    journal: Journal
    send: SendClaim
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    clock: Callable[[], float]
    is_held: Callable[[int], bool] = lambda _: False
    open: dict[JobKey, Claim] = field(default_factory=dict)
    _busy: set[JobKey] = field(default_factory=set)
    _pauses: dict[JobKey, float] = field(default_factory=dict)
    _retry_at: dict[JobKey, float] = field(default_factory=dict)

    def note_answer(self, answer: QueryFulfilled, log_key: bytes) -> None:
        """Store what the answer leaves to claim; inside the transaction of its effects."""
        outcome = answer.outcome
        for job in self.journal.attempts(answer.query_id):
            if not is_left_out(job, outcome, self.deployment):
                continue
            bodies = self.journal.records(settled_work(job, outcome))
            records = [decode_record(body) for body in bodies]
            claim = claim_of(job, records, outcome, self.identity, self.deployment)
            if claim is not None:
                self.journal.add_claim(job.key, log_key, encode_claim(claim))
                log.info("left out of the report", query=job.key[0], shard=claim.shard)

    def note_claimed(self, event: SlotClaimed, log_key: bytes) -> None:
        """Store who is paid after a claim; inside the transaction of its effects."""
        self.journal.add_claimed(log_key, event.query_id, event.shard, event.paid)

    def note_released(self, event: QueryReleased, log_key: bytes) -> None:
        """Store until when slots can be claimed now; inside the transaction of its effects."""
        self.journal.add_release(log_key, event.query_id, event.closes_at)

    def reload(self) -> None:
        """Take up what the journal holds."""
        self.open = {
            stored.key: decode_claim(stored.body).after(stored.paid, stored.released)
            for stored in self.journal.claims()
        }

    def advance(self, now: Timestamp) -> None:
        """Try every claim that is due at chain time `now`, and let go of those that are over."""
        for key, claim in list(self.open.items()):
            if self.is_held(key[0]):
                continue
            if now > claim.until:
                self._drop(key)
            elif self._is_due(key, claim):
                self._busy.add(key)
                self.spawn(self._try(key, claim))

    def _is_due(self, key: JobKey, claim: Claim) -> bool:
        waits = self._retry_at.get(key, 0.0) > self.clock()
        return not (claim.is_paid or waits or key in self._busy)

    def _drop(self, key: JobKey) -> None:
        self.journal.drop_claim(key)
        for kept in (self.open, self._pauses, self._retry_at):
            kept.pop(key, None)

    async def _try(self, key: JobKey, claim: Claim) -> None:
        """One try. The next comes after a growing pause, unless the chain says that it is paid."""
        pause = self._pauses.get(key, FIRST_PAUSE)
        try:
            await self.send(claim)
            log.info("slot claimed", query=key[0], shard=claim.shard)
        except NesaError as error:
            log.warning("slot not claimed", query=key[0], reason=str(error), seconds=pause)
        except Exception as error:
            log.error("slot not claimed", query=key[0], error=type(error).__name__)
        finally:
            self._busy.discard(key)
            self._pauses[key] = min(2 * pause, LONGEST_PAUSE)
            self._retry_at[key] = self.clock() + pause
