"""Keeps what convicts members, and names them: in the log, in the metrics and to whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from nesa.chain.committees import Seat
from nesa.protocol.faults import Fault, context_of, encode_fault
from nesa_miner.jobs import JobKey, StoredFault
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class FaultStore:
    """Faults by attempt, in the journal."""

    journal: Journal
    metrics: Metrics

    def keep(self, seats: Sequence[Seat], faults: Iterable[Fault]) -> None:
        """Store faults whose signatures were checked; `seats` are their committee's."""
        for fault in faults:
            self._keep(seats[fault.position], fault)

    def _keep(self, seat: Seat, fault: Fault) -> None:
        context, kind = context_of(fault), type(fault).__name__
        stored = StoredFault(context.shard, seat.signer, kind, encode_fault(fault))
        key = JobKey((context.query_id, context.attempt))
        if self.journal.keep_fault(key, context.seed, stored):
            self.metrics.faults.inc()
            log.warning(
                "fault", query=key[0], shard=context.shard, operator=seat.operator, kind=kind
            )
