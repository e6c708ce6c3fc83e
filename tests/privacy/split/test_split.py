"""Models in three parts: the client's, the network's, the client's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.cut import legal_positions
from nesa.models.folder import CompiledModel, load
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.index import word
from nesa.models.reference import run
from nesa.models.verify import check_folder
from nesa.privacy.split.parts import split
from nesa.privacy.split.places import places
from nesa.privacy.split.publishing import SplitNote, write_middle
from nesa.privacy.split.running import SplitRunner
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    InvalidModel,
    InvalidTensor,
)
from tests.privacy.split.trying import told_alone_by_trying

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module", params=["breast-cancer-mlp", "digits-cnn"])
def model(request: pytest.FixtureRequest) -> CompiledModel:
    return load(MODELS / request.param)


def inputs(model: CompiledModel, count: int = 5) -> list[bytes]:
    return [model.input_edge.encode(row) for row in model.test_rows().inputs[:count]]


def test_every_split_answers_exactly_as_the_whole_model(model: CompiledModel) -> None:
    table, places = model.table, legal_positions(model.table)
    tried = 0
    for first in places:
        for end in (place for place in places if place > first):
            parts = split(table, first, end)
            runner = SplitRunner(parts)
            for tensor in inputs(model, 2):
                begun = runner.begin([tensor])
                (answer,) = run(parts.middle, [begun.sent])
                assert runner.finish(begun, answer) == run(table, [tensor])
            tried += 1
    assert tried


def test_the_network_holds_no_constant_of_the_clients_parts(model: CompiledModel) -> None:
    places = legal_positions(model.table)
    parts = split(model.table, places[0], places[-1])
    inside = {root for row in parts.middle.rows for root in row.roots}
    outside = {
        root
        for index, row in enumerate(model.table.rows)
        if not parts.first <= index < parts.end
        for root in row.roots
    }
    assert outside
    assert not inside & outside


@pytest.mark.parametrize(("first", "end"), [(0, 2), (2, 2), (3, 2), (1, 10_000)])
def test_parts_without_rows_are_refused(model: CompiledModel, first: int, end: int) -> None:
    with pytest.raises(InvalidModel, match="leave no rows"):
        split(model.table, first, end)


def test_an_answer_of_another_type_is_refused(model: CompiledModel) -> None:
    places = legal_positions(model.table)
    runner = SplitRunner(split(model.table, places[0], places[-1]))
    begun = runner.begin(inputs(model, 1))
    with pytest.raises(InvalidTensor):
        runner.finish(begun, b"\0")


def test_values_that_cross_together_travel_in_one_tensor() -> None:
    edge = EdgeType(DType.INT8, (1, 4), -127, 127)
    narrow = EdgeType(DType.UINT8, (1, 2, 2), 0, 200)
    builder = TableBuilder([edge])
    first = mixed(builder, 0, edge, np.random.default_rng(1))
    wide = builder.rescale(first, [256], 1, EdgeType(DType.INT16, (1, 4), -254, 254))
    square = builder.reshaped(first, (1, 2, 2))
    small = builder.rescale(square, [128], 1, narrow)
    back = builder.reshaped(small, (1, 4))
    total = builder.add_rescaled((wide, back), [128, 128], 1, replace_range(edge, DType.INT16))
    table = builder.table([builder.rescale(total, [128], 1, edge)])
    parts = split(table, 5, 7)
    assert parts.middle.inputs == (EdgeType(DType.INT16, (1, 8), -254, 254),)
    runner = SplitRunner(parts)
    for row in ([-127, -1, 0, 127], [5, 6, 7, 8]):
        tensor = edge.encode(np.array([row]))
        begun = runner.begin([tensor])
        (answer,) = run(parts.middle, [begun.sent])
        assert runner.finish(begun, answer) == run(table, [tensor])


def mixed(builder: TableBuilder, value: int, edge: EdgeType, draws: np.random.Generator) -> int:
    """A dense layer over all elements and a rescale: as `edge`, each element of several."""
    many = edge.elements
    flat = builder.reshaped(value, (1, many))
    sums = builder.add(Opcode.LINEAR, [flat], (many, many), layer(draws, many, many))
    narrow = EdgeType(edge.dtype, (1, many), edge.low, edge.high)
    return builder.reshaped(builder.rescale(sums, [1], 1, narrow), edge.shape)


def two_branches() -> Table:
    """Eight features, two dense layers of them, and a sum of both at the end: two values cross in
    between, of different types."""
    edge, draws = EdgeType(DType.INT8, (1, 8), -127, 127), np.random.default_rng(2)
    builder = TableBuilder([edge])
    first = mixed(builder, 0, edge, draws)
    narrow = mixed(builder, first, edge, draws)
    wide = builder.rescale(mixed(builder, first, edge, draws), [256], 1, WIDE)
    total = builder.add_rescaled((narrow, wide), [128, 128], 1, replace_range(edge, DType.INT16))
    return builder.table([builder.rescale(total, [64], 1, edge)])


WIDE = EdgeType(DType.INT16, (1, 8), -254, 254)


def test_values_that_come_back_together_travel_in_one_tensor(tmp_path: Path) -> None:
    """As behind a branch that begins inside of the middle."""
    table = two_branches()
    end = len(table.rows) - 2
    parts = split(table, 2, end)
    assert len(parts.returned) == 2
    answered = parts.middle.type_of(parts.middle.outputs[0])
    assert (answered.dtype, answered.elements) == (DType.INT16, 16)
    runner = SplitRunner(parts)
    for row in np.random.default_rng(3).integers(-127, 128, (5, 1, 8)):
        tensor = table.inputs[0].encode(row)
        begun = runner.begin([tensor])
        (answer,) = run(parts.middle, [begun.sent])
        assert runner.finish(begun, answer) == run(table, [tensor])


def test_a_number_beyond_one_of_the_values_that_came_back_is_refused() -> None:
    """The joint tensor is wider than the values in it, and an answer is nobody's word for that."""
    table = two_branches()
    parts = split(table, 2, len(table.rows) - 2)
    runner, edge = SplitRunner(parts), parts.middle.type_of(parts.middle.outputs[0])
    begun = runner.begin([table.inputs[0].encode(np.zeros((1, 8), np.int64))])
    numbers = np.zeros(edge.shape, np.int64)
    numbers[0, 0] = 200
    with pytest.raises(InvalidTensor):
        runner.finish(begun, edge.encode(numbers))


