"""Which prover's evidence of each shard makes the report of a PROVED query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nesa.protocol.circuits import ShownEdge
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidTensor
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Digest, Timestamp
from nesa.protocol.outcomes import prover_begins
from nesa.protocol.queries import Query, ShardReport
from nesa_oracle.report import Report, chained

MAX_PROOF_BYTES = 4_608
MAX_PROVED_TENSOR_BYTES = 512
"""What the market takes of each."""


ProofKey = tuple[int, Digest, Digest, bytes]
"""(shard, in digest, out digest, proof): what a proof claims is part of what was refused."""


@dataclass(frozen=True, slots=True)
class Proved:
    """Checked evidence of the prover drawn at `position`, whose proof is not looked at yet."""

    position: int
    evidence: ShardEvidence

    @property
    def in_digest(self) -> Digest:
        """What the prover worked on."""
        return self.evidence.in_digest

    @property
    def out_digest(self) -> Digest:
        """What it made of that."""
        return self.evidence.out_digest

    @property
    def proof(self) -> bytes:
        """The proof, empty when the prover has not made it yet."""
        return self.evidence.proof or b""

    def key(self, shard: int) -> ProofKey:
        """What the chain is asked when it is asked about the proof."""
        return (shard, self.in_digest, self.out_digest, self.proof)

    def report(self) -> ShardReport:
        """The part for the chain: a set of one, with the prover's real place in the draw."""
        (result,) = self.evidence.results
        placed = replace(result, position=self.position)
        return replace(self.evidence.report(), results=(placed,))


Inputs = Sequence[Mapping[Digest, bytes]]
"""Of each shard what the chain gets of inputs, by digest: tensors that somebody showed, or nothing
but the digest where circuits hash them."""


def proved_path(
    query: Query, found: Mapping[int, Sequence[Proved]], inputs: Inputs, now: Timestamp
) -> tuple[Proved, ...] | None:
    """One prover a shard, the earliest in the draw first; None while a shard has none.

    Whoever worked on a tensor that nobody shows does not count: the chain wants to see it.
    """
    usable = [
        [
            one
            for one in sorted(found.get(shard, ()), key=lambda one: one.position)
            if one.in_digest in inputs[shard] and _may_be_paid(query, one, now)
        ]
        for shard in range(query.shards)
    ]
    return chained(query.input_digest, usable)


def proved_report(path: Sequence[Proved], inputs: Inputs) -> Report:
    """The report along `path`."""
    shards = tuple(one.report() for one in path)
    tensors = tuple(known[one.in_digest] for known, one in zip(inputs, path, strict=True))
    proofs = tuple(one.proof for one in path)
    return Report(shards, path[-1].evidence.payload, tensors, proofs)


def shown_inputs(
    edges: Sequence[ShownEdge], tensors: Iterable[bytes], digests: Iterable[Digest]
) -> Inputs:
    """Which of `tensors` or `digests` are inputs of which shard, given how proofs show those."""
    shown, worked_on = set(tensors), {digest: bytes(digest) for digest in digests}
    return [worked_on if edge.is_hashed else _of_type(edge.edge, shown) for edge in edges]


def _of_type(edge: EdgeType, tensors: Iterable[bytes]) -> Mapping[Digest, bytes]:
    return {boundary_digest([edge], [data]): data for data in tensors if _has_type(edge, data)}


def tensors_of(evidence: Iterable[ShardEvidence]) -> set[bytes]:
    """Every tensor in the evidence."""
    return {tensor for one in evidence for tensor in (*one.tensors_in, *one.tensors_out)}


def _may_be_paid(query: Query, proved: Proved, now: Timestamp) -> bool:
    begins = prover_begins(query, proved.position)
    return begins is not None and begins <= now and 0 < len(proved.proof) <= MAX_PROOF_BYTES


def _has_type(edge: EdgeType, data: bytes) -> bool:
    try:
        edge.decode(data)
    except InvalidTensor:
        return False
    return True
