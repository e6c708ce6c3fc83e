"""What one side's disputes count, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class DisputeMetrics:
    """Series of one daemon's disputes in its registry."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        name = f"{prefix}_disputes"
        self.open = Gauge(f"{name}_open", "Challenges under way", registry=registry)
        self.missing_coins = Gauge(
            f"{name}_missing_coins",
            "Coins that the account lacks for one whole defence",
            registry=registry,
        )
        self.challenges = Counter(f"{name}_seen", "Challenges that concern us", registry=registry)
        self.ended = Counter(f"{name}_ended", "How challenges ended", ["ending"], registry=registry)
        self.moves = Counter(f"{name}_moves", "Moves made", registry=registry)
        self.failures = Counter(f"{name}_failures", "Tries that failed", registry=registry)
        self.indefensible = Counter(
            f"{name}_indefensible",
            "Challenges given up, because our values do not support our side",
            registry=registry,
        )