def replace_range(edge: EdgeType, dtype: DType) -> EdgeType:
    """The same shape with the whole range of another dtype."""
    return EdgeType(dtype, edge.shape, *dtype.bounds)


def reading_ids_again() -> Table:
    """Token ids [1, 4] to a sum of four states that looks at the ids again: for positions, which
    are constants, and for a mask of the padding, id 0."""
    ids = EdgeType(DType.INT16, (1, 4), 0, 9)
    draws = np.random.default_rng(1)
    builder = TableBuilder([ids])
    state = EdgeType(DType.INT16, (1, 4, 3), -900, 900)
    words = builder.add(Opcode.EMBEDDING, [0], (10, 3), [weights(draws, 10, 3)])
    looked_up = builder.add_rescaled((words, constant(builder, draws)), [128, 128], 1, state)
    placed = mixed(builder, looked_up, state, draws)
    real = Parameter(ParameterKind.WEIGHTS, np.array([[0]] + [[1]] * 9))
    mask = builder.add(Opcode.EMBEDDING, [0], (10, 1), [real])
    masked = builder.add_rescaled((placed, builder.reshaped(mask, (1, 4, 1))), [128, 900], 1, state)
    again = builder.add_rescaled((masked, constant(builder, draws)), [128, 128], 1, state)
    flat = builder.reshaped(again, (4, 3))
    narrow = builder.rescale(flat, [64], 1, EdgeType(DType.INT8, (4, 3), -127, 127))
    return builder.table([builder.add(Opcode.LINEAR, [narrow], (3, 2), layer(draws, 2, 3))])


def weights(draws: np.random.Generator, *shape: int) -> Parameter:
    return Parameter(ParameterKind.WEIGHTS, draws.integers(-100, 101, shape))


def layer(draws: np.random.Generator, *shape: int) -> list[Parameter]:
    biases = Parameter(ParameterKind.BIASES, draws.integers(-99, 100, shape[0]))
    return [weights(draws, *shape), biases]


def constant(builder: TableBuilder, draws: np.random.Generator) -> int:
    """Numbers [1, 4, 3] as the compiler makes them: of a layer that reads an id and has no
    weights."""
    one = builder.add(Opcode.SLICE, [builder.reshaped(0, (1, 4))], (1, 0, 1))
    made = builder.add(
        Opcode.LINEAR,
        [one],
        (1, 12),
        [Parameter(ParameterKind.WEIGHTS, np.zeros((12, 1), int)), layer(draws, 12, 1)[1]],
    )
    return builder.reshaped(made, (1, 4, 3))


TOKENS = ([0, 0, 0, 0], [9, 5, 1, 0], [3, 3, 0, 2])


def test_ids_that_are_read_again_stay_with_the_client() -> None:
    """All splits are exact; what leaves is states and the mask, and no constants."""
    table, tried = reading_ids_again(), 0
    for first in range(1, len(table.rows)):
        for end in range(first + 1, len(table.rows)):
            try:
                parts = split(table, first, end)
            except InvalidModel:
                continue
            tried += 1
            assert 0 not in parts.sent
            assert {edge.elements for edge in table.types_of(parts.sent)} <= {4, 12}
            runner = SplitRunner(parts)
            for row in TOKENS:
                tensor = table.inputs[0].encode(np.array([row]))
                begun = runner.begin([tensor])
                (answer,) = run(parts.middle, [begun.sent])
                assert runner.finish(begun, answer) == run(table, [tensor])
    assert tried >= 15


