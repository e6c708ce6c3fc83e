"""Follows the summonses of this miner's committees and answers its own: a member that is called on
chain says that it is there, before it counts as absent.

What was announced and how it ended is one fact of the journal, so that a restart forgets neither.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from nesa.chain.connection import Connection
from nesa.chain.events import ChainEvent, MemberAbsent, MemberSummoned, SummonsAnswered
from nesa.chain.sender import Sender
from nesa.chain.stored_events import decode_stored_event, encode_event
from nesa.chain.summonses import Summons
from nesa.protocol.errors import ExhaustedResource, NesaError
from nesa.protocol.ids import Digest, Timestamp
from nesa.protocol.summons import Call, sign_answer
from nesa_miner.identity import Identity
from nesa_miner.jobs import JobKey
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics

FACT: Final = "summonses"
KEPT_SECONDS: Final = 86_400
"""How long a summons that is over is remembered, by the chain's clock."""

PAUSE_SECONDS: Final = 1.0

log = structlog.get_logger("nesa_miner")

SendAnswer = Callable[[Call, Digest], Awaitable[None]]
"""Brings an answer with a commitment, zero when there is none, to the chain."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """Signs and sends answers with the miner's signer key, which pays their gas."""

    connection: Connection
    sender: Sender
    identity: Identity

    async def send(self, call: Call, commitment: Digest) -> None:
        """Answer a summons.

        Raises:
            Rejected: the contract refuses; somebody else may have brought an answer.
            ExhaustedResource: the signer cannot pay for gas.
            Unavailable: the node does not answer.
        """
        if await self.connection.balance(self.sender.address) == 0:
            raise ExhaustedResource(f"the signer {self.sender.address} has no coin to pay gas with")
        summons = Summons.of(self.connection)
        chain_id = self.connection.deployment.chain_id
        signed = sign_answer(self.identity.signer, chain_id, summons.address, call, commitment)
        await self.sender.send(summons.answer(call, signed, commitment))


@dataclass(frozen=True, slots=True)
class Summoned:
    """A summons that the log `log_key` tells of, and the log that ended it."""

    log_key: bytes
    event: MemberSummoned
    ended_by: bytes = b""
    is_missed: bool = False

    def is_ended_by(self, event: SummonsAnswered | MemberAbsent) -> bool:
        """Whether an event is about this summons."""
        call = self.event.call
        named = (event.query_id, event.attempt, event.shard, event.position)
        return named == (call.query_id, call.attempt, call.shard, call.position)

    @property
    def is_open(self) -> bool:
        """Whether it waits for its answer, or for somebody to end it."""
        return not self.ended_by

    @property
    def is_answered(self) -> bool:
        """Whether the member answered, and has the bond."""
        return bool(self.ended_by) and not self.is_missed

    def after(self, undone: Collection[bytes]) -> Summoned:
        """The summons when some logs are taken back."""
        return replace(self, ended_by=b"", is_missed=False) if self.ended_by in undone else self


Told = tuple[bytes, ChainEvent]
"""An event and the key of its log, as the journal stores it."""


Concerns = Callable[[Call], bool]
"""Whether a summons has to do with this miner."""


def following(
    known: Iterable[Summoned], undone: Collection[bytes], told: Iterable[Told], concerns: Concerns
) -> tuple[Summoned, ...]:
    """What is known of the summonses of a miner after a batch of events."""
    found = {one.log_key: one.after(undone) for one in known if one.log_key not in undone}
    for log_key, event in told:
        match event:
            case MemberSummoned(call=call) if concerns(call):
                found[log_key] = Summoned(log_key, event)
            case SummonsAnswered() | MemberAbsent():
                missed = isinstance(event, MemberAbsent)
                for one in found.values():
                    if one.is_ended_by(event):
                        ended = replace(one, ended_by=log_key, is_missed=missed)
                        found[one.log_key] = ended
    return tuple(found.values())


