"""From the members' evidence to one report: as many paid results as anybody can show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import ZERO_DIGEST, Digest
from nesa.protocol.queries import Query, ShardReport

Evidence = Mapping[int, Sequence[ShardEvidence]]
"""Checked evidence by shard."""


class FromTo(Protocol):
    """Anything that leads from one boundary of shards to the next."""

    @property
    def in_digest(self) -> Digest:
        """Where it begins."""

    @property
    def out_digest(self) -> Digest:
        """Where it ends."""


Step = TypeVar("Step", bound=FromTo)


@dataclass(frozen=True, slots=True)
class Report:
    """What goes to the chain; `tensors` (inputs of the shards) and `proofs` only when PROVED."""

    shards: tuple[ShardReport, ...]
    output: bytes
    tensors: tuple[bytes, ...] = ()
    proofs: tuple[bytes, ...] = ()

    @property
    def paid(self) -> int:
        """Results in it."""
        return sum(len(shard.results) for shard in self.shards)

    @property
    def is_full(self) -> bool:
        """Whether everybody who committed is paid: nothing is left to wait for."""
        return all(
            len(shard.results) == sum(entry != ZERO_DIGEST for entry in shard.commitments)
            for shard in self.shards
        )


def merged(evidence: Iterable[ShardEvidence]) -> tuple[ShardEvidence, ...]:
    """One for each set and result, with every signature that anybody showed; the fullest first."""
    groups: defaultdict[tuple[object, ...], list[ShardEvidence]] = defaultdict(list)
    for one in evidence:
        digests = (one.in_digest, one.out_digest, one.payload_hash)
        groups[one.round, digests, one.commitments].append(one)
    united = [_united(group) for group in groups.values()]
    return tuple(sorted(united, key=lambda one: (-len(one.results), one.round, one.out_digest)))


def agreed_report(query: Query, found: Evidence) -> Report | None:
    """The report of an AGREED query; None while a shard lacks evidence that fits its neighbours."""
    candidates = [merged(found.get(shard, ())) for shard in range(query.shards)]
    path = chained(query.input_digest, candidates)
    if path is None:
        return None
    return Report(tuple(one.report() for one in path), path[-1].payload)


def chained(in_digest: Digest, candidates: Sequence[Sequence[Step]]) -> tuple[Step, ...] | None:
    """One candidate a shard, each going on from the one before; the first ones are preferred.

    Built from the last shard backwards, so that no number of dead ends makes it slow.
    """
    onward: dict[Digest, tuple[Step, ...]] = {}
    for shard in reversed(range(len(candidates))):
        is_last = shard == len(candidates) - 1
        begun: dict[Digest, tuple[Step, ...]] = {}
        for one in candidates[shard]:
            rest = () if is_last else onward.get(one.out_digest)
            if rest is not None:
                begun.setdefault(one.in_digest, (one, *rest))
        onward = begun
    return onward.get(in_digest)


def _united(group: Sequence[ShardEvidence]) -> ShardEvidence:
    results = {result.position: result for one in group for result in one.results}
    return replace(group[0], results=tuple(results[position] for position in sorted(results)))
