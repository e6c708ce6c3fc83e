"""The models of the repository: one set of integers, however they are run and wherever cut."""

from __future__ import annotations

import numpy as np
import pytest

from nesa.models.card import Classification
from nesa.models.cut import cut, cut_at, good_positions, legal_positions
from nesa.models.folder import load
from nesa.models.graph import Table
from nesa.models.lowering import MAX_INSTANCES, circuit_model, circuit_needs, runtime_model
from nesa.models.reference import run, run_shard
from nesa.models.runtime import ShardRunner
from nesa.models.verify import check_folder
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.versions import ShardFacts
from tests.models.conftest import MODELS
from tests.models.witness import witness_outputs


def extremes(edge) -> list[bytes]:
    """Rows of the ends of the range: all low, all high, and mixtures of both."""
    generator = np.random.default_rng(11)
    ends = np.array([edge.low, edge.high])
    rows = [np.full(edge.shape, end) for end in ends]
    rows += [generator.choice(ends, edge.shape) for _ in range(14)]
    return [edge.encode(row) for row in rows]


def rows_of(model) -> list[bytes]:
    """Every test row and the extremes, as canonical bytes."""
    edge = model.input_edge
    return [edge.encode(row) for row in model.test_rows().inputs] + extremes(edge)


def runners(table: Table) -> list[ShardRunner]:
    """A runner for every shard of a table."""
    made = []
    for shard in table.shards:
        file = runtime_model(table, shard)
        edges = table.types_of(shard.inputs), table.types_of(shard.outputs)
        made.append(
            ShardRunner(file, ShardFacts(*edges, bytes_root(file), ZERO_DIGEST, ZERO_DIGEST))
        )
    return made


def chain(shards: list[ShardRunner], row: bytes) -> tuple[bytes, ...]:
    """Outputs of all shards behind each other."""
    tensors: tuple[bytes, ...] = (row,)
    for shard in shards:
        tensors = shard.run(tensors)
    return tensors


def test_onnx_runtime_equals_the_reference_on_every_test_row_and_extreme(model):
    shards = [ShardRunner(model.shard_file(i), facts) for i, facts in enumerate(model.shards)]
    differing = [row for row in rows_of(model) if chain(shards, row) != run(model.table, (row,))]
    assert differing == []


def test_shards_composed_are_the_whole_at_every_legal_cut(model):
    rows = extremes(model.input_edge) + rows_of(model)[:20]
    whole = [run(model.table, (row,)) for row in rows]
    for position in legal_positions(model.table):
        parts = runners(cut_at(model.table, [position]))
        assert [chain(parts, row) for row in rows] == whole, position


def test_as_many_shards_as_rows_are_the_whole(model):
    table = cut_at(model.table, legal_positions(model.table))
    parts = runners(table)
    for row in extremes(model.input_edge):
        assert chain(parts, row) == run(model.table, (row,))


def circuits_agree(model, rows: list[bytes]) -> bool:
    """Whether every shard's circuit gives the reference's bytes, fed by the reference."""
    tensors: list[tuple[bytes, ...]] = [(row,) for row in rows]
    for shard in model.table.shards:
        expected = [run_shard(model.table, shard, inputs) for inputs in tensors]
        if witness_outputs(model.table, shard, tensors) != expected:
            return False
        tensors = expected
    return True


def test_the_circuits_equal_the_reference_on_a_sample(model):
    assert circuits_agree(model, rows_of(model)[:6] + extremes(model.input_edge)[:6])


@pytest.mark.deep
def test_the_circuits_equal_the_reference_on_every_test_row_and_extreme(model):
    assert circuits_agree(model, rows_of(model))


def test_the_circuits_take_any_input_in_range_of_each_shard(model):
    for shard in model.table.shards:
        edge = model.table.type_of(shard.inputs[0])
        tensors = [(row,) for row in extremes(edge)]
        expected = [run_shard(model.table, shard, inputs) for inputs in tensors]
        assert witness_outputs(model.table, shard, tensors) == expected


def test_both_shards_can_be_proved_and_are_of_similar_size(model):
    needs = [circuit_needs(model.table, shard) for shard in model.table.shards]
    assert [need.obstacles for need in needs] == [(), ()]
    assert all(need.instances <= MAX_INSTANCES and need.rows < 2**15 for need in needs)
    assert max(need.rows for need in needs) < 2 * min(need.rows for need in needs)


def test_lowering_again_gives_the_same_bytes(model):
    for number, shard in enumerate(model.table.shards):
        assert runtime_model(model.table, shard) == model.shard_file(number)
        assert circuit_model(model.table, shard) == model.circuit_file(number)


def test_integer_accuracy_is_what_the_card_says_and_within_a_point_of_float(model):
    card, rows = model.card, model.test_rows()
    outputs = [run(model.table, (model.input_edge.encode(row),))[0] for row in rows.inputs]
    answers = [card.interpret(model.output_edge.decode(output)) for output in outputs]
    right = np.mean([answer.index for answer in answers] == rows.labels)
    assert card.accuracy.test_rows == len(rows.labels)
    assert card.accuracy.integer_model == right
    assert abs(card.accuracy.float_model - right) <= 0.01


def test_the_card_turns_real_numbers_into_the_test_rows(model):
    rows = model.test_rows()
    for features, inputs in zip(rows.features, rows.inputs, strict=True):
        assert np.array_equal(model.card.quantise_input(features), inputs)


def test_an_answer_reads_like_one(mlp):
    answer = mlp.card.interpret(np.array([[-200, 300]]))
    assert isinstance(answer, Classification)
    assert (answer.label, answer.index) == ("benign", 1)
    assert answer.logits[1] == 300 * mlp.card.output_scale
    assert sum(answer.scores) == pytest.approx(1.0)


def test_known_answers_pass_on_this_machine(model):
    for number, facts in enumerate(model.shards):
        ShardRunner(model.shard_file(number), facts).self_test(model.known_answers(number))


def test_a_whole_folder_passes_its_check(model):
    check_folder(MODELS / model.name)


def test_the_default_cut_is_the_one_in_the_folder(model):
    assert cut(cut_at(model.table, ()), 2).cuts == model.table.cuts
    assert set(model.table.cuts) <= set(good_positions(model.table))


def test_another_version_root_is_refused(model):
    load(MODELS / model.name, expected=model.root)
    with pytest.raises(IntegrityError, match="is not the version"):
        load(MODELS / model.name, expected=bytes(32))
