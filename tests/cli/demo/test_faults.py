"""The unpaid are named with their shards, counted as everywhere else."""

from __future__ import annotations

from nesa.cli.demo.scenes.faults import in_words


def test_shards_count_from_zero() -> None:
    assert in_words({"miner-6": 1, "miner-3": 0}) == "miner-3 (shard 0), miner-6 (shard 1)"
    assert in_words({}) == "none"
