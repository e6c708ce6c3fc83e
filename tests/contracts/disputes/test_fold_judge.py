"""The judge of sums and maxima takes nothing but the operands of the very element."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nesa.models.build import TableBuilder
from nesa.models.folder import load
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness, evaluate
from nesa.models.judging.questions import MAX_LEAVES
from nesa.privacy.shared.plan import plan
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidOpening
from tests.contracts.disputes.changes import expect_all_refused, witness_for
from tests.judging import NO_INTEGER, check_table, drawn_inputs, witness_of
from tests.revm import NOBODY, Revert

MODELS = Path(__file__).resolve().parents[3] / "models"

KINDS = (
    "linear K=33",
    "linear int16",
    "conv grouped",
    "conv strided, uneven pads",
    "mat_mul",
    "max_pool",
    "sum_pool",
    "row_sum",
    "row_max",
)


def long_linear(size: int = 700, dtype: DType = DType.INT8) -> Table:
    """Three channels over two rows, each operand of which lies in one of several leaves."""
    builder = TableBuilder([EdgeType(dtype, (2, size), -100, 127)])
    weights = np.arange(3 * size).reshape(3, size) % 255 - 127
    parameters = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, np.array([5, -77, 900])),
    ]
    return builder.table([builder.add(Opcode.LINEAR, [0], (size, 3), parameters)])


def long_witness(**changes) -> Witness:
    """Who ran it on its lowest and highest values."""
    table = long_linear(**changes)
    edge = table.inputs[0]
    values = np.arange(edge.elements).reshape(edge.shape) % 228 - 100
    return witness_of(table, [edge.encode(values)])


@pytest.mark.parametrize("name", KINDS)
def test_no_field_may_change(judges, name):
    expect_all_refused(judges, witness_for(name), 1)


def test_no_field_of_several_leaves_may_change(judges):
    expect_all_refused(judges, long_witness(), 4)


@pytest.mark.parametrize("dtype", [DType.INT8, DType.INT16, DType.INT32])
@pytest.mark.parametrize("element", range(6))
def test_every_part_of_a_long_sum_is_added(judges, dtype, element):
    witness = long_witness(dtype=dtype)
    wanted = witness.values[1].reshape(-1)[element]
    assert judges.element_of(witness, 0, element) == wanted


def said_of(edge: EdgeType, values: np.ndarray) -> Witness:
    """Who says that a Linear of three channels read these bytes, in range or not."""
    builder = TableBuilder([edge])
    size = edge.shape[-1]
    weights = np.arange(3 * size).reshape(3, size) % 255 - 127
    parameters = [
        Parameter(ParameterKind.WEIGHTS, weights),
        Parameter(ParameterKind.BIASES, np.array([5, -77, 900])),
    ]
    table = builder.table([builder.add(Opcode.LINEAR, [0], (size, 3), parameters)])
    witness = Witness(table, {0: values})
    witness.keep(0, values.astype(edge.dtype.numpy).tobytes())
    return witness


LANES = [(DType.INT8, -100, 90), (DType.UINT8, 3, 200), (DType.UINT8, 0, 255)]


@pytest.mark.parametrize(("dtype", "low", "high"), LANES)
def test_every_lane_is_held_to_its_range(judges, dtype, low, high):
    edge = EdgeType(dtype, (2, 70), low, high)
    least, greatest = dtype.bounds
    for place in range(70):
        for value in {least, low - 1, low, high, high + 1, greatest}:
            values = np.full((2, 70), high)
            values[1, place] = min(max(value, least), greatest)
            check_lanes(judges, said_of(edge, values), int(values[1, place]))


def check_lanes(judges, witness: Witness, value: int) -> None:
    """The second row's sum in channel 0; nothing when its value is out of range."""
    question, openings = witness.question(0, 3), witness.openings(0, 3, 0, 70)
    edge, row = witness.table.inputs[0], witness.table.rows[0]
    if edge.low <= value <= edge.high:
        weights, biases = (parameter.values for parameter in row.parameters)
        wanted = witness.values[0][1] @ weights[0] + biases[0]
        assert judges.evaluate(question, 0, 70, openings) == wanted
        return
    assert judges.evaluate(question, 0, 70, openings) == NO_INTEGER
    assert evaluate(question, 0, 70, openings) is None


def test_nothing_may_stand_behind_the_last_leaf(judges):
    witness = witness_for("linear K=33")
    question = witness.question(0, 0)
    shown = [opening.as_abi() for opening in witness.openings(0, 0, 0, 33)]
    leaves, words, *nodes = shown[0]
    for place, bit in ((7, 1), (2, 1 << 255), (1, 1), (1, 1 << 247)):
        filled = list(words)
        filled[place] |= bit
        with pytest.raises(Revert, match="opening: a leaf is longer"):
            judges.fold.evaluate(question.as_abi(), 0, 33, [(leaves, filled, *nodes), *shown[1:]])
    with pytest.raises(Revert, match="opening: wrong number of words"):
        judges.fold.evaluate(question.as_abi(), 0, 33, [(leaves, words[:7], *nodes), *shown[1:]])


