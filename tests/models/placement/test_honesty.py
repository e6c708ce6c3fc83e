"""Whoever took far longer than it claims loses its place; fast and busy machines keep theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nesa.models.placement.capacities import Capacity, Link, Miner, Swarm
from nesa.models.placement.costs import Arithmetic, ModelCosts, OperatorCost
from nesa.models.placement.honesty import (
    MAX_OBSERVED_BYTES,
    ObservedFile,
    Part,
    find_liars,
    read_observed,
    without,
)
from nesa.protocol.errors import InvalidInput

PART = Part(0, 1, "0x" + "ab" * 32)


def signer(number: int) -> str:
    return f"0x{number:040x}"


def swarm(*rates: float) -> Swarm:
    """Miners a, b, c .. that claim so many multiply-adds a second."""
    miners = tuple(
        Miner(chr(97 + number), capacity(rate), signer=signer(number))
        for number, rate in enumerate(rates)
    )
    return Swarm(miners, lambda *_: Link(0.0, 1e9))


def capacity(rate: float) -> Capacity:
    return Capacity(dict.fromkeys(Arithmetic, rate), 1e18, 0.0, 1 << 30)


def costs(products: int) -> ModelCosts:
    nothing = np.zeros(2, np.int64)
    memory = np.zeros((2, 2), np.int64)
    return ModelCosts((OperatorCost(products, 0),), (0, 1), 0, nothing, memory, 0)


def seen(*seconds: float, runs: int = 5, digest: str = PART.file_digest) -> ObservedFile:
    peers = [{"signer": signer(n), "seconds": [one] * runs} for n, one in enumerate(seconds)]
    return read_observed(json.dumps({"shards": [{"file_digest": digest, "peers": peers}]}).encode())


def names(*arguments) -> list[str]:
    return [one.name for one in find_liars(*arguments)]


def test_the_miner_that_is_slower_than_it_claims_is_found_and_left_out():
    found = find_liars(swarm(100, 100, 400), costs(100), [PART], [seen(1.1, 1.2, 1.1)])
    assert [one.name for one in found] == ["c"]
    assert found[0].finding.runs == 5
    left = without(swarm(100, 100, 400), found)
    assert [one.name for one in left.miners] == ["a", "b"]


def test_slow_but_honest_and_equally_busy_miners_stay():
    assert names(swarm(100, 50, 10), costs(100), [PART], [seen(1, 2, 10)]) == []
    assert names(swarm(100, 50, 10), costs(100), [PART], [seen(3, 6, 30)]) == []


def test_in_a_tiny_shard_the_delay_of_all_makes_nobody_a_liar():
    assert names(swarm(1e9, 1e6, 1e3), costs(1), [PART], [seen(0.3, 0.3, 0.301)]) == []
    assert names(swarm(1e6, 1e6, 1e6), costs(1), [PART], [seen(0.3, 0.3, 3.0)]) == ["c"]


def test_few_runs_other_shards_and_strangers_say_nothing():
    claims = swarm(100, 100, 400)
    assert names(claims, costs(100), [PART], [seen(1, 1, 1, runs=4)]) == []
    assert names(claims, costs(100), [PART], [seen(1, 1, 1, digest="0x" + "cd" * 32)]) == []
    unsigned = Swarm(tuple(Miner(one.name, one.capacity) for one in claims.miners), claims.link)
    assert names(unsigned, costs(100), [PART], [seen(1, 1, 1)]) == []
    assert names(claims, costs(100), [PART], []) == []


def test_what_several_miners_saw_counts_together():
    half = seen(1, 1, 1, runs=3)
    assert names(swarm(100, 100, 400), costs(100), [PART], [half, half]) == ["c"]


def test_a_swarm_of_none_is_refused():
    claims = swarm(400)
    found = find_liars(swarm(100, 100, 400), costs(100), [PART], [seen(1.1, 1.2, 1.1)])
    alone = Swarm((Miner("c", claims.miners[0].capacity),), claims.link)
    with pytest.raises(InvalidInput, match="no miner is left"):
        without(alone, found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "the document"),
        (b"{}", "shards"),
        (b" " * (MAX_OBSERVED_BYTES + 1), "at most"),
        (json.dumps({"shards": [{"file_digest": "0x", "peers": []}]}).encode(), "shards.0.file"),
    ],
)
def test_documents_that_are_none_are_refused(text, words):
    with pytest.raises(InvalidInput, match=words):
        read_observed(text)


@pytest.mark.parametrize("seconds", ["0", "-1", "NaN", "Infinity", '"x"'])
def test_times_that_are_none_are_refused(seconds):
    peers = f'[{{"signer": "{signer(1)}", "seconds": [{seconds}]}}]'
    text = f'{{"shards": [{{"file_digest": "{PART.file_digest}", "peers": {peers}}}]}}'
    with pytest.raises(InvalidInput):
        read_observed(text.encode())
