"""Keeps what convicts members, and names them: in the log, in the metrics and to whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from nesa.chain.committees import Seat
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.faults import Equivocation, Fault, context_of, decode_fault, encode_fault
from nesa.protocol.ids import Address
from nesa_miner.jobs import JobKey, StoredFault
from nesa_miner.journal import Journal
from nesa_miner.observability import Metrics

Convict = Callable[[Address, Equivocation], None]
"""Takes a signer and what it signed twice."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class FaultStore:
    """Faults by attempt, in the journal; `convict` is told of those that a court takes."""

    journal: Journal
    metrics: Metrics
    convict: Convict | None = None

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
            if self.convict is not None and isinstance(fault, Equivocation):
                self.convict(seat.signer, fault)


def kept_equivocations(journal: Journal) -> Iterator[tuple[Address, Equivocation]]:
    """(signer, what it signed twice) of everything in a miner's journal."""
    for stored in journal.equivocations():
        try:
            fault = decode_fault(stored.body)
        except InvalidMessage:
            continue  # of a release that did not keep the sets
        if isinstance(fault, Equivocation):
            yield Address(stored.signer), fault
