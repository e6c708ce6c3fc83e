"""What an engine stands among: identity, journal, shards, the ways to peers and chain, the time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from nesa.chain.committees import DrawnCommittees, Seat
from nesa.chain.contents import Wanted
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.models.proving.prover import Prover
from nesa.privacy.envelopes import Deployment
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.ids import VersionId
from nesa.protocol.messages import Message
from nesa.protocol.queries import Query
from nesa.protocol.versions import ShardFacts
from nesa_miner.agreement.terms import Timing
from nesa_miner.claiming import SendClaim
from nesa_miner.identity import Identity, kept_content_key
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics
from nesa_miner.observing import ObservedTimes
from nesa_miner.tasks import Spawn
from nesa_miner.work import Run

RETENTION_SECONDS: Final = 86_400
MEMORY_LIMIT: Final = 256 << 20


class Runner(Protocol):
    """Runs one shard."""

    @property
    def run(self) -> Run:
        """Canonical bytes in, canonical bytes out."""


class Library(Protocol):
    """The shards that this miner can run and prove."""

    async def runner(self, version_id: VersionId, shard: int) -> tuple[ShardFacts, Runner]:
        """A warm shard and what the chain knows of it."""

    async def prover(self, version_id: VersionId, shard: int) -> Prover:
        """Something that proves the shard."""

    async def circuits(self, version_id: VersionId) -> CircuitKind:
        """What the circuits of a version hash."""

    def release(self, version_id: VersionId, shard: int | None = None) -> None:
        """Free what a version's shards, or one of them, take in memory; asked for again they are
        loaded again."""


class WitnessLibrary(Library, Protocol):
    """A library that can also show how a shard comes to its output."""

    async def outline(self, version_id: VersionId) -> Table:
        """The operator table of a version; its constants need not be there."""

    async def witness(self, version_id: VersionId, shard: int, tensors: Sequence[bytes]) -> Witness:
        """Everything that the shard makes of its input, by the definition of its table."""


class Contents(Protocol):
    """Where long inputs of requests come from; see `nesa.chain.contents.ContentReader`."""

    async def published(self, wanted: Wanted, urls: Sequence[str]) -> bytes:
        """From one of the URLs that a request names."""

    async def kept(self, wanted: Wanted, endpoints: Sequence[str]) -> bytes:
        """From one of the members at these endpoints."""


ReadCommittees = Callable[[Query], Awaitable[DrawnCommittees]]
"""Reads the seed and the seats of an attempt and draws."""

Deliver = Callable[[Seat, Message], Awaitable[bool]]
"""Delivers a message to a seat with a few tries; False when nobody answered there."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything outside of the engine. What is over is kept for `retention` seconds.

    `memory_limit` is how many bytes the tensors of queries under way may take.
    """

    identity: Identity
    deployment: Deployment
    journal: Journal
    library: Library
    read_committees: ReadCommittees
    deliver: Deliver
    claim: SendClaim
    contents: Contents
    spawn: Spawn
    clock: Callable[[], float]
    metrics: Metrics
    timing: Timing = field(default_factory=Timing)
    retention: int = RETENTION_SECONDS
    memory_limit: int = MEMORY_LIMIT
    observed: ObservedTimes = field(default_factory=ObservedTimes)

    def content_key(self, query: Query) -> bytes | None:
        """What opens an attempt of a sealed query, as far as its requester sent it here.

        Raises:
            InvalidMessage: it was wrapped to an encryption key that this miner has no more.
        """
        me = self.identity
        return kept_content_key(self.journal, query, me.keys, me.address, self.deployment)
