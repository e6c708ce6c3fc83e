"""Boundaries of every length cross between two processes over the real transport."""

from __future__ import annotations

from benchmarks.hops import SIZES, measure


def test_every_size_arrives_and_checks_out() -> None:
    found = measure(runs=1)
    assert sorted(found) == sorted(SIZES)
    assert all(len(seconds) == 1 for seconds in found.values())
