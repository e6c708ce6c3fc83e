"""Integer tables under a key: R1, R2 (bit for bit), and every opcode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.check import check_table
from nesa.models.cut import cut, good_positions
from nesa.models.folder import load
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.reference import run
from nesa.privacy.equivariant.frames import Frames
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.layouts import Joined, Leaf
from nesa.privacy.equivariant.moves import Mover
from nesa.privacy.equivariant.tables import infer, transform
from nesa.protocol.edges import DType, EdgeType
from tests.models.encoder import encoder
from tests.models.tables import TABLES, corners, small_network
from tests.privacy.equivariant.random_tables import RandomTable

MODELS = Path(__file__).parents[3] / "models"
KEY = EquivariantKey(bytes(range(32)), bytes(32))

searching = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answered(table: Table, inputs: list[bytes], key: EquivariantKey = KEY) -> tuple[bytes, ...]:
    """The plain answer of the transformed table, with everything that the client does."""
    made = transform(table, key)
    check_table(made.table)
    assert made.table.types_of(range(len(table.rows))) == table.types_of(range(len(table.rows)))
    plain = [edge.decode(data) for edge, data in zip(table.inputs, inputs, strict=True)]
    encoded = made.frames.encode_inputs(key, plain)
    sent = [edge.encode(one) for edge, one in zip(table.inputs, encoded, strict=True)]
    edges = table.types_of(table.outputs)
    results = run(made.table, sent)
    tensors = [edge.decode(data) for edge, data in zip(edges, results, strict=True)]
    decoded = made.frames.decode_outputs(key, tensors)
    return tuple(edge.encode(one) for edge, one in zip(edges, decoded, strict=True))


@pytest.mark.parametrize("name", TABLES)
@searching
@given(data=st.data())
def test_every_opcode_answers_as_the_plain_one(name: str, data: st.DataObject) -> None:
    table = data.draw(TABLES[name]())
    inputs = [data.draw(corners(edge)) for edge in table.inputs]
    key = EquivariantKey(data.draw(st.binary(min_size=32, max_size=32)), bytes(32))
    assert answered(table, inputs, key) == run(table, inputs)


def test_random_tables_answer_as_the_plain_ones() -> None:
    """Operators in any order; most of the tables have axes that move."""
    moving = 0
    for seed in (*range(150), 5131):
        table = RandomTable(seed).table()
        generator = np.random.default_rng(seed)
        inputs = [
            edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
            for edge in table.inputs
        ]
        assert answered(table, inputs) == run(table, inputs), f"seed {seed}"
        moving += bool(sizes(table))
    assert moving > 100


def sizes(table: Table) -> dict[int, int]:
    """How many axes of each size are permuted."""
    leaves = [leaf for leaf in infer(table).layouts.leaves() if not leaf.stays]
    return {size: sum(one.size == size for one in leaves) for size in {o.size for o in leaves}}


def test_all_models_of_the_repository_answer_bit_for_bit() -> None:
    for folder in sorted(path.parent for path in MODELS.glob("*/model.json")):
        model = load(folder)
        for row in model.test_rows().inputs[:20]:
            data = [model.input_edge.encode(row.reshape(model.input_edge.shape))]
            assert answered(model.table, data) == run(model.table, data)


def test_a_transformer_answers_bit_for_bit_and_hides_its_tokens() -> None:
    table = encoder()
    frame = infer(table).frames.inputs[0]
    assert frame.alphabet is not None
    assert not frame.alphabet.stays
    generator = np.random.default_rng(1)
    edge = table.inputs[0]
    for _ in range(20):
        data = [edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))]
        assert answered(table, data) == run(table, data)


def test_everything_that_an_mlp_allows_is_permuted() -> None:
    table = load(MODELS / "breast-cancer-mlp").table
    assert sizes(table) == {30: 1, 64: 1, 32: 1, 2: 1}
    plain, made = table.rows, transform(table, KEY).table.rows
    for before, after in zip(plain, made, strict=True):
        for one, other in zip(before.parameters, after.parameters, strict=True):
            assert np.array_equal(np.sort(one.values.ravel()), np.sort(other.values.ravel()))
            assert one.root != other.root or one.values.size <= 2
    assert transform(table, KEY).table.operators_root != table.operators_root


def test_a_convolution_keeps_its_rows_and_columns() -> None:
    """Pixels of one channel stay where they are: nothing of the image is hidden."""
    frames = infer(load(MODELS / "digits-cnn").table).frames
    assert frames.inputs[0].is_plain
    assert not frames.outputs[0].is_plain
    assert sizes(load(MODELS / "digits-cnn").table) == {4: 1, 24: 1, 10: 1}


def test_places_inside_of_heads_move_differently_in_every_head() -> None:
    heads, width, tokens = 3, 4, 5
    builder = TableBuilder([EdgeType(DType.INT8, (1, tokens, 7), -9, 9)])
    shape, order = (1, tokens, heads, width), (0, 2, 1, 3)
    query, key = (
        builder.add(
            Opcode.TRANSPOSE,
            [builder.add(Opcode.RESHAPE, [dense(builder, 0, heads * width, seed)], shape)],
            order,
        )
        for seed in (1, 2)
    )
    turned = builder.add(Opcode.TRANSPOSE, [key], (0, 1, 3, 2))
    builder.add(Opcode.MATMUL, [query, turned], (tokens, width, tokens))
    table = builder.table([builder.length])
    (inside,) = [one for one in infer(table).layouts.leaves() if one.size == width]
    assert [size for _, size in inside.parents] == [heads]
    data = [table.inputs[0].encode(np.arange(35).reshape(1, 5, 7) % 19 - 9)]
    assert answered(table, data) == run(table, data)


def test_what_is_sliced_and_joined_moves_in_its_segments() -> None:
    builder = TableBuilder([EdgeType(DType.INT8, (1, 4), -9, 9)])
    joint = dense(builder, 0, 12, 3)
    parts = [builder.add(Opcode.SLICE, [joint], (1, start, start + 4)) for start in (0, 4, 8)]
    turned = builder.add(Opcode.CONCAT, [parts[2], parts[0]], (1,))
    factors = [Parameter(ParameterKind.MULTIPLIERS, np.array([64, 64]))]
    declared = EdgeType(DType.INT16, (1, 8), -20000, 20000)
    other = dense(builder, 0, 8, 4)
    builder.add(Opcode.ADD_RESCALE, [turned, other], (1,), factors, declared)
    table = builder.table([builder.length, parts[1]])
    found = infer(table)
    (joined,) = found.frames.outputs[0].places
    assert isinstance(joined, Joined)
    assert sorted(one.size for one in found.layouts.leaves() if not one.stays) == [4, 4, 4, 4]
    data = [table.inputs[0].encode(np.array([[-9, 1, 2, 9]]))]
    assert answered(table, data) == run(table, data)


def test_boundaries_that_do_not_fit_leave_an_axis_as_it_is() -> None:
    builder = TableBuilder([EdgeType(DType.INT8, (1, 6), -9, 9)])
    joint = dense(builder, 0, 24, 5)
    sixes = builder.add(Opcode.RESHAPE, [joint], (4, 6))
    eights = builder.add(Opcode.RESHAPE, [sixes], (3, 8))
    builder.add(Opcode.ROW_MAX, [eights], (8,))
    table = builder.table([builder.length])
    assert sizes(table) == {6: 1}
    data = [table.inputs[0].encode(np.array([[-9, 1, 2, 9, 0, 5]]))]
    assert answered(table, data) == run(table, data)


def test_names_that_are_also_numbers_stay() -> None:
    """An input that is looked up and added to is no alphabet."""
    edge = EdgeType(DType.INT16, (1, 3), 0, 9)
    builder = TableBuilder([edge])
    weights = [Parameter(ParameterKind.WEIGHTS, np.arange(10).reshape(10, 1))]
    found = builder.add(Opcode.EMBEDDING, [0], (10, 1), weights)
    flat = builder.add(Opcode.RESHAPE, [found], (1, 3))
    factors = [Parameter(ParameterKind.MULTIPLIERS, np.array([128, 128]))]
    declared = EdgeType(DType.INT16, (1, 3), 0, 99)
    builder.add(Opcode.ADD_RESCALE, [flat, 0], (1,), factors, declared)
    frame = infer(builder.table([builder.length])).frames.inputs[0]
    assert frame.alphabet is not None
    assert frame.alphabet.stays


def test_encoded_ids_decode_again_and_the_names_are_a_bijection() -> None:
    """R1: 10,000 random sequences."""
    table = encoder()
    frames = infer(table).frames
    edge = table.inputs[0]
    generator = np.random.default_rng(2)
    words = range(edge.low, edge.high + 1)
    every = [frames.encode_inputs(KEY, [np.full(edge.shape, word)])[0].max() for word in words]
    assert sorted(every) == list(words)
    assert every != list(words)
    (frame,), mover = frames.inputs, Mover(KEY)
    for row in generator.integers(edge.low, edge.high + 1, (10_000, *edge.shape)):
        assert np.array_equal(frame.decode(frame.encode(row, mover), mover), row)


def test_a_cut_table_is_cut_in_the_same_places() -> None:
    table = small_network()
    places = good_positions(table)
    if places:
        table = cut(table, 2)
    made = transform(table, KEY).table
    assert made.cuts == table.cuts
    assert [made.types_of(one.outputs) for one in made.shards] == [
        table.types_of(one.outputs) for one in table.shards
    ]


def test_the_same_key_gives_the_same_table_and_another_epoch_another() -> None:
    table = encoder()
    again = transform(table, KEY).table.operators_root
    assert transform(table, KEY).table.operators_root == again
    assert transform(table, KEY.rotated()).table.operators_root != again


def test_frames_go_through_a_file() -> None:
    frames = infer(encoder()).frames
    assert Frames.model_validate_json(frames.model_dump_json()) == frames
    assert all(isinstance(place, Leaf) for place in frames.inputs[0].places)


def dense(builder: TableBuilder, value: int, channels: int, seed: int) -> int:
    """A dense row with constants from a seed."""
    generator = np.random.default_rng(seed)
    operands = builder.type_of(value).shape[-1]
    weights = generator.integers(-20, 21, (channels, operands))
    biases = generator.integers(-99, 100, channels)
    parameters = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, biases),
    ]
    return builder.add(Opcode.LINEAR, [value], (operands, channels), parameters)
