"""What members signed for one answer, gathered to see whether somebody signed two outputs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
from aiohttp import ClientSession

from nesa.chain.committees import DrawnCommittees, drawn_committees
from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.history import QueryHistory
from nesa.chain.members import ask_member
from nesa.chain.reports import reported_evidence
from nesa.chain.web import Patience
from nesa.protocol.commitments import ShardContext
from nesa.protocol.errors import InvalidInput, InvalidMessage, Unavailable
from nesa.protocol.evidence import (
    EVIDENCE_PATH,
    MAX_EVIDENCE_BYTES,
    ShardEvidence,
    decode_pieces,
)
from nesa.protocol.faults import (
    MAX_FAULT_BYTES,
    Equivocation,
    decode_fault,
    equivocations_in,
    statements_in,
    verify_statement,
)
from nesa.protocol.ids import Address, Digest
from nesa.protocol.messages import Reveal
from nesa.protocol.queries import MAX_REPLICAS, Query
from nesa_miner.server import FAULTS_PATH

ASK_SECONDS: Final = 5.0
MOST_FAULTS_BYTES: Final = 2 * MAX_REPLICAS * 2 * (2 * MAX_FAULT_BYTES + 1_024)
"""A hexadecimal fault of each kind of each member, of this shard and of the one before it."""

ASKED_AT_ONCE: Final = 16

log = structlog.get_logger("nesa_miner")


@dataclass(slots=True)
class Statements:
    """Checked statements about one shard of one attempt; `members` are its signers as drawn."""

    context: ShardContext
    members: tuple[Address, ...]
    reveals: list[Reveal] = field(default_factory=list)
    sets: dict[Digest, tuple[Digest, ...]] = field(default_factory=dict)

    def take(self, evidence: ShardEvidence) -> None:
        """Take in what was signed in some evidence, without what does not check out."""
        for said in statements_in(self.context, evidence):
            self.add(said, evidence.commitments)

    def add(self, said: Reveal, commitments: tuple[Digest, ...]) -> None:
        """Take in one statement, unless it does not check out."""
        try:
            if said.context != self.context:
                raise InvalidMessage("the statement is about other work")
            verify_statement(self.members, said, commitments)
        except InvalidMessage as error:
            log.debug("statement refused", shard=self.context.shard, reason=str(error))
            return
        if said not in self.reveals:
            self.reveals.append(said)
            self.sets[said.set_digest] = commitments

    def equivocations(self) -> tuple[tuple[Address, Equivocation], ...]:
        """(signer, its two statements) of every member that signed two outputs of one input."""
        faults = equivocations_in(self.reveals, self.sets)
        return tuple((self.members[fault.position], fault) for fault in faults)


class Members(Protocol):
    """Where members show what was signed."""

    async def evidence(self, endpoint: str, context: ShardContext) -> tuple[ShardEvidence, ...]:
        """Evidence of a shard, none when there is none."""

    async def equivocations(self, endpoint: str, context: ShardContext) -> list[Equivocation]:
        """Whom a member has seen sign two outputs in an attempt."""


@dataclass(slots=True)
class Gatherer:
    """Gathers what was signed for an answer: on chain, and from everybody who was drawn for it.

    Members are strangers: whatever they answer, or do not, costs a few seconds and bounded memory.
    """

    connection: Connection
    members: Members
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKED_AT_ONCE))

    async def equivocations(
        self, history: QueryHistory
    ) -> tuple[tuple[Address, Equivocation], ...]:
        """(signer, what convicts it) of all shards, in the attempt that was answered and in those
        before it: what was signed there convicts as well.

        Raises:
            Unavailable: the node does not answer.
        """
        drawn = [await drawn_for(self.connection, history), *await self._earlier(history)]
        attempts = [self._empty(committees) for committees in drawn]
        members = [one.members for one in attempts[0]]
        for shard, evidence in await reported_evidence(self.connection, history, members):
            attempts[0][shard].take(evidence)
        pairs = zip(drawn, attempts, strict=True)
        await asyncio.gather(*(self._ask(committees, shards) for committees, shards in pairs))
        return tuple(
            found for shards in attempts for one in shards for found in one.equivocations()
        )

    async def _earlier(self, history: QueryHistory) -> list[DrawnCommittees]:
        """Who was drawn for the attempts before; not where the seed block is no more to be had."""
        found = []
        for query in history.earlier:
            seed = await self.connection.find_block(query.seed_block)
            if seed is not None:
                found.append(await _drawn(self.connection, query, seed.hash))
        return found

    async def _ask(self, drawn: DrawnCommittees, shards: Sequence[Statements]) -> None:
        """Ask everybody who was drawn for an attempt."""
        endpoints = {seat.endpoint for seats in drawn.shards for seat in seats}
        asked = [self._faults(endpoint, shards) for endpoint in sorted(endpoints)]
        for number, seats in enumerate(drawn.shards):
            asked += [self._evidence(seat.endpoint, shards[number]) for seat in seats]
        await asyncio.gather(*asked)

    def _empty(self, drawn: DrawnCommittees) -> list[Statements]:
        query, deployment = drawn.query, self.connection.deployment
        ids = (deployment.chain_id, deployment.market, query.query_id, query.attempt)
        return [
            Statements(
                ShardContext(*ids, drawn.seed_hash, number), tuple(seat.signer for seat in seats)
            )
            for number, seats in enumerate(drawn.shards)
        ]

    async def _evidence(self, endpoint: str, shard: Statements) -> None:
        async with self._slots:
            try:
                for piece in await self.members.evidence(endpoint, shard.context):
                    shard.take(piece)
            except (InvalidInput, Unavailable) as error:
                log.debug("no evidence", endpoint=endpoint, reason=str(error))

    async def _faults(self, endpoint: str, shards: Sequence[Statements]) -> None:
        async with self._slots:
            try:
                found = await self.members.equivocations(endpoint, shards[0].context)
            except (InvalidInput, Unavailable) as error:
                log.debug("no faults", endpoint=endpoint, reason=str(error))
                return
        for fault in found:
            number = fault.first.context.shard
            if number < len(shards):
                shards[number].add(fault.first, fault.first_set)
                shards[number].add(fault.second, fault.second_set)


async def drawn_for(connection: Connection, history: QueryHistory) -> DrawnCommittees:
    """Who was drawn for the attempt that was answered.

    Raises:
        Unavailable: the node does not answer, or the query is not answered any more.
    """
    if history.outcome is None:
        raise Unavailable(f"query {history.query.query_id} is not answered any more")
    return await _drawn(connection, history.query, history.outcome.seed)


async def _drawn(connection: Connection, query: Query, seed_hash: Digest) -> DrawnCommittees:
    deployment, vault = connection.deployment, Contracts(connection).vault
    ids = (deployment.chain_id, deployment.market)
    return await drawn_committees(vault, *ids, query, seed_hash, "latest")


@dataclass(frozen=True, slots=True)
class HttpMembers:
    """Members over HTTP: no redirects, a cap on bytes and time."""

    session: ClientSession

    async def evidence(self, endpoint: str, context: ShardContext) -> tuple[ShardEvidence, ...]:
        """See `Members`.

        Raises:
            Unavailable: no usable answer.
            InvalidMessage: the answer is no evidence.
        """
        path = EVIDENCE_PATH.format(
            query_id=context.query_id, attempt=context.attempt, shard=context.shard
        )
        body = await self._get(endpoint, path, MAX_EVIDENCE_BYTES)
        return () if body is None else decode_pieces(body)

    async def equivocations(self, endpoint: str, context: ShardContext) -> list[Equivocation]:
        """See `Members`; errors as `evidence`."""
        path = FAULTS_PATH.format(query_id=context.query_id, attempt=context.attempt)
        body = await self._get(endpoint, path, MOST_FAULTS_BYTES)
        return [] if body is None else equivocations_of(body)

    async def _get(self, endpoint: str, path: str, most: int) -> bytes | None:
        return await ask_member(self.session, endpoint, path, Patience(ASK_SECONDS, most))


def equivocations_of(body: bytes) -> list[Equivocation]:
    """The equivocations in a member's list of faults; whether they convict is not looked at.

    Raises:
        InvalidMessage: it is no such list.
    """
    try:
        entries = json.loads(body)
        faults = [bytes.fromhex(entry["body"].removeprefix("0x")) for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidMessage("the answer is no list of faults") from error
    found = []
    for data in faults:
        try:
            fault = decode_fault(data)
        except InvalidMessage:
            continue  # of another release
        if isinstance(fault, Equivocation):
            found.append(fault)
    return found
