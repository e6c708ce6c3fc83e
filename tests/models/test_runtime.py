"""The runner takes and gives tensors of its edges only, and knows its file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from nesa.models.runtime import KnownAnswer, ShardRunner
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError, InvalidModel, InvalidTensor
from nesa.protocol.ids import Digest
from tests.models.onnx_runtime import SCALED, scaling_runner


def test_canonical_bytes_go_in_and_come_out():
    assert scaling_runner(-1.0).run((bytes([1, 2, 3, 127]),)) == (bytes([255, 254, 253, 129]),)


@pytest.mark.parametrize("data", [b"", bytes(3), bytes(5), bytes([128, 0, 0, 0])])
def test_an_input_that_is_not_of_its_edge_is_refused_before_the_run(data):
    with pytest.raises(InvalidTensor):
        scaling_runner(1.0).run((data,))


@pytest.mark.parametrize("count", [0, 2])
def test_a_wrong_number_of_tensors_is_refused(count):
    with pytest.raises(InvalidTensor, match=f"{count} tensors where 1 are needed"):
        scaling_runner(1.0).run((bytes(4),) * count)


def test_another_file_is_refused(mlp):
    with pytest.raises(IntegrityError, match="does not match its digest"):
        ShardRunner(mlp.shard_file(1), mlp.shards[0])


def test_a_file_that_onnx_runtime_cannot_load_is_refused(mlp):
    facts = replace(mlp.shards[0], file_digest=bytes_root(b"nonsense"))
    with pytest.raises(InvalidModel, match="cannot load"):
        ShardRunner(b"nonsense", facts)


def test_edges_that_are_not_those_of_the_file_are_refused(mlp):
    facts = replace(mlp.shards[0], output_edges=(SCALED,))
    with pytest.raises(InvalidModel, match="other inputs or outputs"):
        ShardRunner(mlp.shard_file(0), facts)


def test_a_known_answer_that_comes_out_differently_is_reported(mlp, mlp_runner):
    answers = mlp.known_answers(0)
    wrong = KnownAnswer(answers[0].inputs, Digest(bytes(32)))
    mlp_runner.self_test(answers)
    with pytest.raises(IntegrityError, match="known answer 1 comes out differently"):
        mlp_runner.self_test([answers[1], wrong])


def test_one_runner_serves_many_threads(mlp, mlp_runner):
    rows = [mlp.input_edge.encode(row) for row in mlp.test_rows().inputs[:40]]
    expected = [mlp_runner.run((row,)) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda row: mlp_runner.run((row,)), rows)) == expected
