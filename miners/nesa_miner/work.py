"""What a member computes for one shard, and what it checks before it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from nesa.models.proving.hashing import tensor_hash
from nesa.models.proving.prover import NO_BLIND
from nesa.privacy.sealing import (
    blind,
    carried_bytes,
    open_input,
    proof_blind,
    seal_answer,
    seal_input,
    sealed_digest,
)
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.commitments import ShardContext
from nesa.protocol.contents import content_name, is_long_answer, is_long_input
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage, InvalidTensor
from nesa.protocol.evidence import evidence_of, verify_evidence
from nesa.protocol.ids import ZERO_DIGEST, Address, Digest
from nesa.protocol.messages import MAX_CARRIED_BYTES, Handoff
from nesa.protocol.queries import Assurance, Privacy, Query
from nesa.protocol.versions import ShardFacts
from nesa_miner.agreement.events import OwnResult

Tensors = tuple[bytes, ...]
Run = Callable[[Sequence[bytes]], Tensors]
"""Runs a shard: canonical bytes in the order of its input edges to those of its output edges."""


@dataclass(frozen=True, slots=True)
class Task:
    """One shard of one attempt; `content_key` is None unless the query is sealed.

    `circuits` are those that prove a sealed query: its digests are what they show.
    """

    query: Query
    shard: int
    content_key: bytes | None
    circuits: CircuitKind = CircuitKind.PUBLIC

    @property
    def is_last(self) -> bool:
        """Whether this shard's output is the answer."""
        return self.shard == self.query.shards - 1

    @property
    def is_hashed(self) -> bool:
        """Whether boundaries are known by what hashed circuits show of them."""
        return self.circuits is not CircuitKind.PUBLIC

    @property
    def shows_answer(self) -> bool:
        """Whether the answer goes on chain as it is."""
        return self.content_key is None or self.circuits is CircuitKind.HASHED

    @property
    def proof_blind(self) -> bytes:
        """What hides the tensors that a proof is about."""
        return NO_BLIND if self.content_key is None else proof_blind(self.content_key)

    def digest(self, boundary: int, edges: Sequence[EdgeType], tensors: Sequence[bytes]) -> Digest:
        """What is committed to for `tensors` at a boundary; 0 is the input of the first shard.

        Raises:
            InvalidTensor: other tensors than the edges are for, by number or length.
        """
        if [len(data) for data in tensors] != [edge.nbytes for edge in edges]:
            raise InvalidTensor("the tensors do not have the lengths of their edges")
        if not self.is_hashed:
            return self.signed(boundary, boundary_digest(edges, tensors))
        if boundary == self.query.shards and self.shows_answer:
            return boundary_digest(edges, tensors)
        return tensor_hash(edges[0], tensors[0], self.proof_blind)

    def signed(self, boundary: int, plain: Digest) -> Digest:
        """What is committed to in place of a boundary's plain digest."""
        if self.content_key is None:
            return plain
        return sealed_digest(self.content_key, boundary, plain)

    def blind(self, boundary: int) -> bytes | None:
        """What hides a boundary's digest; None of an open query."""
        return None if self.content_key is None else blind(self.content_key, boundary)

    def sealed(self, data: bytes) -> bytes:
        """What a request carries of the input tensor `data`, or its locator leads to."""
        if self.content_key is None:
            return data
        return seal_input(self.content_key, self.query.version_id, data)

    def opened(self, sent: bytes) -> bytes:
        """The input tensor that a request carried.

        Raises:
            InvalidMessage: the ciphertext does not open with the content key.
        """
        if self.content_key is None:
            return sent
        return open_input(self.content_key, self.query.version_id, sent)

    def payload(self, out_digest: Digest, tensors: Tensors) -> bytes:
        """What goes on chain: the answer or its ciphertext, that behind what a proof shows of it,
        what a long one goes by in its place, nothing before the last shard."""
        if not self.is_last:
            return b""
        answer = self.answer(tensors[0])
        if self.is_hashed and not self.shows_answer:
            return out_digest + answer
        if not is_long_answer(len(answer)):
            return answer
        return out_digest if self.content_key is None else content_name(answer)

    def answer(self, data: bytes) -> bytes:
        """What the client gets for the output `data`: that, or its ciphertext."""
        query, content_key = self.query, self.content_key
        if content_key is None or self.shows_answer:
            return data
        return seal_answer(content_key, query.version_id, query.input_digest, data)


def compute(task: Task, facts: ShardFacts, run: Run, tensors: Tensors) -> OwnResult:
    """This member's own result.

    Raises:
        InvalidTensor: an input tensor is not of its edge's type.
    """
    outputs = run(tensors)
    out_digest = task.digest(task.shard + 1, facts.output_edges, outputs)
    payload = task.payload(out_digest, outputs)
    return OwnResult(
        in_digest=task.digest(task.shard, facts.input_edges, tensors),
        out_digest=out_digest,
        tensors=outputs,
        payload_hash=Digest(keccak(payload)) if payload else ZERO_DIGEST,
        payload=payload,
        tensors_in=tensors,
    )


def requested_input(task: Task, facts: ShardFacts, sent: bytes) -> Tensors:
    """The input tensor of the first shard, from what the request carried or its locator led to.

    Raises:
        InvalidMessage: the ciphertext does not open with the content key, or holds something else
            than the request's digest names.
        InvalidTensor: it does not have the length of an input.
    """
    data = task.opened(sent)
    if task.digest(0, facts.input_edges, (data,)) != task.query.input_digest:
        raise InvalidMessage("the input is not what the request's digest names")
    return (data,)


def require_handed_input(
    task: Task,
    facts: ShardFacts,
    upstream: ShardContext,
    members: Sequence[Address],
    handoff: Handoff,
) -> None:
    """Returns when a hand-over carries or names input of a later shard, from the shard before.

    `members` are the signers of that shard's committee in draw order.

    Raises:
        InvalidMessage: no quorum attested it, the tensors are not what they attested, or the first
            shard did not work on the request.
        InvalidTensor: they do not have the lengths of an input.
    """
    if handoff.context != upstream:
        raise InvalidMessage("the hand-over is for another shard, attempt or seed")
    if upstream.shard == 0 and handoff.in_digest != task.query.input_digest:
        raise InvalidMessage("the first shard worked on something else than the request")
    verify_evidence(upstream, members, len(members), evidence_of(handoff))
    size = sum(edge.nbytes for edge in facts.input_edges)
    if size > MAX_CARRIED_BYTES and not handoff.tensors:
        return
    if task.digest(task.shard, facts.input_edges, handoff.tensors) != handoff.out_digest:
        raise InvalidMessage("the tensors handed over are not those that were attested")


def carried_input(query: Query, facts: ShardFacts) -> int:
    """Bytes of the query's input as a request would carry it; `facts` are the first shard's."""
    return carried_bytes(query.privacy, sum(edge.nbytes for edge in facts.input_edges))


def has_long_input(query: Query, facts: ShardFacts) -> bool:
    """Whether the request carries a locator; `facts` are the first shard's."""
    return is_long_input(carried_input(query, facts))


def is_sealed(query: Query) -> bool:
    """Whether the query needs its content key."""
    return query.privacy is Privacy.SEALED


def is_proved_sealed(query: Query) -> bool:
    """Whether hashed circuits prove the query."""
    return is_sealed(query) and query.assurance is Assurance.PROVED
