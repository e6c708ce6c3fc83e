"""What draws risk: `python -m benchmarks.draw` prints the table of docs/economics.md."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from nesa.protocol.risk import corrupt_seats, uniform_risk

SEATS: Final = 60
SHARES: Final = (Fraction(1, 10), Fraction(1, 5), Fraction(1, 3))
REPLICAS: Final = (4, 7, 8)
SHARDS: Final = (1, 2, 6)


def table() -> str:
    """Captured and stalled queries, by corrupt share, members and shards."""
    heads = [f"{shards} shard{'s' * (shards > 1)}: captured | stalled" for shards in SHARDS]
    lines = ["| corrupt seats | r | " + " | ".join(heads) + " |"]
    lines.append("|---:|---:|" + "---:|" * (2 * len(SHARDS)))
    lines += [_line(share, replicas) for share in SHARES for replicas in REPLICAS]
    return "\n".join(lines)


def _line(share: Fraction, replicas: int) -> str:
    risks = [uniform_risk([SEATS] * shards, share, replicas) for shards in SHARDS]
    cells = [_percent(value) for risk in risks for value in (risk.captured, risk.stalled)]
    return f"| {corrupt_seats(SEATS, share)} of {SEATS} | {replicas} | " + " | ".join(cells) + " |"


def _percent(probability: Fraction) -> str:
    return f"{float(probability * 100):.2g} %"


if __name__ == "__main__":
    print(table())