def test_an_operand_out_of_range_makes_no_integer(judges):
    witness = witness_for("row_max")
    edge = witness.table.inputs[0]
    narrow = TableBuilder([EdgeType(edge.dtype, edge.shape, -5, 5)])
    table = narrow.table([narrow.add(Opcode.ROW_MAX, [0], (edge.shape[-1],))])
    said = Witness(table, witness.values)
    said.keep(0, witness.encoded(0))
    openings = said.openings(0, 0, 0, 6)
    assert judges.evaluate(said.question(0, 0), 0, 6, openings) == NO_INTEGER
    assert evaluate(said.question(0, 0), 0, 6, openings) is None


@pytest.mark.parametrize("stray", [0, 1])
def test_neither_factor_may_be_out_of_range(judges, stray):
    builder = TableBuilder([EdgeType(DType.INT8, (1, 2, 2), -5, 5)] * 2)
    table = builder.table([builder.add(Opcode.MATMUL, [0, 1], (2, 2, 2))])
    said = witness_of(table, [bytes(4), bytes(4)])
    said.keep(stray, bytes([6, 0, 0, 0]))
    openings = said.openings(0, 0, 0, 2)
    assert judges.evaluate(said.question(0, 0), 0, 2, openings) == NO_INTEGER
    assert evaluate(said.question(0, 0), 0, 2, openings) is None


@pytest.mark.parametrize(
    ("first", "stop", "reason"),
    [
        (0, 0, "judge: no such operands"),
        (9, 3, "judge: no such operands"),
        (600, 701, "judge: no such operands"),
        (0, 257, "judge: too many operands"),
    ],
)
def test_a_part_must_be_one_of_the_element(judges, first, stop, reason):
    witness = long_witness()
    openings = witness.openings(0, 0, 0, 256)
    with pytest.raises(Revert, match=reason):
        judges.evaluate(witness.question(0, 0), first, stop, openings)
    with pytest.raises(InvalidOpening):
        evaluate(witness.question(0, 0), first, stop, openings)


def test_another_element_does_not_take_these_openings(judges):
    witness = long_witness()
    openings = witness.openings(0, 0, 0, 256)
    for element in range(1, 6):
        with pytest.raises(Revert):
            judges.evaluate(witness.question(0, element), 0, 256, openings)


def test_another_part_does_not_take_these_openings(judges):
    witness = long_witness()
    openings = witness.openings(0, 0, 256, 512)
    for first, stop in ((0, 256), (255, 511), (257, 513), (512, 700)):
        with pytest.raises(Revert):
            judges.evaluate(witness.question(0, 0), first, stop, openings)


def test_a_bias_must_be_opened_with_the_first_operand(judges):
    witness = long_witness()
    question = witness.question(0, 1)
    *columns, bias = witness.openings(0, 1, 0, 200)
    later = witness.openings(0, 1, 200, 400)
    with pytest.raises(Revert, match="opening: a place is not opened"):
        judges.evaluate(question, 0, 200, [*columns, later[2]])
    counted = judges.evaluate(question, 200, 400, [*later[:2], bias])
    assert counted == judges.evaluate(question, 200, 400, later)


def test_leaves_that_nobody_asked_for_are_refused_in_lanes(judges):
    witness = long_witness()
    question = witness.question(0, 0)
    x, w, bias = witness.openings(0, 0, 0, 256)
    wide = witness.open_places(0, [0, 300])
    with pytest.raises(Revert, match="lanes: too few or many leaves"):
        judges.evaluate(question, 0, 256, [wide, w, bias])
    elsewhere = witness.open_places(0, [300])
    with pytest.raises(Revert, match="lanes: other leaves"):
        judges.evaluate(question, 0, 256, [elsewhere, w, bias])
    assert judges.evaluate(question, 0, 256, [x, w, bias])


def test_operators_that_are_judged_at_once_are_not_folded(judges):
    witness = witness_for("rescale by channel")
    openings = witness.openings(0, 0, 0, 1)
    data = judges.calldata(witness.question(0, 0), 0, 1, openings)
    with pytest.raises(Revert, match="judge: is judged at once"):
        judges.fold.chain.send(NOBODY, judges.fold.address, data)


def test_scattered_operands_are_opened_a_few_at_a_time(judges):
    """Every operand of the second input lies in a leaf of its own, fourteen levels down."""
    width = 40_000
    edges = [EdgeType(DType.INT8, (1, 40), -9, 9), EdgeType(DType.INT8, (40, width), -9, 9)]
    builder = TableBuilder(edges)
    table = builder.table([builder.add(Opcode.MATMUL, [0, 1], (1, 40, width))])
    generator = np.random.default_rng(1)
    inputs = [edge.encode(generator.integers(-9, 10, edge.shape)) for edge in edges]
    witness = witness_of(table, inputs)
    place = width - 1
    assert judges.element_of(witness, 0, place) == witness.values[2].reshape(-1)[place]
    widest = max(
        len(witness.openings(0, place, *part)[1].leaves) for part in witness.parts(0, place)
    )
    assert 8 <= widest <= MAX_LEAVES
    openings = witness.openings(0, place, 0, 17)
    with pytest.raises(InvalidOpening):
        evaluate(witness.question(0, place), 0, 17, openings)
    with pytest.raises(Revert):
        judges.evaluate(witness.question(0, place), 0, 17, openings)


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_a_product_of_shares_is_judged_as_any_table(judges, name):
    generator = np.random.default_rng(0)
    for product in plan(load(MODELS / name).table).products:
        inputs = drawn_inputs(product.table, generator)
        check_table(judges, witness_of(product.table, inputs), 2, generator)
