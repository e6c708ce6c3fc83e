"""Who is right wins, whatever the other side does, and nobody can hold up a game."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.disputes.descent import below, height_of
from nesa.models.disputes.game import (
    MOST_MOVES,
    Cause,
    Ended,
    Opened,
    Side,
    ValuesShown,
    expire,
    play,
    start,
    step,
    to_move,
)
from nesa.models.disputes.moves import Defend, Pick, Show, ShowLeaf
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.folder import load
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.models.judging.undefined import Undefined
from nesa.privacy.equivariant.keys import EquivariantKey
from nesa.privacy.equivariant.tables import transform
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import IllegalMove, InvalidInput, InvalidOpening
from tests.judging import drawn_inputs, witness_of
from tests.models.disputes.parties import (
    Griefer,
    Liar,
    changed_defences,
    falsified,
    play_out,
    winner,
)
from tests.models.tables import TABLES, corners, small_network

MODELS = Path(__file__).resolve().parents[3] / "models"


def twins() -> Table:
    """Two shards of one row each, alike but for a factor."""
    edge = EdgeType(DType.INT8, (1, 4), -127, 127)
    builder = TableBuilder([edge])
    value = 0
    for factor in (70, 120):
        multiplier = Parameter(ParameterKind.MULTIPLIERS, np.array([factor]))
        value = builder.add(Opcode.RESCALE, [value], (1, -1), [multiplier], edge)
    return replace(builder.table([value]), cuts=(1,))


def long_sum(operands: int) -> Table:
    """One Linear row of eight channels."""
    generator = np.random.default_rng(0)
    builder = TableBuilder([EdgeType(DType.INT8, (1, operands), -127, 127)])
    weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-3, 4, (8, operands)))
    biases = Parameter(ParameterKind.BIASES, generator.integers(-9, 10, (8,)))
    return builder.table([builder.add(Opcode.LINEAR, [0], (operands, 8), [weights, biases])])


def honest(table: Table, seed: int = 3):
    return witness_of(table, drawn_inputs(table, np.random.default_rng(seed)))


def a_lie(witness, choose, *, hide: bool):
    """A witness that is wrong in one element of some row, and the shard of that row."""
    table = witness.table
    rows = [
        index for index, row in enumerate(table.rows) if row.output_type.low < row.output_type.high
    ]
    index = rows[choose(len(rows))]
    edge = table.rows[index].output_type
    place = choose(edge.elements)
    true = int(witness.values[table.output_of(index)].reshape(-1)[place])
    value = edge.low + choose(edge.high - edge.low)
    value += value >= true
    number = next(k for k, shard in enumerate(table.shards) if shard.first <= index < shard.end)
    return falsified(witness, index, place, value, hide=hide), number


def with_stray(edge, data, choose):
    """Canonical bytes with one value that the type holds and the edge does not, if there is any."""
    least, greatest = edge.dtype.bounds
    values = np.frombuffer(data, edge.dtype.numpy).copy()
    if least < edge.low or edge.high < greatest:
        values[choose(edge.elements)] = edge.low - 1 if least < edge.low else edge.high + 1
    return values.tobytes()


def is_within(edge, data):
    """Whether all values are in their range."""
    values = np.frombuffer(data, edge.dtype.numpy)
    return edge.low <= values.min() and values.max() <= edge.high


def chooser(data):
    return lambda count: data.draw(st.integers(0, count - 1))


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_liar_loses_in_every_operator(name, data):
    table = data.draw(TABLES[name]())
    witness = witness_of(table, [data.draw(corners(edge)) for edge in table.inputs])
    choose = chooser(data)
    if all(row.output_type.low == row.output_type.high for row in table.rows):
        return
    false, number = a_lie(witness, choose, hide=data.draw(st.booleans()))
    liar = Liar(false, number, choose)
    game = play_out(liar.charge, liar, Challenger(witness, number))
    assert game.state == Ended(Side.CHALLENGER, Cause.FACT)
    assert game.moves <= MOST_MOVES


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_a_liar_about_a_model_under_a_key_loses_in_every_row(name):
    """A table under a user's key is judged as any other: by its own root, without the key."""
    plain = load(MODELS / name).table
    table = transform(plain, EquivariantKey(bytes(range(32)), bytes(32))).table
    assert table.operators_root != plain.operators_root
    witness = honest(table)
    for index, row in enumerate(table.rows):
        true = int(witness.values[table.output_of(index)].reshape(-1)[0])
        value = row.output_type.low if true > row.output_type.low else row.output_type.high
        number = next(k for k, shard in enumerate(table.shards) if shard.first <= index < shard.end)
        liar = Liar(falsified(witness, index, 0, value, hide=False), number, lambda count: 0)
        game = play_out(liar.charge, liar, Challenger(witness, number))
        assert game.state == Ended(Side.CHALLENGER, Cause.FACT)


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_nobody_convicts_an_honest_defender(name, data):
    table = data.draw(TABLES[name]())
    witness = witness_of(table, [data.draw(corners(edge)) for edge in table.inputs])
    defender = Defender(witness, 0)
    game = play_out(defender.charge, defender, Griefer(witness, 0, chooser(data)), tries=4)
    assert game.state == Ended(Side.DEFENDER, Cause.TIME)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_liar_loses_in_a_network(data):
    witness, choose = honest(small_network()), chooser(data)
    false, number = a_lie(witness, choose, hide=data.draw(st.booleans()))
    liar = Liar(false, number, choose)
    game = play_out(liar.charge, liar, Challenger(witness, number))
    assert game.state == Ended(Side.CHALLENGER, Cause.FACT)


