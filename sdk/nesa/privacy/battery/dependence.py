"""T7 and T8: whether what is seen depends on what was asked at all.

Distance correlation is the bias-corrected one (Szekely and Rizzo 2013): 0 for independent samples
on average, also in many dimensions. It says how much of the geometry shows, not what can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nesa.privacy.battery.findings import SIGMAS

SHUFFLES: Final = 20
SAMPLES: Final = 100

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dependence:
    """A statistic, and its mean and deviation when pairs are shuffled."""

    value: float
    shuffled: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Uniformity:
    """How far digits lie from uniform, in standard deviations of a uniform sample.

    `chi_square` is the largest over the places of a word, `kolmogorov` that of whole words in units
    of 1 / sqrt(n), of which 1.95 is exceeded once in 1000 times.
    """

    chi_square: float
    kolmogorov: float

    @property
    def is_uniform(self) -> bool:
        """Whether chance explains it."""
        return abs(self.chi_square) <= SIGMAS and self.kolmogorov <= 2.3


def distance_correlation(first: NDArray[Any], second: NDArray[Any]) -> Dependence:
    """Bias-corrected distance correlation of paired rows [n, ..] and [n, ..], n >= 4.

    The square of shuffled pairs lies around 0 with a variance of 2 / (n (n - 3)), whatever is
    paired; a few shuffles would tell it worse. SIGMAS deviations are taken of the square, and
    `deviation` is a part of the root of that.
    """
    ours, theirs = _centred(first), _centred(second)
    scale = np.sqrt(_inner(ours, ours) * _inner(theirs, theirs))
    square = _inner(ours, theirs) / scale if scale else 0.0
    spread = np.sqrt(2 / (len(ours) * (len(ours) - 3)))
    value = np.sign(square) * np.sqrt(abs(square))
    return Dependence(float(value), 0.0, float(np.sqrt(SIGMAS * spread)) / SIGMAS)


def uniformity(digits: NDArray[np.uint8], bits: int = 8) -> Uniformity:
    """Tests of words that are written in digits [count, ..] of so many bits, the lowest first:
    chi-square of each place, Kolmogorov-Smirnov of the words."""
    columns = digits.reshape(len(digits), -1)
    worst = max((_chi_square(column, bits) for column in columns), key=abs)
    scale = 2.0 ** (bits * np.arange(-len(columns), 0, dtype=np.float64))
    ordered = np.sort(scale @ columns)
    steps = np.arange(1, ordered.size + 1) / ordered.size
    gap = max(np.abs(ordered - steps).max(), np.abs(ordered - steps + 1 / ordered.size).max())
    return Uniformity(worst, float(gap * np.sqrt(ordered.size)))


def variation(digits: NDArray[np.uint8], bits: int = 8, seed: int = 0) -> Dependence:
    """Total variation between digits of so many bits and uniform ones; as it is for uniform samples
    of the same size beside it."""
    draws, high = np.random.default_rng(seed), 1 << bits
    counts = draws.multinomial(digits.size, np.full(high, 1 / high), SAMPLES)
    uniform = [_variation(each) for each in counts]
    seen = _variation(np.bincount(digits.reshape(-1), minlength=high))
    return Dependence(seen, float(np.mean(uniform)), float(np.std(uniform)))


def mutual_information(first: NDArray[Any], second: NDArray[Any], seed: int = 0) -> Dependence:
    """Bits that one of two paired columns of small integers [n] tells about the other.

    The plain estimate is above 0 for independent columns; what shuffled ones have is beside it.
    """
    draws = np.random.default_rng(seed)
    found = [_bits(first, draws.permutation(second)) for _ in range(SHUFFLES)]
    return Dependence(_bits(first, second), float(np.mean(found)), float(np.std(found)))


def _centred(rows: NDArray[Any]) -> Matrix:
    """U-centred matrix of distances [n, n]."""
    values = np.asarray(rows, np.float64).reshape(len(rows), -1)
    norms = np.einsum("ij,ij->i", values, values)
    gaps = np.sqrt(np.maximum(norms[:, None] + norms - 2 * values @ values.T, 0))
    np.fill_diagonal(gaps, 0)
    count, sums = len(gaps), gaps.sum(0)
    gaps -= (sums[:, None] + sums) / (count - 2) - sums.sum() / ((count - 1) * (count - 2))
    np.fill_diagonal(gaps, 0)
    centred: Matrix = gaps
    return centred


def _inner(first: Matrix, second: Matrix) -> float:
    return float((first * second).sum())


def _chi_square(column: NDArray[np.uint8], bits: int) -> float:
    cells = 1 << bits
    expected = column.size / cells
    statistic = np.square(np.bincount(column, minlength=cells) - expected).sum() / expected
    return float((statistic - cells + 1) / np.sqrt(2 * (cells - 1)))


def _variation(counts: NDArray[np.int64]) -> float:
    shares = counts / counts.sum()
    return float(np.abs(shares - 1 / len(counts)).sum() / 2)


def _bits(first: NDArray[Any], second: NDArray[Any]) -> float:
    _, ours = np.unique(first, return_inverse=True)
    _, theirs = np.unique(second, return_inverse=True)
    joint = np.zeros((ours.max() + 1, theirs.max() + 1))
    np.add.at(joint, (ours, theirs), 1 / ours.size)
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log2(joint[filled] / independent[filled])).sum())
