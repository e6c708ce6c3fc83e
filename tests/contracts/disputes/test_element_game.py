"""What the game refuses of a side that shows something else than it committed to.

The table is wide and long, so that values and tensors are found in several steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from eth_abi.abi import decode, encode

from nesa.models.build import TableBuilder
from nesa.models.disputes.encoding import (
    ACCUSATION_ABI,
    MOVE_ABI,
    POSITION_ABI,
    encoded_accusation,
    encoded_move,
)
from nesa.models.disputes.game import Claimed, Ended, Opened, Side, State, step, to_move
from nesa.models.disputes.moves import Contest, Convict, Defend, LeafProof, Move
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.traces import Charge
from nesa.models.graph import Opcode, Parameter, ParameterKind, Table
from nesa.models.judging import Witness
from nesa.protocol.digests import edges_digest, leaf_hash
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.openings import Tree
from tests.contracts.disputes.disputed import TABLE, honest_witness
from tests.judging import drawn_inputs, witness_of
from tests.models.disputes.parties import Liar, falsified
from tests.revm import NOBODY, Revert, RevmChain, RevmContract

WIDTH, LENGTH = 4_500, 20
OPERANDS = 600
BYTES = EdgeType(DType.INT8, (1, WIDTH), -127, 127)

KIND, LEAVES, INPUTS, OUTPUTS, SIBLINGS, NODES, DATA, VALUES, CHOICE = range(9)
VALUES_SHOWN = 2
DEFEND, PICK, SHOW, SHOW_ROW, SHOW_LEAF, CONTEST, STATE_PARTS = (1 << k for k in range(7))

Fields = list[Any]
Change = Callable[[Fields], None]


def wide() -> Table:
    """One Linear row with many channels, then rows that rescale them."""
    generator = np.random.default_rng(1)
    builder = TableBuilder([EdgeType(DType.INT8, (1, OPERANDS), -127, 127)])
    weights = Parameter(ParameterKind.WEIGHTS, generator.integers(-9, 10, (WIDTH, OPERANDS)))
    biases = Parameter(ParameterKind.BIASES, np.zeros(WIDTH, np.int64))
    value = builder.add(Opcode.LINEAR, [0], (OPERANDS, WIDTH), [weights, biases])
    factor = Parameter(ParameterKind.MULTIPLIERS, np.array([100]))
    for _ in range(LENGTH):
        value = builder.add(Opcode.RESCALE, [value], (1, -1), [factor], BYTES)
    return builder.table([value])


@pytest.fixture(scope="module")
def truth() -> Witness:
    table = wide()
    return witness_of(table, drawn_inputs(table, np.random.default_rng(3)))


@pytest.fixture(scope="module")
def chain() -> RevmChain:
    return RevmChain()


@pytest.fixture(scope="module")
def game(chain: RevmChain) -> RevmContract:
    return chain.deploy("contracts/disputes/ElementGame")


@pytest.fixture(scope="module")
def conviction(chain: RevmChain) -> RevmContract:
    judges = [chain.deploy(f"contracts/disputes/{name}Judge") for name in ("Fold", "Element")]
    return chain.deploy("contracts/disputes/Conviction", *(judge.address for judge in judges))


def steps(
    game: RevmContract, truth: Witness, index: int
) -> Iterator[tuple[State, Move, bytes, Fields]]:
    """A game about a wrong element of a row: states, moves, positions, and fields of the moves."""
    edge = truth.table.rows[index].output_type
    place = edge.elements - 1
    true = int(truth.values[truth.table.output_of(index)].reshape(-1)[place])
    wrong = true + (1 if true < edge.high else -1)
    liar = Liar(falsified(truth, index, place, wrong, hide=False), 0, lambda count: count - 1)
    challenger = Challenger(truth, 0)
    state: State = Opened(liar.charge)
    position: bytes = game.opened(liar.charge.as_abi())
    while (side := to_move(state)) is not None:
        move: Any = (liar if side is Side.DEFENDER else challenger).reply(state)  # type: ignore[arg-type]
        if isinstance(move, Convict):
            yield state, move, position, []
            return
        data = encoded_move(state, move)
        yield state, move, position, list(decode([MOVE_ABI], data)[0])
        position, _ = game.play(position, data)
        state = step(state, move)
    assert not isinstance(state, Ended)


def refuses(game: RevmContract, position: bytes, fields: Fields, change: Change, reason: str):
    changed = list(fields)
    change(changed)
    with pytest.raises(Revert) as caught:
        game.play(position, encode([MOVE_ABI], [changed]))
    assert caught.value.reason == reason, caught.value.reason


def put(place: int, value: Any) -> Change:
    return lambda fields: fields.__setitem__(place, value)


def bent(place: int) -> Change:
    """The first digest among several is another one."""
    return lambda fields: fields.__setitem__(place, [bytes(32), *fields[place][1:]])


def bent_leaf(which: int) -> Change:
    def change(fields: Fields) -> None:
        leaves = list(fields[LEAVES])
        data, path = leaves[which]
        leaves[which] = (data, [bytes(32), *path[1:]])
        fields[LEAVES] = leaves

    return change


def moved_leaf(to: int, source: int) -> Change:
    def change(fields: Fields) -> None:
        leaves = list(fields[LEAVES])
        leaves[to] = leaves[source]
        fields[LEAVES] = leaves

    return change


DEFENCES = [
    (put(LEAVES, []), "game: not three leaves"),
    (bent(INPUTS), "game: other input"),
    (bent(OUTPUTS), "game: other output"),
    (bent(NODES), "game: other values"),
    (put(NODES, []), "game: no nodes"),
    (bent_leaf(0), "game: no leaf of the version"),
    (bent_leaf(1), "game: no leaf of the version"),
    (bent_leaf(2), "game: no leaf of the version"),
    (moved_leaf(1, 2), "game: not a shard"),
    (moved_leaf(2, 1), "game: not the first row"),
]


@pytest.mark.parametrize(("change", "reason"), DEFENCES, ids=[reason for _, reason in DEFENCES])
def test_a_defence_is_held_to_version_input_and_output(game, truth, change, reason):
    _, _, position, fields = next(steps(game, truth, 0))
    refuses(game, position, fields, change, reason)


def test_a_defence_is_made_once(game, truth):
    moves = steps(game, truth, 0)
    *_, fields = next(moves)
    _, _, position, _ = next(moves)
    refuses(game, position, fields, lambda _: None, "game: not just opened")


def test_a_defence_is_of_the_shard_in_dispute():
    """The proof of another shard's leaf is right, and of no use."""
    chain = RevmChain()
    game, witness = chain.deploy("contracts/disputes/ElementGame"), honest_witness()
    assert len(TABLE.shards) == 2
    defences = [Defender(witness, shard) for shard in (0, 1)]
    states = [Opened(defender.charge) for defender in defences]
    own, other = (
        list(decode([MOVE_ABI], encoded_move(state, defender.reply(state)))[0])
        for state, defender in zip(states, defences, strict=True)
    )
    position = game.opened(defences[0].charge.as_abi())
    leaves = [own[LEAVES][0], other[LEAVES][1], own[LEAVES][2]]
    refuses(game, position, own, put(LEAVES, leaves), "game: another shard")