@pytest.mark.parametrize("name", ["breast-cancer-mlp", "digits-cnn"])
def test_a_liar_loses_in_every_row_of_a_shipped_model(name):
    table = load(MODELS / name).table
    witness = honest(table)
    generator = np.random.default_rng(5)

    def choose(count: int) -> int:
        return int(generator.integers(count))

    for number, shard in enumerate(table.shards):
        for index in range(shard.first, shard.end):
            edge = table.rows[index].output_type
            place = choose(edge.elements)
            true = int(witness.values[table.output_of(index)].reshape(-1)[place])
            wrong = true + (1 if true < edge.high else -1)
            liar = Liar(falsified(witness, index, place, wrong, hide=False), number, choose)
            game = play_out(liar.charge, liar, Challenger(witness, number))
            assert game.state == Ended(Side.CHALLENGER, Cause.FACT), table.rows[index].opcode
            assert game.moves <= MOST_MOVES
        defender = Defender(witness, number)
        for _ in range(4):
            griefer = Griefer(witness, number, choose)
            game = play_out(defender.charge, defender, griefer, tries=4)
            assert winner(game) is Side.DEFENDER


def test_who_agrees_cannot_go_on():
    witness = honest(small_network())
    defender = Defender(witness, 0)
    game = play_out(defender.charge, defender, Challenger(witness, 0))
    assert (game.state, game.moves) == (Ended(Side.DEFENDER, Cause.TIME), 1)


def test_another_shards_rows_are_no_defence():
    """Blocks of a model may look alike: the liar shows the rows of the other one."""
    table = twins()
    witness = honest(table)
    first, second = Defender(witness, 0), Defender(witness, 1)
    with pytest.raises(IllegalMove, match="another leaf than the shard's"):
        step(Opened(replace(first.charge, shard=1)), first.reply(Opened(first.charge)))
    short = second.reply(Opened(second.charge))
    long = first.reply(Opened(first.charge))
    assert isinstance(short, Defend)
    assert isinstance(long, Defend)
    shard = long.shard
    for path in (shard.path, shard.path[1:], shard.path[:1]):
        with pytest.raises(InvalidOpening):
            step(Opened(second.charge), replace(short, last=replace(shard, path=path)))


def test_no_field_of_a_defence_may_change():
    witness = honest(small_network())
    defender = Defender(witness, 0)
    opened = Opened(defender.charge)
    move = defender.reply(opened)
    assert isinstance(step(opened, move), ValuesShown)
    assert isinstance(move, Defend)
    for changed in changed_defences(move):
        with pytest.raises(InvalidInput):
            step(opened, changed)


def test_a_value_out_of_its_range_is_wrong():
    witness = honest(small_network())
    table = witness.table
    index = next(k for k, row in enumerate(table.rows) if row.output_type.low == -127)
    false = Witness(table, witness.values)
    data = witness.encoded(table.output_of(index))
    false.keep(table.output_of(index), b"\x80" + data[1:])
    liar = Defender(false, 0)
    game = play_out(liar.charge, liar, Challenger(witness, 0))
    assert game.state == Ended(Side.CHALLENGER, Cause.FACT)


MAY_PASS_OVER = {"conv", "max_pool", "sum_pool", "view", "arg_max"}
"""Tables in which not every value is read: strides pass over some, and of one place ArgMax reads
nothing."""


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_no_answer_to_an_input_out_of_range_can_be_defended(name, data):
    """Not even by who takes the same values for those out of range as the challenger."""
    table, choose = data.draw(TABLES[name]()), chooser(data)
    inputs = [data.draw(corners(edge)) for edge in table.inputs]
    number = choose(len(inputs))
    inputs[number] = with_stray(table.inputs[number], inputs[number], choose)
    witness = Witness.of_shard(table, 0, inputs)
    liar = Liar(witness, 0, choose)
    game = play_out(liar.charge, liar, Challenger(Witness.of_shard(table, 0, inputs), 0))
    is_defined = all(map(is_within, table.inputs, inputs))
    if witness.undefined is None:
        assert is_defined or name in MAY_PASS_OVER
        assert game.state == Ended(Side.DEFENDER, Cause.TIME)
    else:
        assert not is_defined
        assert game.state == Ended(Side.CHALLENGER, Cause.FACT)


