"""Turns evidence into a checked report, for queries with and without proofs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import chain

from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Timestamp
from nesa_oracle.checks import Case, check_report
from nesa_oracle.evidence import Found
from nesa_oracle.observability import Metrics
from nesa_oracle.places import in_draw
from nesa_oracle.proofs.selection import (
    ProofKey,
    Proved,
    proved_path,
    proved_report,
    shown_inputs,
    tensors_of,
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
        self._refused: set[ProofKey] = set()

    async def assemble(self, found: Found) -> Report | None:
        """The best report of `found`.

        Raises:
            InvalidMessage: the contracts would refuse it, although each part checked out.
        """
        report = await self._proved(found) if self._case.is_proved else self._agreed(found)
        if report is not None:
            check_report(self._case, report, self._clock())
        return report

    def _agreed(self, found: Found) -> Report | None:
        by_shard: defaultdict[int, list[ShardEvidence]] = defaultdict(list)
        for (shard, _), pieces in found.items():
            by_shard[shard].extend(pieces)
        report = agreed_report(self._case.query, by_shard)
        return report and in_draw(self._case.committees, self._case.context, report)

    async def _proved(self, found: Found) -> Report | None:
        query = self._case.query
        edges = await self._checker.input_edges(query)
        pieces = list(chain.from_iterable(found.values()))
        digests = [piece.in_digest for piece in pieces]
        inputs = shown_inputs(edges, {self._sent, *tensors_of(pieces)}, digests)
        while True:
            path = proved_path(query, self._provers(found), inputs, self._clock())
            if path is None:
                return None
            report = proved_report(path, inputs)
            refused = await self._checker.refused(query, report)
            if not refused:
                return report
            self._metrics.proofs_refused.inc(len(refused))
            self._refused |= {path[shard].key(shard) for shard in refused}

    def _provers(self, found: Found) -> dict[int, list[Proved]]:
        provers: defaultdict[int, list[Proved]] = defaultdict(list)
        for (shard, position), pieces in found.items():
            shown = [Proved(position, piece) for piece in pieces]
            provers[shard] += [one for one in shown if one.key(shard) not in self._refused]
        return provers
