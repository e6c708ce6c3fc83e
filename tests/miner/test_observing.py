"""Times of peers: within bounds, from the own beginning, and only who is far slower stands out."""

from __future__ import annotations

from eth_utils.crypto import keccak

from nesa.protocol.ids import Address, Digest
from nesa_miner.jobs import JobKey
from nesa_miner.observing import (
    MOST_ATTEMPTS,
    MOST_PEERS,
    MOST_RUNS,
    MOST_SHARDS,
    SHORTEST,
    ObservedTimes,
)

SHARD = Digest(keccak(text="shard"))


def peer(number: int) -> Address:
    return Address(f"0x{number:040x}")


def watched(times: dict[int, float], runs: int = 5) -> ObservedTimes:
    observed = ObservedTimes()
    for run in range(runs):
        observed.begin(JobKey((run, 0)), SHARD, 10.0)
        for number, seconds in times.items():
            observed.committed(JobKey((run, 0)), SHARD, peer(number), 10.0 + seconds)
    return observed


def test_the_time_from_the_own_beginning_counts_once_an_attempt() -> None:
    observed = watched({1: 2.0}, runs=2)
    observed.begin(JobKey((1, 0)), SHARD, 11.0)
    observed.committed(JobKey((1, 0)), SHARD, peer(1), 99.0)
    assert observed.seconds == {SHARD: {peer(1): (2.0, 2.0)}}
    assert observed.medians() == {(SHARD, peer(1)): 2.0}


def test_whoever_was_ready_first_was_quick() -> None:
    observed = ObservedTimes()
    observed.committed(JobKey((1, 0)), SHARD, peer(1), 9.0)
    assert observed.seconds == {}
    observed.begin(JobKey((1, 0)), SHARD, 10.0)
    assert observed.seconds == {SHARD: {peer(1): (SHORTEST,)}}


def test_of_an_attempt_that_never_began_here_nothing_is_known() -> None:
    observed = ObservedTimes()
    observed.committed(JobKey((1, 0)), SHARD, peer(1), 9.0)
    observed.committed(JobKey((1, 0)), SHARD, peer(1), 19.0)
    assert observed.seconds == {}


def test_one_far_slower_member_stands_out_and_is_told_once() -> None:
    observed = watched({1: 2.0, 2: 2.2, 3: 2.4, 4: 9.0})
    assert set(observed.slow()) == {(SHARD, peer(4))}
    assert set(observed.newly_slow()) == {(SHARD, peer(4))}
    assert observed.newly_slow() == {}


def test_too_few_runs_and_milliseconds_by_chance_say_nothing() -> None:
    assert watched({1: 2.0, 2: 2.2, 3: 9.0}, runs=4).slow() == {}
    assert watched({1: 0.001, 2: 0.002, 3: 0.2}).slow() == {}


def test_everything_is_bounded() -> None:
    observed = ObservedTimes()
    for number in range(MOST_ATTEMPTS + 5):
        observed.begin(JobKey((number, 0)), SHARD, 1.0)
        observed.committed(JobKey((number, 0)), SHARD, peer(1), 2.0)
    assert len(observed._attempts) == MOST_ATTEMPTS
    assert len(observed.seconds[SHARD][peer(1)]) == MOST_RUNS
    for number in range(MOST_PEERS + 5):
        observed.committed(JobKey((number % 2, 0)), SHARD, peer(100 + number), 2.0)
    for number in range(MOST_SHARDS + 5):
        shard = Digest(keccak(number.to_bytes(2, "big")))
        observed.begin(JobKey((5000 + number, 0)), shard, 1.0)
        observed.committed(JobKey((5000 + number, 0)), shard, peer(1), 2.0)
    assert len(observed.seconds) == MOST_SHARDS
    assert all(len(peers) <= MOST_PEERS for peers in observed.seconds.values())