def test_one_value_out_of_range_is_found_in_a_long_sum():
    table = long_sum(4096)
    edge = table.inputs[0]
    data = bytes(3000) + b"\x80" + bytes(1095)
    witness = Witness.of_shard(table, 0, [data])
    assert witness.undefined == Undefined(0, 0, 3000)
    liar = Liar(witness, 0, lambda count: 0)
    game = play_out(liar.charge, liar, Challenger(witness, 0))
    assert game.state == Ended(Side.CHALLENGER, Cause.FACT)
    assert game.moves <= MOST_MOVES
    assert Witness.of_shard(table, 0, [edge.encode(np.zeros(edge.shape))]).undefined is None


def test_who_lies_before_a_value_out_of_range_is_caught_there():
    """What does not read it is judged as ever."""
    table = small_network()
    data = bytes([0] * 35 + [128])
    witness = Witness.of_shard(table, 0, [data])
    assert witness.undefined is not None
    assert witness.undefined.element > 0
    false = falsified(witness, 0, 0, int(witness.values[1].reshape(-1)[0]) + 1, hide=True)
    liar = Liar(false, 0, lambda count: 0)
    challenger = Challenger(witness, 0)
    game = play_out(liar.charge, liar, challenger)
    assert game.state == Ended(Side.CHALLENGER, Cause.FACT)


def test_a_digest_without_a_tensor_cannot_be_defended():
    """Who signs a digest that hides nothing gets as far as the value, and no further."""

    class Bluffer(Defender):
        def _digests(self, values):
            honest_ones = super()._digests(values)
            last = self.values[-1]
            pairs = zip(values, honest_ones, strict=True)
            return tuple(b"\7" * 32 if value == last else digest for value, digest in pairs)

    witness = honest(small_network())
    last = len(witness.table.shards) - 1
    bluffer = Bluffer(witness, last)
    game = play_out(bluffer.charge, bluffer, Challenger(witness, last))
    assert game.state == Ended(Side.CHALLENGER, Cause.TIME)


def test_the_inputs_of_a_shard_cannot_be_picked():
    witness = honest(small_network())
    defender = Defender(witness, 0)
    state = step(Opened(defender.charge), defender.reply(Opened(defender.charge)))
    assert isinstance(state, ValuesShown)
    if state.nodes[0].level == 0:
        with pytest.raises(IllegalMove, match="are given"):
            step(state, Pick(0))
    for choice in (-1, len(state.nodes)):
        with pytest.raises(IllegalMove, match="no choice"):
            step(state, Pick(choice))


def test_a_move_out_of_turn_or_out_of_place_is_refused():
    witness = honest(small_network())
    defender = Defender(witness, 0)
    game = start(defender.charge, 100, 10)
    move = defender.reply(Opened(defender.charge))
    with pytest.raises(IllegalMove, match="challenger is not to move"):
        play(game, Side.CHALLENGER, Pick(0), 0)
    with pytest.raises(IllegalMove, match="ShowLeaf is no answer to Opened"):
        play(game, Side.DEFENDER, ShowLeaf(b""), 0)
    later = play(game, Side.DEFENDER, move, 40)
    assert (later.deadline, to_move(later.state)) == (50, Side.CHALLENGER)
    with pytest.raises(IllegalMove, match="Show is no answer to ValuesShown"):
        step(later.state, Show(()))


def test_the_clock_ends_a_game_for_whoever_is_to_move():
    witness = honest(small_network())
    defender = Defender(witness, 0)
    game = start(defender.charge, 100, 10)
    move = defender.reply(Opened(defender.charge))
    with pytest.raises(IllegalMove, match="nobody is late"):
        expire(game, 100)
    with pytest.raises(IllegalMove, match="time for this move is over"):
        play(game, Side.DEFENDER, move, 101)
    assert expire(game, 101).state == Ended(Side.CHALLENGER, Cause.TIME)
    later = play(game, Side.DEFENDER, move, 100)
    ended = expire(later, 111)
    assert ended.state == Ended(Side.DEFENDER, Cause.TIME)
    with pytest.raises(IllegalMove, match="nobody is late"):
        expire(ended, 10_000)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 16, 17, 255, 256, 257, 4097, 65536])
def test_every_leaf_is_reached_in_few_steps(width):
    for leaf in {0, width // 2, width - 1}:
        level, place, steps = height_of(width), 0, 0
        while level or not steps:
            lower, places = below(width, level, place)
            assert len(places) <= 16
            level, place = lower, leaf >> lower
            assert place in places
            steps += 1
        assert steps == max(1, -(-height_of(width) // 4))


def test_a_long_sum_ends_in_time():
    """4,096 operands are cut until a part can be opened; the game stays below thirty moves."""
    table = long_sum(4096)
    witness = honest(table)
    generator = np.random.default_rng(1)
    wrong = int(witness.values[1].reshape(-1)[1]) + 1
    liar = Liar(
        falsified(witness, 0, 1, wrong, hide=False), 0, lambda count: int(generator.integers(count))
    )
    game = play_out(liar.charge, liar, Challenger(witness, 0))
    assert game.state == Ended(Side.CHALLENGER, Cause.FACT)
    assert game.moves <= MOST_MOVES < 30