def defence(witness: Witness) -> tuple[Charge, Fields]:
    """What is disputed, and an honest defence."""
    defender = Defender(witness, 0)
    state = Opened(defender.charge)
    data = encoded_move(state, defender.reply(state))
    return defender.charge, list(decode([MOVE_ABI], data)[0])


def test_more_inputs_than_the_shard_has_are_not_defended(game, truth):
    """A committee may attest anything."""
    charge, fields = defence(truth)
    twice = [*fields[INPUTS], *fields[INPUTS]]
    position = game.opened(replace(charge, in_digest=edges_digest(twice)).as_abi())
    refuses(game, position, fields, put(INPUTS, twice), "game: wrong number of inputs")


def test_more_outputs_than_the_shard_has_are_not_defended(game, truth):
    """A committee may attest anything."""
    charge, fields = defence(truth)
    twice = [*fields[OUTPUTS], *fields[OUTPUTS]]
    position = game.opened(replace(charge, out_digest=edges_digest(twice)).as_abi())
    refuses(game, position, fields, put(OUTPUTS, twice), "game: wrong number of outputs")


def test_an_output_that_is_an_input_has_its_digest(game):
    """It cannot be defended as something else."""
    builder = TableBuilder([EdgeType(DType.INT8, (1, 4), -127, 127)])
    turned = builder.add(Opcode.TRANSPOSE, [0], (1, 0))
    table = builder.table([turned, 0])
    witness = witness_of(table, drawn_inputs(table, np.random.default_rng(3)))
    charge, fields = defence(witness)
    game.play(game.opened(charge.as_abi()), encode([MOVE_ABI], [fields]))
    other = [fields[OUTPUTS][0], bytes(32)]
    position = game.opened(replace(charge, out_digest=edges_digest(other)).as_abi())
    refuses(game, position, fields, put(OUTPUTS, other), "game: a value has two digests")


