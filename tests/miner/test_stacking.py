"""Queries that wait together run together; each gets its own answer or its own error."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from nesa.models.folder import load
from nesa.models.runtime import KnownAnswer, ShardRunner
from nesa.protocol.digests import boundary_digest, bytes_root
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import IntegrityError, InvalidTensor
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts
from nesa_miner.stacking import StackedRunner, checked_runner, stacked

MODEL = Path(__file__).parents[2] / "models" / "digits-cnn"


class Held:
    """Answers with its input, once the gate is open; `sizes` are those of the runs."""

    def __init__(self) -> None:
        self.entered = Event()
        self.gate = Event()
        self.sizes: list[int] = []
        self._lock = Lock()

    def run(self, queries: Sequence[Sequence[bytes]]) -> list[tuple[bytes, ...]]:
        self.entered.set()
        assert self.gate.wait(60)
        with self._lock:
            self.sizes.append(len(queries))
        if any(query[0] == b"bad" for query in queries):
            raise InvalidTensor("bad")
        return [tuple(query) for query in queries]


def asked(held: Held, runner: StackedRunner, queries: Sequence[bytes]) -> list[object]:
    """Results or errors of queries that all wait before the first run ends."""
    with ThreadPoolExecutor(len(queries)) as pool:
        results = [pool.submit(runner.run, (queries[0],))]
        assert held.entered.wait(60)  # alone: whoever comes now finds no free core
        results += [pool.submit(runner.run, (query,)) for query in queries[1:]]
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


def test_a_file_that_does_not_stack_as_its_rows_do_runs_alone() -> None:
    """A constant with a row for each row of the input: right alone, wrong or refused in a stack."""
    edge = EdgeType(DType.INT8, (3, 2), -100, 100)
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, edge.shape) for name in "xy"]
    constant = numpy_helper.from_array(np.array([[1], [2], [3]], np.float32), "k")
    node = helper.make_node("Mul", ["x", "k"], ["y"])
    graph = helper.make_graph([node], "g", infos[:1], infos[1:], [constant])
    opset = [helper.make_opsetid("", 13)]
    file = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    facts = ShardFacts((edge,), (edge,), bytes_root(file), ZERO_DIGEST, ZERO_DIGEST)
    outputs = (bytes([1, 1, 2, 2, 3, 3]),)
    answer = KnownAnswer((bytes([1] * 6),), boundary_digest((edge,), outputs))
    runner = checked_runner(file, facts, [answer] * 2, 16)
    assert isinstance(runner, ShardRunner)
    assert runner.run(answer.inputs) == outputs
    wrong = replace(answer, output_digest=ZERO_DIGEST)
    with pytest.raises(IntegrityError, match="known answer 0 comes out differently"):
        checked_runner(file, facts, [wrong], 16)


def test_the_size_is_measured_on_this_machine() -> None:
    model = load(MODEL)
    runner = ShardRunner(model.shard_file(0), model.shards[0], stacks=True)
    answers = model.known_answers(0)
    chosen = checked_runner(model.shard_file(0), model.shards[0], answers, 16)
    assert isinstance(chosen, StackedRunner)
    assert chosen.run(answers[1].inputs) == runner.run(answers[1].inputs)
    inputs = model.known_answers(0)[0].inputs
    assert stacked(runner, inputs, 1).run(inputs) == runner.run(inputs)
    assert stacked(runner, inputs, 16).run(inputs) == runner.run(inputs)
