"""What a disputed shard was given: as it was kept, else computed again from the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from nesa.chain.history import QueryHistory
from nesa.models.disputes.traces import Charge
from nesa.models.graph import Table
from nesa.models.judging import Witness
from nesa.privacy.shared.members import share_of
from nesa.privacy.shared.wire import ShareRequest, decode_request
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import Unavailable
from nesa.protocol.evidence import decode_pieces
from nesa.protocol.ids import Digest, QueryId, VersionId
from nesa.protocol.messages import Handoff
from nesa.protocol.queries import Query
from nesa.protocol.sessions import is_session
from nesa.protocol.wire import decode_message
from nesa_miner.boundaries import decode_boundary
from nesa_miner.jobs import Job, WorkKey
from nesa_miner.journal import Journal
from nesa_miner.surroundings import WitnessLibrary
from nesa_miner.work import Task, Tensors, is_sealed


@dataclass(frozen=True, slots=True)
class Recomputed:
    """All values of a disputed shard by its table, and what hides its output in a sealed query."""

    witness: Witness
    blind: bytes | None = None


def kept_inputs(journal: Journal, query_id: int, in_digest: Digest) -> Iterator[Tensors]:
    """Tensors that this miner may have been given under a digest, in any attempt."""
    for job in journal.attempts(query_id):
        if job.seed is not None:
            yield from _kept_for(journal, job, WorkKey(job.key, job.seed, in_digest))


ReadHistory = Callable[[QueryId], Awaitable[QueryHistory]]
"""What the chain says of a query."""

ReadContentKey = Callable[[Query], bytes | None]
"""What opens a sealed query as far as it is here; None also of an open one."""


ReadProducts = Callable[[QueryId], Awaitable[tuple[VersionId, ...]]]
"""The versions of a session's products."""


@dataclass(frozen=True, slots=True)
class Recomputer:
    """Computes disputed shards again by the definition of their table.

    `history` is what the chain says of a query, `products` of a session; `journal` holds what a
    miner was given. Both are None for who was given nothing.
    """

    library: WitnessLibrary
    history: ReadHistory
    content_key: ReadContentKey
    journal: Journal | None = None
    products: ReadProducts | None = None

    async def compute(self, query_id: QueryId, charge: Charge) -> Recomputed:
        """The shard of a charge.

        Raises:
            InvalidInput: the version cannot be had, or the request is no input of it.
            InvalidMessage: the request does not open with the content key.
            Unavailable: the node does not answer, the content key of a sealed query is missing, or
                as `WitnessLibrary.witness`.
            IntegrityError: see `WitnessLibrary.witness`.
        """
        if is_session(query_id):
            return await self._product(query_id, charge)
        asked = await self.history(query_id)
        task = Task(asked.query, charge.shard, self.content_key(asked.query))
        kept: list[Tensors] = []
        if self.journal is not None:
            in_digest = task.signed(charge.shard, Digest(charge.in_digest))
            kept = list(kept_inputs(self.journal, query_id, in_digest))
        return await recompute(self.library, task, asked.requested.input, charge, kept)

    async def _product(self, session_id: QueryId, charge: Charge) -> Recomputed:
        """A product of a session, of the share that this miner was sent.

        A client may send one share to two products; the charge names the table of one of them.
        """
        if self.journal is not None and self.products is not None:
            versions = await self.products(session_id)
            for body in self.journal.sessions.requests(session_id, Digest(charge.in_digest)):
                witness = await self._multiplied(versions, decode_request(body))
                if witness.rows.root == charge.operators_root:
                    return Recomputed(witness)
        raise Unavailable(f"the share that session {session_id} is sued for is not here")

    async def _multiplied(self, versions: tuple[VersionId, ...], request: ShareRequest) -> Witness:
        version_id = versions[request.number]
        table = await self.library.outline(version_id)
        (edge,) = table.types_of(table.shards[0].inputs)
        return await self.library.witness(version_id, 0, (share_of(request, edge),))


async def recompute(
    library: WitnessLibrary,
    task: Task,
    sent: bytes,
    charge: Charge,
    kept: Iterable[Tensors] = (),
) -> Recomputed:
    """The disputed shard of `task`, `sent` being what the request carried.

    What the shard was given is the first of `kept` that the charge names, else what the shards
    before it make of the request; they may have been wrong, and then the charge is another one.

    Raises:
        InvalidInput: the version cannot be had, or the request is no input of it.
        InvalidMessage: the request does not open with the task's content key.
        Unavailable: the content key of a sealed query is missing; or as `WitnessLibrary.witness`.
        IntegrityError: see `WitnessLibrary.witness`.
    """
    if is_sealed(task.query) and task.content_key is None:
        raise Unavailable(f"the content key of query {task.query.query_id} is not here")
    witness = await _witness(library, task, sent, charge, kept)
    return Recomputed(witness, task.blind(charge.shard + 1))


async def _witness(
    library: WitnessLibrary, task: Task, sent: bytes, charge: Charge, kept: Iterable[Tensors]
) -> Witness:
    query = task.query
    table = await library.outline(query.version_id)
    for tensors in kept:
        if digest_before(table, charge.shard, tensors) == charge.in_digest:
            return await library.witness(query.version_id, charge.shard, tensors)
    witness = await library.witness(query.version_id, 0, (task.opened(sent),))
    for number in range(charge.shard):
        passed = outputs_of(witness, number)
        witness = await library.witness(query.version_id, number + 1, passed)
    return witness


def outputs_of(witness: Witness, shard: int) -> Tensors:
    """Canonical bytes of what a shard makes."""
    return tuple(map(witness.encoded, witness.table.shards[shard].outputs))


def digest_before(table: Table, shard: int, tensors: Tensors) -> Digest | None:
    """Digest of tensors in front of a shard; None when they are not of its edges."""
    edges = table.types_of(table.shards[shard].inputs)
    if [len(data) for data in tensors] != [edge.nbytes for edge in edges]:
        return None
    return boundary_digest(edges, tensors)


def _kept_for(journal: Journal, job: Job, work: WorkKey) -> Iterator[Tensors]:
    boundary = journal.boundary(work)
    if boundary is not None:
        yield decode_boundary(boundary)
    evidence = journal.evidence_of(work)
    if evidence is not None:
        yield from (piece.tensors_in for piece in decode_pieces(evidence))
    for _, body in journal.handoffs(job.key, work.seed):
        message = decode_message(body)
        if isinstance(message, Handoff) and message.out_digest == work.in_digest:
            yield message.tensors