@pytest.mark.parametrize(
    ("value", "reason"),
    [(0, "game: not of this shard"), (99, "game: behind this shard")],
)
def test_a_shard_that_names_values_of_others_cannot_be_defended(game, value, reason):
    """Nobody takes a seat for a table whose leaf of a shard is wrong; the game trusts none."""
    table = replace(TABLE, cuts=(2, 4))
    witness = witness_of(table, drawn_inputs(table, np.random.default_rng(3)))
    defender = Defender(witness, 1)
    charge = defender.charge
    assert 0 not in defender.shard.inputs
    place = len(table.rows) + 1
    defender.shard = replace(defender.shard, outputs=(value,))
    leaves = list(table.leaves)
    leaves[place] = leaf_hash(defender.shard.encoded(place))
    witness.rows = Tree(leaves)
    digests = [witness.digest(number) for number in defender.shard.inputs]
    written = [witness.digest(defender.values[-1])]
    proofs = (
        LeafProof(table.shards[-1].encoded(place + 1), witness.rows.siblings([place + 1])),
        LeafProof(defender.shard.encoded(place), witness.rows.siblings([place])),
        LeafProof(table.encoded_row(2), witness.rows.siblings([2])),
    )
    sent = Defend(*proofs, tuple(digests), tuple(written), (), defender.tree.nodes(0, range(1)))
    charge = replace(charge, operators_root=witness.rows.root, out_digest=edges_digest(written))
    with pytest.raises(Revert, match=reason):
        game.play(game.opened(charge.as_abi()), encoded_move(Opened(charge), sent))


def test_a_leaf_behind_the_last_is_none(game, truth):
    charge, fields = defence(truth)
    data, path = fields[LEAVES][1]
    behind = (2**20).to_bytes(32, "big") + data[32:]
    leaves = [fields[LEAVES][0], (behind, path), fields[LEAVES][2]]
    position = game.opened(charge.as_abi())
    refuses(game, position, fields, put(LEAVES, leaves), "opening: no such place")


def flipped(fields: Fields) -> None:
    fields[DATA] = bytes([fields[DATA][0] ^ 1]) + fields[DATA][1:]


