"""Plans of drawn networks: whatever hangs on whatever, the parts and the rounds make the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models import reference
from nesa.models.build import TableBuilder
from nesa.models.compile import compile_model
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table, is_narrow
from nesa.privacy.shared.evaluation import ClientParts
from nesa.privacy.shared.plan import Plan, plan
from nesa.privacy.shared.seeds import ShareSeed
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import InvalidModel
from tests.models import float_models

LINES, WIDTH = 3, 8
INT8 = EdgeType(DType.INT8, (LINES, WIDTH), -127, 127)


class Network:
    """Rows over values of one type, which a drawn number chooses."""

    def __init__(self, seed: int) -> None:
        self.builder = TableBuilder([INT8, INT8])
        self.values = [0, 1]
        self.sums: list[int] = []
        self.generator = np.random.default_rng(seed)

    def chosen(self) -> int:
        """One of the values so far."""
        return int(self.generator.choice(self.values))

    def dense(self, source: int | None = None) -> int:
        """A Linear whose accumulators others may read too, or nobody; what is rescaled of them."""
        source = self.chosen() if source is None else source
        constants = [
            Parameter(ParameterKind.WEIGHTS, self.generator.integers(-127, 128, (WIDTH, WIDTH))),
            Parameter(ParameterKind.BIASES, self.generator.integers(-999, 999, (WIDTH,))),
        ]
        written = self.builder.add(Opcode.LINEAR, [source], (WIDTH, WIDTH), constants)
        self.sums.append(written)
        self.values.append(self.builder.rescale(written, [70], 2, INT8))
        return self.values[-1]

    def twin(self) -> None:
        """Two equal views of one value, each read by a Linear."""
        source = self.chosen()
        for _ in range(2):
            flat = self.builder.add(Opcode.RESHAPE, [source], (1, LINES, WIDTH))
            self.values.append(self.builder.add(Opcode.RESHAPE, [flat], (LINES, WIDTH)))
            self.dense()

    def added(self) -> None:
        """A sum of two branches."""
        pair = self.chosen(), self.chosen()
        self.values.append(self.builder.add_rescaled(pair, [100, 50], 1, INT8))

    def squared(self) -> None:
        """Products of accumulators, far beyond 2**24, that two parts read."""
        wide = self.builder.type_of(int(self.sums[-1]))
        narrow = EdgeType(DType.INT16, wide.shape, -32767, 32767)
        value = self.builder.rescale(int(self.sums[-1]), [100], 1, narrow)
        lying = self.builder.add(Opcode.RESHAPE, [value], (LINES, WIDTH, 1))
        flat = self.builder.add(Opcode.RESHAPE, [value], (LINES * WIDTH, 1, 1))
        standing = self.builder.add(Opcode.RESHAPE, [lying], (LINES * WIDTH, 1, 1))
        square = self.builder.add(Opcode.MATMUL, [flat, standing], (1, 1, 1))
        back = self.builder.add(Opcode.RESHAPE, [square], (LINES, WIDTH))
        assert not is_narrow(self.builder.type_of(back))
        early, late = (self.builder.rescale(back, [64], 4, INT8) for _ in range(2))
        pair = self.dense(early), late
        self.values.append(self.builder.add_rescaled(pair, [100, 50], 1, INT8))


@st.composite
def networks(draw) -> Table:
    """Up to a dozen steps, at least one of them linear and behind an output."""
    network = Network(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.lists(st.sampled_from(["dense", "twin", "added", "squared"]), max_size=10))
    network.dense()
    for step in steps:
        getattr(network, step)()
    extra = draw(st.sampled_from([[], [0], [network.sums[0]]]))
    outputs = [network.values[-1], network.values[2], *extra]
    return network.builder.table(outputs)


def answered(made: Plan, inputs: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The outputs when the definition itself stands in for both groups."""
    evaluation = ClientParts(made).begin(inputs)
    for number, products in enumerate(made.rounds):
        evaluation.run(number)
        for product in products:
            first = ShareSeed().expand(product)
            second = product.digits.rest(evaluation.value(product.value), first)
            shares = [product.digits_of(share).tobytes() for share in (first, second)]
            sums = [reference.run(product.table, (share,))[0] for share in shares]
            edge = product.output_edge
            evaluation.put(product.combined(*(edge.decode(one) for one in sums)))
    evaluation.run(len(made.rounds))
    return evaluation.outputs


def drawn_inputs(table: Table, seed: int) -> tuple[bytes, ...]:
    generator = np.random.default_rng(seed)
    return tuple(
        edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
        for edge in table.inputs
    )


@settings(max_examples=25, deadline=None)
@given(networks(), st.integers(0, 2**32 - 1))
def test_parts_and_rounds_make_the_whole(table, seed):
    made = plan(table)
    inputs = drawn_inputs(table, seed)
    assert answered(made, inputs) == reference.run(table, inputs)


@settings(max_examples=25, deadline=None)
@given(networks())
def test_no_value_beyond_float32_is_held_between_parts(table):
    for part in plan(table).parts:
        assert all(is_narrow(edge) for edge in table.types_of((*part.inputs, *part.outputs)))


@settings(max_examples=25, deadline=None)
@given(networks())
def test_the_client_multiplies_nothing_that_groups_do(table):
    made = plan(table)
    shared = {sums.value for product in made.products for sums in product.sums}
    for part in made.parts:
        assert not shared & {table.output_of(index) for index in part.rows}


def test_a_compiled_network_with_pools_and_grouped_convolutions_is_planned():
    rows = np.random.default_rng(0).normal(0, 1, (16, 1, 8, 8))
    table = compile_model(float_models.convolutions(), rows).table
    inputs = drawn_inputs(table, 1)
    made = plan(table)
    assert answered(made, inputs) == reference.run(table, inputs)
    opcodes = [product.row.opcode for product in made.products]
    assert opcodes == [Opcode.CONV, Opcode.CONV, Opcode.LINEAR]


def test_layers_too_short_to_be_worth_a_round_stay_at_the_client():
    rows = np.random.default_rng(0).normal(0, 1, (16, 1, 6))
    with pytest.raises(InvalidModel, match="no Linear or Conv row that groups could"):
        plan(compile_model(float_models.residual(), rows).table)
