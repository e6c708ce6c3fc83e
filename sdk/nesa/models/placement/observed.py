"""Finds miners that claim more than they do, from the times that their work took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median, median_low
from typing import Final

from nesa.protocol.errors import InvalidInput

TOLERANCE: Final = 1.0
"""A claim holds until the median run takes more than `1 + TOLERANCE` times what is usual."""

LEAST_RUNS: Final = 5


class Verdict(Enum):
    """What the observed times say about a claim."""

    HOLDS = "holds"
    OVERSTATED = "overstated"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Observation:
    """One run: seconds that the claimed capacity predicts, and seconds that passed."""

    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict with the median of observed over predicted times, and how many runs it is of."""

    verdict: Verdict
    ratio: float
    runs: int


def find_overstated(
    runs: Mapping[str, Sequence[Observation]], tolerance: float = TOLERANCE
) -> dict[str, Finding]:
    """A finding for each miner, from what all of them needed for the same shard.

    Predictions leave out what every machine has (calls, small matrices, other load), so honest
    miners are off by a like factor: a claim is held against the median factor of all miners, at
    least 1. More than half of the miners have to be honest for that.

    Raises:
        InvalidInput: see `judge_claim`.
    """
    factors = [judge_claim(one, tolerance).ratio for one in runs.values() if one]
    usual = max(1.0, median_low(factors)) if factors else 1.0
    return {name: judge_claim(one, tolerance, usual) for name, one in runs.items()}


def find_slow(
    predicted: Mapping[str, float], seconds: Mapping[str, Sequence[float]]
) -> dict[str, Finding]:
    """The overstated claims, from times that hold more than the run: ways, and by how much miners
    begin apart.

    Honest times may exceed predictions by a like factor, or by a like delay: in a shard of
    microseconds that is all there is, and a fast machine is no liar for it. A claim is overstated
    where neither explains it. The delay is the lower median of what median runs took beyond their
    predictions. Miners without a prediction are left out.

    Raises:
        InvalidInput: see `judge_claim`.
    """
    runs = {name: seconds[name] for name in seconds if name in predicted and seconds[name]}
    beyond = [median(times) - predicted[name] for name, times in runs.items()]
    delay = max(0.0, median_low(beyond)) if beyond else 0.0
    by_factor, by_delay = (
        find_overstated(
            {name: [Observation(predicted[name] + one, run) for run in runs[name]] for name in runs}
        )
        for one in (0.0, delay)
    )
    overstated = Verdict.OVERSTATED
    return {
        name: finding
        for name, finding in by_delay.items()
        if (finding.verdict, by_factor[name].verdict) == (overstated, overstated)
    }


def judge_claim(
    runs: Sequence[Observation], tolerance: float = TOLERANCE, usual: float = 1.0
) -> Finding:
    """Whether a claimed capacity fits what was observed.

    The median counts, so that fewer slow runs than half of them convict nobody, and fewer fast
    ones acquit nobody. Below LEAST_RUNS runs nothing is decided. `usual` is the factor by which
    observed times of honest miners exceed predicted ones.

    Raises:
        InvalidInput: a time that is not positive and finite, or a negative tolerance.
    """
    if not 0 <= tolerance < float("inf"):
        raise InvalidInput(f"a tolerance is 0 or more, not {tolerance}")
    if any(not 0 < time < float("inf") for run in runs for time in (run.predicted, run.observed)):
        raise InvalidInput("observed and predicted times must be positive")
    ratio = median(run.observed / run.predicted for run in runs) if runs else 0.0
    if len(runs) < LEAST_RUNS:
        return Finding(Verdict.UNDECIDED, ratio, len(runs))
    honest = ratio <= (1 + tolerance) * usual
    return Finding(Verdict.HOLDS if honest else Verdict.OVERSTATED, ratio, len(runs))