def test_every_step_is_held_to_the_one_before(game, truth):
    """Of every move in one game: what may be changed in it, and what the game says then."""
    said = set()

    def tried(position: bytes, fields: Fields, change: Change, reason: str) -> None:
        refuses(game, position, fields, change, reason)
        said.add(reason)

    another = next(f for *_, f in steps(game, truth, 2) if f and f[KIND] == SHOW_ROW)[LEAVES]
    for state, move, position, fields in steps(game, truth, 0):
        if isinstance(move, Convict):
            contest = list(decode([MOVE_ABI], encoded_move(state, Contest(0)))[0])
            tried(position, contest, put(CHOICE, 16), "game: no such part")
            break
        if fields[KIND] == PICK:
            tried(position, fields, put(CHOICE, 16), "game: no such choice")
            phase, _, _, (_, level, place, _), *_ = position_of(position)
            if (phase, level, place) == (VALUES_SHOWN, 0, 0):
                tried(position, fields, put(CHOICE, 0), "game: inputs are given")
        elif fields[KIND] == SHOW:
            tried(position, fields, bent(NODES), "game: other nodes")
            # A node is the root of itself.
            picked = decode_nodes(position)
            tried(position, fields, put(NODES, picked), "game: wrong number of nodes")
        elif fields[KIND] == SHOW_ROW:
            tried(position, fields, put(LEAVES, another), "game: another row")
            tried(position, fields, bent_leaf(0), "game: no leaf of the version")
            tried(position, fields, bent(NODES), "game: tree of another value")
            tried(position, fields, put(LEAVES, []), "game: not one leaf")
            tried(position, fields, put(KIND, SHOW), "game: no node is asked for")
            tried(position, fields, put(KIND, PICK), "game: nothing is shown")
        elif fields[KIND] == SHOW_LEAF:
            tried(position, fields, flipped, "game: other bytes")
            tried(position, fields, put(DATA, fields[DATA][:-1]), "game: wrong length of a leaf")
            tried(position, fields, put(LEAVES, [(b"x", [])]), "game: not the row in dispute")
            tried(position, fields, put(KIND, CONTEST), "game: nothing is claimed")
        elif fields[KIND] == CONTEST:
            tried(position, fields, put(CHOICE, 64), "game: no such element")
            tried(position, fields, flipped, "game: not the leaf shown")
        elif fields[KIND] == STATE_PARTS:
            values = list(fields[VALUES])
            tried(position, fields, put(VALUES, values[:-1]), "game: wrong number of parts")
            other = [values[0] + 1, *values[1:]]
            tried(position, fields, put(VALUES, other), "game: parts make another value")
            huge = [2**200, -(2**200), *values[2:]]
            tried(position, fields, put(VALUES, huge), "game: too large a part")
    assert len(said) == 20, sorted(said)


def claimed(game, truth, index) -> tuple[State, bytes, Convict]:
    """Where the challenger convicts at once."""
    for state, move, position, _ in steps(game, truth, index):
        if isinstance(move, Convict):
            return state, position, move
    raise AssertionError


def test_one_operand_has_no_parts(game, truth):
    state, position, convict = claimed(game, truth, 1)
    contest = list(decode([MOVE_ABI], encoded_move(state, Contest(convict.claim)))[0])
    refuses(game, position, contest, lambda _: None, "game: one operand has no parts")


def test_an_accusation_has_a_digest_for_each_operand(game, conviction, truth):
    state, position, convict = claimed(game, truth, 1)
    assert isinstance(state, Claimed)
    fields = list(decode([ACCUSATION_ABI], encoded_accusation(state, convict))[0])
    (stands,) = decode([POSITION_ABI], position)
    conviction.expect_wrong(fields, stands)
    fields[3] = [*fields[3], bytes(32)]
    with pytest.raises(Revert) as caught:
        conviction.expect_wrong(fields, stands)
    assert caught.value.reason == "conviction: not a digest each"


def test_an_accusation_is_of_the_row_in_dispute(game, conviction, truth):
    state, position, convict = claimed(game, truth, 1)
    later, _, other = claimed(game, truth, 2)
    assert isinstance(state, Claimed)
    assert isinstance(later, Claimed)
    fields = list(decode([ACCUSATION_ABI], encoded_accusation(state, convict))[0])
    fields[1] = decode([ACCUSATION_ABI], encoded_accusation(later, other))[0][1]
    with pytest.raises(Revert) as caught:
        conviction.expect_wrong(fields, decode([POSITION_ABI], position)[0])
    assert caught.value.reason == "game: not the row in dispute"


@pytest.mark.parametrize(
    ("judges", "reason"),
    [
        ((NOBODY, "0x" + "11" * 20), "conviction: no fold judge"),
        (("0x" + "11" * 20, NOBODY), "conviction: no element judge"),
    ],
)
def test_without_a_judge_there_is_no_conviction(chain, judges, reason):
    with pytest.raises(RuntimeError, match=reason.encode().hex()):
        chain.deploy("contracts/disputes/Conviction", *judges)


def position_of(position: bytes) -> tuple[Any, ...]:
    (fields,) = decode([POSITION_ABI], position)
    return tuple(fields)


def decode_nodes(position: bytes) -> list[bytes]:
    return list(position_of(position)[3][3])