def encode_summonses(summonses: Iterable[Summoned]) -> bytes:
    """Bytes for the journal."""
    entries = [
        [one.log_key.hex(), encode_event(one.event).hex(), one.ended_by.hex(), one.is_missed]
        for one in summonses
    ]
    return json.dumps(entries).encode()


def decode_summonses(body: bytes) -> tuple[Summoned, ...]:
    """What `encode_summonses` took."""
    found = []
    for log_key, event, ended_by, is_missed in json.loads(body):
        summoned = decode_stored_event(bytes.fromhex(event))
        assert isinstance(summoned, MemberSummoned)
        found.append(Summoned(bytes.fromhex(log_key), summoned, bytes.fromhex(ended_by), is_missed))
    return tuple(found)


@dataclass(slots=True)
class Answers:
    """The summonses of this miner's committees and by it, and the tries to answer those of itself
    that are open.
    """

    identity: Identity
    journal: Journal
    send: SendAnswer
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    clock: Callable[[], float]
    metrics: Metrics
    known: tuple[Summoned, ...] = ()
    _busy: set[bytes] = field(default_factory=set)
    _retry_at: dict[bytes, float] = field(default_factory=dict)

    def store(self, undone: Collection[bytes], told: Iterable[Told], now: Timestamp) -> None:
        """Store what a batch says of summonses; inside the transaction of its effects."""
        before = self._stored()
        after = following(before, undone, told, self._concerns)
        kept = tuple(one for one in after if now <= one.event.call.deadline + KEPT_SECONDS)
        if kept != before:
            self.journal.set_fact(FACT, encode_summonses(kept))

    def reload(self) -> None:
        """Take up what the journal holds."""
        self.known = self._stored()
        live = {one.log_key for one in self.known}
        self._retry_at = {key: at for key, at in self._retry_at.items() if key in live}
        self.metrics.misses.set(self.misses)

    def advance(self, now: Timestamp, commitment_of: Callable[[Call], Digest]) -> None:
        """Try to answer every summons that is open at chain time `now`."""
        for one in self.known:
            key, call = one.log_key, one.event.call
            waits = key in self._busy or self._retry_at.get(key, 0.0) > self.clock()
            if one.is_open and self._is_mine(one) and not waits and now <= call.deadline:
                self._busy.add(key)
                self.spawn(self._try(key, call, commitment_of(call)))

    @property
    def misses(self) -> int:
        """Summonses of the last day that this miner did not answer."""
        return sum(one.is_missed for one in self.known if self._is_mine(one))

    def summary(self) -> Mapping[str, int]:
        """Counts for a status page."""
        mine = [one for one in self.known if self._is_mine(one)]
        waiting = sum(one.is_open for one in mine)
        return {"known": len(mine), "open": waiting, "missed": self.misses}

    def _is_mine(self, one: Summoned) -> bool:
        return one.event.call.signer == self.identity.address

    def _concerns(self, call: Call) -> bool:
        """Whether this miner is called, calls, or was drawn, as far as it knows, for the shard or
        the one before."""
        me = self.identity.address
        job = self.journal.job(JobKey((call.query_id, call.attempt)))
        return me in (call.signer, call.summoner) or (
            job is not None and job.shard in (None, call.shard, call.shard - 1)
        )

    def _stored(self) -> tuple[Summoned, ...]:
        body = self.journal.fact(FACT)
        return () if body is None else decode_summonses(body)

    async def _try(self, key: bytes, call: Call, commitment: Digest) -> None:
        """One try; the next one comes after a pause, unless the chain says that it is over."""
        told = {"query": call.query_id, "attempt": call.attempt, "shard": call.shard}
        try:
            await self.send(call, commitment)
            self.metrics.summonses.inc()
            log.info("summons answered", **told)
        except NesaError as error:
            log.warning("summons not answered", reason=str(error), until=call.deadline, **told)
        except Exception as error:
            log.error("summons not answered", error=type(error).__name__, **told)
        finally:
            self._busy.discard(key)
            self._retry_at[key] = self.clock() + PAUSE_SECONDS
