"""Queries that wait together run together; each gets its own answer or its own error."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import numpy as np
import pytest

from nesa.models.folder import load
from nesa.models.runtime import ShardRunner
from nesa.protocol.errors import InvalidTensor
from nesa_miner.stacking import StackedRunner, stacked

MODEL = Path(__file__).parents[2] / "models" / "digits-cnn"


class Held:
    """Answers with its input, once the gate is open; `sizes` are those of the runs."""

    def __init__(self) -> None:
        self.gate = Event()
        self.sizes: list[int] = []
        self._lock = Lock()

    def run(self, queries: Sequence[Sequence[bytes]]) -> list[tuple[bytes, ...]]:
        assert self.gate.wait(10)
        with self._lock:
            self.sizes.append(len(queries))
        if any(query[0] == b"bad" for query in queries):
            raise InvalidTensor("bad")
        return [tuple(query) for query in queries]


def asked(held: Held, runner: StackedRunner, queries: Sequence[bytes]) -> list[object]:
    """Results or errors of queries that all wait before the first run ends."""
    with ThreadPoolExecutor(len(queries)) as pool:
        results = [pool.submit(runner.run, (query,)) for query in queries]
        while len(runner._waiting) < len(queries) - 1:
            pass
        held.gate.set()
        return [one.exception() or one.result() for one in results]


def test_what_waits_runs_together_and_a_lone_query_at_once() -> None:
    held = Held()
    queries = [bytes([number]) for number in range(10)]
    assert asked(held, StackedRunner(held.run, 4, 1), queries) == [(query,) for query in queries]
    assert held.sizes == [1, 4, 4, 1]


def test_a_stack_of_one_runs_one_by_one() -> None:
    held = Held()
    queries = [bytes([number]) for number in range(5)]
    assert asked(held, StackedRunner(held.run, 1, 1), queries) == [(query,) for query in queries]
    assert held.sizes == [1] * 5


def test_one_bad_query_spoils_no_other() -> None:
    held = Held()
    queries = [b"a", b"b", b"bad", b"c"]
    found = asked(held, StackedRunner(held.run, 8, 1), queries)
    assert [one for one in found if isinstance(one, tuple)] == [(b"a",), (b"b",), (b"c",)]
    assert isinstance(found[2], InvalidTensor)


@pytest.mark.parametrize("cores", [1, 3])
def test_many_threads_get_the_bytes_of_single_runs(cores: int) -> None:
    model = load(MODEL)
    facts = model.shards[0]
    single = ShardRunner(model.shard_file(0), facts)
    stack = ShardRunner(model.shard_file(0), facts, stacks=True)
    runner = StackedRunner(stack.run_stacked, 8, cores)
    (edge,), random = facts.input_edges, np.random.default_rng(cores)
    rows = [random.integers(edge.low, edge.high + 1, edge.shape) for _ in range(200)]
    queries = [(edge.encode(row),) for row in rows]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(runner.run, queries)) == [single.run(query) for query in queries]


def test_the_size_is_measured_on_this_machine() -> None:
    model = load(MODEL)
    runner = ShardRunner(model.shard_file(0), model.shards[0], stacks=True)
    inputs = model.known_answers(0)[0].inputs
    assert stacked(runner, inputs, 1).run(inputs) == runner.run(inputs)
    assert stacked(runner, inputs, 16).run(inputs) == runner.run(inputs)