def random_table(seed: int) -> Table:
    """Ten rows, each of any values in front of it: sums, views, constants, joins."""
    draws = np.random.default_rng(seed)
    edge = EdgeType(DType.INT8, (1, 4), -127, 127)
    builder = TableBuilder([edge])
    values = [0]
    while builder.length < 10:
        first, second = (int(draws.choice(values)) for _ in range(2))
        match draws.integers(7):
            case 0:
                made = builder.rescale(first, [int(draws.integers(64, 200))], 1, edge)
            case 5:
                made = mixed(builder, first, edge, draws)
            case 1 | 2:
                made = builder.add_rescaled((first, second), [70, 90], 1, edge)
            case 3:
                made = builder.reshaped(builder.reshaped(first, (2, 2)), (1, 4))
            case 4:
                halves = [builder.add(Opcode.SLICE, [each], (1, 1, 3)) for each in (first, second)]
                made = builder.joined(halves, 1)
            case _:
                one = builder.add(Opcode.SLICE, [first], (1, 0, 1))
                none = Parameter(ParameterKind.WEIGHTS, np.zeros((4, 1), int))
                biases = Parameter(ParameterKind.BIASES, draws.integers(-99, 100, 4))
                numbers = builder.add(Opcode.LINEAR, [one], (1, 4), [none, biases])
                made = builder.rescale(numbers, [128], 1, edge)
        values.append(made)
    return builder.table([values[-1]])


@pytest.mark.parametrize("seed", range(12))
def test_any_split_that_is_taken_is_exact_and_keeps_the_input(seed: int) -> None:
    table = random_table(seed)
    edge, draws = table.inputs[0], np.random.default_rng(seed)
    own = told_alone_by_trying(table, draws)
    for first in range(1, len(table.rows)):
        for end in range(first + 1, len(table.rows)):
            try:
                parts = split(table, first, end)
            except InvalidModel:
                continue
            assert not own & set(parts.sent)
            runner = SplitRunner(parts)
            tensor = edge.encode(draws.integers(-127, 128, edge.shape))
            begun = runner.begin([tensor])
            (answer,) = run(parts.middle, [begun.sent])
            assert runner.finish(begun, answer) == run(table, [tensor])


def test_a_part_that_would_read_the_input_with_activations_is_refused() -> None:
    edge = EdgeType(DType.INT8, (1, 4), -127, 127)
    builder = TableBuilder([edge])
    first = mixed(builder, 0, edge, np.random.default_rng(1))
    second = builder.rescale(first, [90], 1, edge)
    view = builder.reshaped(builder.reshaped(builder.rescale(0, [90], 1, edge), (2, 2)), (1, 4))
    total = builder.add_rescaled((second, view), [64, 64], 1, edge)
    table = builder.table([builder.rescale(total, [100], 1, edge)])
    begin = first  # rows in front of the one that reads it
    with pytest.raises(InvalidModel, match="row 6 of the network's part reads the model's input"):
        split(table, begin, 7)
    assert split(table, begin, begin + 1).sent == (first,)
    assert all(place.row == 7 or not place.sent for place in places(table, begin)[1:])


def test_a_view_of_the_input_is_not_a_first_part() -> None:
    edge = EdgeType(DType.INT8, (1, 4), -127, 127)
    builder = TableBuilder([edge])
    view = builder.reshaped(0, (2, 2))
    made = builder.rescale(view, [90], 1, EdgeType(DType.INT8, (2, 2), -127, 127))
    table = builder.table([builder.rescale(made, [90], 1, builder.type_of(made))])
    with pytest.raises(InvalidModel, match="read nothing of the rows in front"):
        split(table, 1, 2)


def test_places_are_where_a_model_can_be_split(model: CompiledModel) -> None:
    table = model.table
    found = places(table)
    begin = found[0]
    assert begin.sent
    assert begin.returned is None
    for place in found[1:]:
        parts = split(table, begin.row, place.row)
        assert place.returned == table.types_of(parts.returned)
    assert [place.row for place in places(table, begin.row)] == [place.row for place in found]
    with pytest.raises(InvalidModel, match="leave no rows"):
        places(table, len(table.rows))


def test_a_middle_is_a_model_that_passes_every_check(model: CompiledModel, tmp_path: Path) -> None:
    places = legal_positions(model.table)
    parts = split(model.table, places[0], places[-1])
    note = write_middle(model, parts, 1, tmp_path / "middle")
    made = check_folder(tmp_path / "middle")
    assert note == SplitNote.read(tmp_path / "middle")
    assert word(made.root) == note.middle
    assert note.parts(model).middle.operators_root == made.operators_root
    with pytest.raises(InvalidInput, match="holds a model already"):
        write_middle(model, parts, 1, tmp_path / "middle")


def test_a_note_fits_one_version_only(model: CompiledModel, tmp_path: Path) -> None:
    places = legal_positions(model.table)
    note = write_middle(model, split(model.table, places[0], places[-1]), 1, tmp_path)
    other = note.model_copy(update={"model": "0x" + "00" * 32})
    with pytest.raises(IntegrityError, match="which was split"):
        other.parts(model)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model": "0x"}'])
def test_a_note_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(InvalidConfiguration):
        SplitNote.read(tmp_path)
    with pytest.raises(InvalidConfiguration, match="nesa model split"):
        SplitNote.read(tmp_path / "nowhere")
