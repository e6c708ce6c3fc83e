"""Pulls evidence from every drawn member, checks it, and stops when a report is as full as it gets.

Members are strangers: what they send is capped in size and time, decoded by shape, and counts only
when a quorum of the committee signed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog
from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from nesa.chain.committees import Seat
from nesa.chain.members import ask_member
from nesa.chain.web import Patience
from nesa.protocol.errors import InvalidInput, InvalidMessage, Unavailable
from nesa.protocol.evidence import (
    EVIDENCE_PATH,
    MAX_EVIDENCE_BYTES,
    ShardEvidence,
    decode_pieces,
)
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.outcomes import MAX_TURNS
from nesa_oracle.checks import Case, check_member_evidence
from nesa_oracle.observability import Metrics
from nesa_oracle.proofs.selection import MAX_PROOF_BYTES, MAX_PROVED_TENSOR_BYTES
from nesa_oracle.report import Report

MemberKey = tuple[int, int]
"""(shard, position)."""

Pieces = tuple[ShardEvidence, ...]
"""What one member shows: a prover that was handed several tensors shows a piece for each."""

Found = Mapping[MemberKey, Pieces]
"""Checked evidence of everybody who showed some."""

Assemble = Callable[[Found], Awaitable[Report | None]]
"""Makes the best report of the evidence at hand, None when there is too little."""

LOOK_SECONDS: Final = 1.0
"""How often evidence is looked at again without news: a prover's turn may have come."""

MOST_BODIES: Final = 16
"""Answers of one member that are looked at; an honest one has less than this to add."""

MOST_CONNECTIONS: Final = 64
"""Connections to one endpoint at once, over all queries."""

log = structlog.get_logger("nesa_oracle")


@dataclass(frozen=True, slots=True)
class GatherPolicy:
    """Patience in seconds: `grace` after the first complete report, `limit` for everything."""

    grace: float = 0.3
    limit: float = 15.0
    wait: float = 5.0
    pause: float = 0.2
    downloads: int = 16


@dataclass(frozen=True, slots=True)
class Request:
    """Evidence that is asked for; `known` is the length of what is known already, or -1."""

    endpoint: str
    query_id: int
    attempt: int
    shard: int
    known: int = -1

    @property
    def path(self) -> str:
        """Path below the endpoint."""
        return EVIDENCE_PATH.format(query_id=self.query_id, attempt=self.attempt, shard=self.shard)


class EvidenceSource(Protocol):
    """Where evidence comes from."""

    async def fetch(self, request: Request, wait: float) -> bytes | None:
        """Encoded evidence as soon as there is some, None when there is none after `wait`.

        Raises:
            Unavailable: no usable answer.
        """


def evidence_session() -> ClientSession:
    """A session for members' endpoints. No pool is shared, so that nobody who is slow to answer
    keeps another one waiting; each endpoint has a number of connections of its own."""
    connector = TCPConnector(limit=0, limit_per_host=MOST_CONNECTIONS)
    return ClientSession(connector=connector, cookie_jar=DummyCookieJar())


class HttpEvidence:
    """Evidence over HTTP: no redirects, no cookies, a cap on bytes, time and downloads at once."""

    def __init__(self, session: ClientSession, policy: GatherPolicy = GatherPolicy()) -> None:
        self._session = session
        self._spare_seconds = policy.wait
        self._downloads = asyncio.Semaphore(policy.downloads)

    async def fetch(self, request: Request, wait: float) -> bytes | None:
        """See `EvidenceSource`."""
        options = {"wait": f"{wait:g}", "size": str(request.known)}
        patience = Patience(wait + self._spare_seconds, MAX_EVIDENCE_BYTES, self._downloads)
        return await ask_member(self._session, request.endpoint, request.path, patience, options)


