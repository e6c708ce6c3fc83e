"""Random numbers from a secret are spread as they should be."""

from __future__ import annotations

from collections import Counter

from nesa.privacy.streams import Stream


def test_every_permutation_is_as_likely() -> None:
    """Chi-square of 6,000 permutations of 3 places, 5 degrees of freedom, p < 1e-4 at 25.7."""
    stream = Stream(bytes(32))
    counts = Counter(tuple(stream.permutation(3).tolist()) for _ in range(6000))
    assert len(counts) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 25.7


def test_normal_and_uniform_numbers_are_that() -> None:
    stream = Stream(bytes(31) + b"\1")
    flat, bell = stream.uniform(20_000), stream.normal(20_001)
    assert bell.size == 20_001
    assert abs(flat.mean() - 0.5) < 0.01
    assert 0 <= flat.min() <= flat.max() < 1
    assert abs(bell.mean()) < 0.03
    assert abs(bell.std() - 1) < 0.03
