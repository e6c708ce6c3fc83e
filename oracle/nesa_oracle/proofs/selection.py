"""Which prover's evidence of each shard makes the report of a PROVED query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class Proved:
    """Checked evidence of the prover drawn at `position`, whose proof is not looked at yet."""

    position: int
    evidence: ShardEvidence

    @property
    def proof(self) -> bytes:
        """The proof, empty when the prover has not made it yet."""
        return self.evidence.proof or b""

    def report(self) -> ShardReport:
        """The part for the chain: a set of one, with the prover's real place in the draw."""
        (result,) = self.evidence.results
        placed = replace(result, position=self.position)
        return replace(self.evidence.report(), results=(placed,))


def proved_path(
    query: Query, found: Mapping[int, Sequence[Proved]], now: Timestamp
) -> tuple[Proved, ...] | None:
    """One prover a shard, the earliest in the draw first; None while a shard has none."""
    usable = [
        [one for one in _by_position(found.get(shard, ())) if _may_be_paid(query, one, now)]
        for shard in range(query.shards)
    ]
    path = chained(query.input_digest, [[one.evidence for one in shard] for shard in usable])
    if path is None:
        return None
    pairs = zip(path, usable, strict=True)
    return tuple(next(one for one in shard if one.evidence is chosen) for chosen, shard in pairs)


def proved_report(path: Sequence[Proved], tensors: tuple[bytes, ...]) -> Report:
    """The report along `path`; `tensors` are the inputs of the shards."""
    shards = tuple(one.report() for one in path)
    proofs = tuple(one.proof for one in path)
    return Report(shards, path[-1].evidence.payload, tensors, proofs)


def shard_inputs(
    edges: Sequence[EdgeType], path: Sequence[Proved], shown: Iterable[bytes]
) -> tuple[bytes, ...] | None:
    """Canonical input of every shard, found by its digest among the tensors that were shown."""
    known = tuple(shown)
    inputs = [
        _with_digest(edge, one.evidence.in_digest, known)
        for edge, one in zip(edges, path, strict=True)
    ]
    return None if None in inputs else tuple(given for given in inputs if given is not None)


def shown_tensors(found: Mapping[int, Sequence[Proved]], sent: bytes) -> set[bytes]:
    """The query's own input and every tensor in the evidence."""
    everything = (one.evidence for shard in found.values() for one in shard)
    tensors = {tensor for one in everything for tensor in (*one.tensors_in, *one.tensors_out)}
    return tensors | {sent}


def _by_position(proved: Sequence[Proved]) -> list[Proved]:
    return sorted(proved, key=lambda one: one.position)


def _may_be_paid(query: Query, proved: Proved, now: Timestamp) -> bool:
    begins = prover_begins(query, proved.position)
    return begins is not None and begins <= now and 0 < len(proved.proof) <= MAX_PROOF_BYTES


def _with_digest(edge: EdgeType, digest: Digest, shown: Iterable[bytes]) -> bytes | None:
    for data in shown:
        if len(data) == edge.nbytes and boundary_digest([edge], [data]) == digest:
            try:
                edge.decode(data)
            except InvalidTensor:
                return None
            return data
    return None
