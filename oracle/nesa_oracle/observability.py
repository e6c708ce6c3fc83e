"""What an oracle counts and measures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One oracle's series in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.head = self._gauge("head_block", "Newest block of the node")
        self.processed = self._gauge("processed_block", "Newest block that was read")
        self.jobs = self._gauge("jobs", "Attempts under way")
        self.balance = self._gauge("balance_wei", "Native coin of the signer")
        self.reorgs = self._counter("reorgs", "Logs undone by reorganisations")
        self.seen = self._counter("requests_seen", "Attempts that were opened")
        self.gathered = self._counter("reports_gathered", "Reports that checked out")
        self.refused = self._counter("evidence_refused", "Evidence that did not check out")
        self.silent = self._counter("evidence_silent", "Requests that a member did not answer")
        self.proofs_refused = self._counter("proofs_refused", "Proofs that the chain would refuse")
        self.sent = self._counter("transactions_sent", "Transactions signed and broadcast")
        self.mined = self._counter("transactions_mined", "Reports and deliveries in a block")
        self.reverted = self._counter(
            "transactions_reverted", "Transactions that cost gas for nothing"
        )
        self.withheld = self._counter(
            "transactions_withheld", "Transactions that a simulation refused"
        )
        self.uncovered = self._counter(
            "reports_uncovered", "Times that a report waited for a deposit of gas"
        )
        self.expired = self._counter(
            "queries_expired", "Attempts with a turn of this oracle that nobody answered"
        )
        self.gas_paid = self._counter("gas_paid_wei", "Wei paid for gas")
        self.gathering = Histogram(
            "nesa_oracle_gathering_seconds",
            "Time from the draw to a checked report",
            registry=self.registry,
        )

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"nesa_oracle_{name}", text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"nesa_oracle_{name}", text, registry=self.registry)
