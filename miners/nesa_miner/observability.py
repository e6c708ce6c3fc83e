"""What a miner counts and measures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nesa_miner.observing import ObservedTimes


class Metrics:
    """One miner's series in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.head = Gauge("nesa_miner_head_block", "Newest block read", registry=self.registry)
        self.duties = Gauge("nesa_miner_duties", "Attempts under way", registry=self.registry)
        self.drawn = self._counter("drawn", "Attempts that this miner was drawn for")
        self.refused = self._counter("refused", "Attempts refused because of their input")
        self.dissents = self._counter("dissents", "Results of others that a quorum outvoted")
        self.faults = self._counter("faults", "Members convicted by what they signed")
        self.equivocations = self._counter("equivocations_shown", "Members convicted on chain")
        self.messages = self._counter("messages", "Messages taken")
        self.dropped = self._counter("messages_dropped", "Messages that did not check out")
        self.undelivered = self._counter("undelivered", "Messages that could not be delivered")
        self.reorgs = self._counter("reorgs", "Logs undone by reorganisations")
        self.paid = self._counter("paid", "Answered queries with this miner among the paid")
        self.unpaid = self._counter("unpaid", "Answered queries that left this miner out")
        self.summonses = self._counter("summonses", "Summonses that this miner answered")
        self.misses = Gauge(
            "nesa_miner_misses",
            "Summonses of the last day that this miner did not answer",
            registry=self.registry,
        )
        self.slow_peers = Gauge(
            "nesa_miner_slow_peers",
            "Members far slower than the others of their shard",
            registry=self.registry,
        )
        self.peer_seconds = Gauge(
            "nesa_miner_peer_seconds",
            "Median time from this miner's beginning to a member's commitment",
            ["shard_file", "peer"],
            registry=self.registry,
        )
        self.proving = Histogram(
            "nesa_miner_proof_seconds", "Time to prove a shard", registry=self.registry
        )

    def answered(self, is_paid: bool) -> None:
        """Count a query that was answered."""
        (self.paid if is_paid else self.unpaid).inc()

    def show_peers(self, observed: ObservedTimes) -> None:
        """Set the series of peers; those that are not watched any more are gone."""
        self.slow_peers.set(len(observed.slow()))
        self.peer_seconds.clear()
        for (shard, peer), seconds in observed.medians().items():
            self.peer_seconds.labels(shard.hex(), peer).set(seconds)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"nesa_miner_{name}", text, registry=self.registry)
