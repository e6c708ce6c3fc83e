"""Turns evidence into a checked report, for queries with and without proofs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Timestamp
from nesa_oracle.checks import Case, check_report
from nesa_oracle.evidence import MemberKey
from nesa_oracle.observability import Metrics
from nesa_oracle.proofs.selection import (
    Proved,
    proved_path,
    proved_report,
    shard_inputs,
    shown_tensors,
)
from nesa_oracle.proofs.verification import ProofChecker
from nesa_oracle.report import Report, agreed_report

Clock = Callable[[], Timestamp]
"""Chain time."""


class Assembler:
    """Makes the reports of one case; remembers which proofs the chain would refuse."""

    def __init__(
        self, case: Case, sent: bytes, checker: ProofChecker, clock: Clock, metrics: Metrics
    ) -> None:
        self._case = case
        self._sent = sent
        self._checker = checker
        self._clock = clock
        self._metrics = metrics
        self._refused: set[tuple[int, bytes]] = set()

    async def assemble(self, found: Mapping[MemberKey, ShardEvidence]) -> Report | None:
        """The best report of `found`.

        Raises:
            InvalidMessage: the contracts would refuse it, although each part checked out.
        """
        report = await self._proved(found) if self._case.is_proved else self._agreed(found)
        if report is not None:
            check_report(self._case, report, self._clock())
        return report

    def _agreed(self, found: Mapping[MemberKey, ShardEvidence]) -> Report | None:
        by_shard: defaultdict[int, list[ShardEvidence]] = defaultdict(list)
        for (shard, _), evidence in found.items():
            by_shard[shard].append(evidence)
        return agreed_report(self._case.query, by_shard)

    async def _proved(self, found: Mapping[MemberKey, ShardEvidence]) -> Report | None:
        query = self._case.query
        edges = await self._checker.input_edges(query)
        while True:
            provers = self._provers(found)
            path = proved_path(query, provers, self._clock())
            if path is None:
                return None
            tensors = shard_inputs(edges, path, shown_tensors(provers, self._sent))
            if tensors is None:
                return None
            report = proved_report(path, tensors)
            refused = await self._checker.refused(query, report)
            if not refused:
                return report
            self._metrics.proofs_refused.inc(len(refused))
            self._refused |= {(shard, path[shard].proof) for shard in refused}

    def _provers(self, found: Mapping[MemberKey, ShardEvidence]) -> dict[int, list[Proved]]:
        provers: defaultdict[int, list[Proved]] = defaultdict(list)
        for (shard, position), evidence in found.items():
            proved = Proved(position, evidence)
            if proved.proof and (shard, proved.proof) not in self._refused:
                provers[shard].append(proved)
        return provers
