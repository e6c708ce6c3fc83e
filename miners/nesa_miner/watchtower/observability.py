"""What a watchtower counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from nesa_miner.disputes.observability import DisputeMetrics

PREFIX = "nesa_watchtower"


class WatchMetrics:
    """One watchtower's series in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.head = Gauge(f"{PREFIX}_head_block", "Newest block read", registry=self.registry)
        self.cases = Gauge(f"{PREFIX}_cases", "Answers under watch", registry=self.registry)
        self.bonds = Gauge(f"{PREFIX}_bonds_nes", "NES in open bonds", registry=self.registry)
        self.skipped = Counter(
            f"{PREFIX}_skipped", "Answers outside of the sampled share", registry=self.registry
        )
        self.inspected = Counter(
            f"{PREFIX}_inspected",
            "Answers that were run again",
            ["verdict"],
            registry=self.registry,
        )
        self.failures = Counter(
            f"{PREFIX}_failures", "Tries that failed and are made again", registry=self.registry
        )
        self.reorgs = Counter(
            f"{PREFIX}_reorgs", "Logs undone by reorganisations", registry=self.registry
        )
        self.equivocations = Counter(
            f"{PREFIX}_equivocations_shown",
            "Members convicted of having signed two outputs",
            registry=self.registry,
        )
        self.evictions = Counter(
            f"{PREFIX}_seats_evicted", "Seats without stake that were ended", registry=self.registry
        )
        self.disputes = DisputeMetrics(self.registry, PREFIX)