class Gathering:
    """One case's evidence: follows every drawn member until the report is full or time is up."""

    def __init__(
        self, case: Case, source: EvidenceSource, policy: GatherPolicy, metrics: Metrics
    ) -> None:
        self._case = case
        self._source = source
        self._policy = policy
        self._metrics = metrics
        self._news = asyncio.Event()
        self._checked: dict[tuple[int, int, bytes], Pieces] = {}
        self._found: dict[MemberKey, Pieces] = {}

    async def report(self, assemble: Assemble) -> Report:
        """The fullest report that `assemble` makes of the evidence; its errors come through.

        Raises:
            Unavailable: the members do not show enough within the policy's limit.
        """
        followers = [
            asyncio.create_task(self._follow(shard, position, seat))
            for shard, seats in enumerate(self._case.committees.shards)
            for position, seat in enumerate(seats)
        ]
        try:
            async with asyncio.timeout(self._policy.limit):
                return await self._fullest(assemble)
        except TimeoutError as error:
            shown = sorted({shard for shard, _ in self._found})
            raise Unavailable(
                f"no report within {self._policy.limit:g} s; evidence of shards {shown} of "
                f"{self._case.query.shards} was shown"
            ) from error
        finally:
            await _stop(followers)

    async def _fullest(self, assemble: Assemble) -> Report:
        """Waits a grace after the first report, so that nobody who is a little late is left out."""
        clock = asyncio.get_running_loop().time
        best: Report | None = None
        ends = math.inf
        while best is None or not (best.is_full or clock() >= ends):
            self._news.clear()
            report = await assemble(dict(self._found))
            if report is not None and (best is None or report.paid > best.paid):
                ends = min(ends, clock() + self._policy.grace)
                best = report
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(ends - clock(), LOOK_SECONDS))
        return best

    async def _follow(self, shard: int, position: int, seat: Seat) -> None:
        query, known = self._case.query, -1
        for _ in range(MOST_BODIES):
            request = Request(seat.endpoint, query.query_id, query.attempt, shard, known)
            body = await self._body(request)
            if self._take(shard, position, body):
                known = len(body)
            else:
                await asyncio.sleep(self._policy.pause)
            if self._is_complete((shard, position)):
                return

    async def _body(self, request: Request) -> bytes:
        """What a member shows that it has not shown before, whenever that is."""
        while True:
            try:
                body = await self._source.fetch(request, self._policy.wait)
            except Unavailable:
                self._metrics.silent.inc()
                body = None
            if body is not None and len(body) != request.known:
                return body
            await asyncio.sleep(self._policy.pause)

    def _take(self, shard: int, position: int, body: bytes) -> bool:
        """Check what a member sent; the same bytes from several members are checked once."""
        committee = position if self._case.is_proved else -1
        key = (shard, committee, hashlib.sha256(body).digest())
        try:
            if key not in self._checked:
                self._checked[key] = self._checked_pieces(shard, position, body)
        except InvalidInput as error:
            self._metrics.refused.inc()
            log.debug("evidence refused", shard=shard, member=position, reason=str(error))
            return False
        self._found[shard, position] = self._checked[key]
        self._news.set()
        return True

    def _checked_pieces(self, shard: int, position: int, body: bytes) -> Pieces:
        pieces = decode_pieces(body)
        most = MAX_TURNS if self._case.is_proved else 1
        if len(pieces) > most:
            raise InvalidMessage(f"{len(pieces)} pieces of evidence where {most} are enough")
        for piece in pieces:
            check_member_evidence(self._case, shard, position, piece)
        return tuple(map(_without_long_parts, pieces))

    def _is_complete(self, member: MemberKey) -> bool:
        """Whether the member has nothing more to show."""
        pieces = self._found.get(member, ())
        if self._case.is_proved:
            shard, _ = member
            return shard == 0 and any(piece.proof is not None for piece in pieces)
        return any(
            len(piece.results) == sum(entry != ZERO_DIGEST for entry in piece.commitments)
            for piece in pieces
        )


def _without_long_parts(evidence: ShardEvidence) -> ShardEvidence:
    """Without what no report takes and nobody has checked, so that it is not kept either."""
    short = [
        tuple(tensor for tensor in tensors if len(tensor) <= MAX_PROVED_TENSOR_BYTES)
        for tensors in (evidence.tensors_in, evidence.tensors_out)
    ]
    is_usable = evidence.proof is not None and len(evidence.proof) <= MAX_PROOF_BYTES
    proof = evidence.proof if is_usable else None
    return replace(evidence, tensors_in=short[0], tensors_out=short[1], proof=proof)


async def _stop(followers: Sequence[asyncio.Task[None]]) -> None:
    """End what follows members; one that failed only cost its own member's evidence."""
    for follower in followers:
        follower.cancel()
    for failure in await asyncio.gather(*followers, return_exceptions=True):
        if isinstance(failure, Exception):
            log.error("a member could not be followed", error=type(failure).__name__)
