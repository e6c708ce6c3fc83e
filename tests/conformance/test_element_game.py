"""The contract's game goes where the Python rules go, and refuses what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from eth_abi.abi import decode, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.build import TableBuilder
from nesa.models.disputes.encoding import (
    ACCUSATION_ABI,
    MOVE_ABI,
    POSITION_ABI,
    decoded_move,
    encoded_accusation,
    encoded_move,
    encoded_position,
    state_after,
)
from nesa.models.disputes.game import (
    Cause,
    Claimed,
    Ended,
    Opened,
    Side,
    State,
    step,
    to_move,
)
from nesa.models.disputes.moves import Convict, Defend, Move
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.traces import MAX_PARTS, Charge
from nesa.models.graph import Opcode, Parameter, ParameterKind
from nesa.models.judging import Witness
from nesa.models.opcodes.operands import LEAF_OPERANDS
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.errors import IllegalMove, InvalidInput
from tests.judging import drawn_inputs, witness_of
from tests.models.disputes.parties import Griefer, Liar, changed_defences, falsified
from tests.models.tables import TABLES, corners, small_network
from tests.revm import Revert, RevmChain, RevmContract


@dataclass(frozen=True)
class Contracts:
    """The game, and who asks the judges."""

    game: RevmContract
    conviction: RevmContract


@pytest.fixture(scope="module")
def contracts() -> Contracts:
    chain = RevmChain()
    fold, element = (
        chain.deploy(f"contracts/disputes/{name}Judge") for name in ("Fold", "Element")
    )
    conviction = chain.deploy("contracts/disputes/Conviction", fold.address, element.address)
    return Contracts(chain.deploy("contracts/disputes/ElementGame"), conviction)


class OnChain:
    """A game in the contracts, beside the one in Python."""

    def __init__(self, contracts: Contracts, charge: Charge) -> None:
        self.contracts, self.charge = contracts, charge
        self.position: bytes = contracts.game.opened(charge.as_abi())
        self.is_defenders = True

    def play(self, state: State, move: Move) -> bool:
        """Plays a move out of `state`; whether it convicts the defender."""
        if not isinstance(move, Convict):
            moved = self.contracts.game.play(self.position, encoded_move(state, move))
            self.position, self.is_defenders = moved
            return False
        assert isinstance(state, Claimed)
        (shown,) = decode([ACCUSATION_ABI], encoded_accusation(state, move))
        (stands,) = decode([POSITION_ABI], self.position)
        self.contracts.conviction.expect_wrong(shown, stands)
        return True

    def refuses(self, state: State, move: Move) -> None:
        """It reverts."""
        with pytest.raises(Revert):
            self.play(state, move)


CHARGE = Charge(bytes(32), 0, 1, bytes(32), bytes(32))


def walk(contracts: Contracts, charge: Charge, defender: Any, challenger: Any) -> State:
    """Both games side by side until the end, or until a side has no legal move."""
    state: State = Opened(charge)
    chain = OnChain(contracts, charge)
    moves: list[bytes] = []
    while (side := to_move(state)) is not None:
        move = (defender if side is Side.DEFENDER else challenger).reply(state)
        if move is None:
            break
        before = state
        try:
            state = step(state, move)
        except InvalidInput:
            chain.refuses(before, move)
            break
        if chain.play(before, move):
            assert state == Ended(Side.CHALLENGER, Cause.FACT)
            return state
        moves.append(encoded_move(before, move))
        assert encoded_position(charge, state) == chain.position
        assert chain.is_defenders == (to_move(state) is Side.DEFENDER)
    assert encoded_position(charge, state_after(charge, moves)) == chain.position
    return state


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_the_walk_is_that_of_the_python_rules(contracts, name, data):
    table = data.draw(TABLES[name]())
    witness = witness_of(table, [data.draw(corners(edge)) for edge in table.inputs])

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    index = choose(len(table.rows))
    edge = table.rows[index].output_type
    griefer = Griefer(witness, 0, choose)
    defender = Defender(witness, 0)
    assert not isinstance(walk(contracts, defender.charge, defender, griefer), Ended)
    if edge.low < edge.high:
        place = choose(edge.elements)
        true = int(witness.values[table.output_of(index)].reshape(-1)[place])
        wrong = true + (1 if true < edge.high else -1)
        liar = Liar(falsified(witness, index, place, wrong, hide=False), 0, choose)
        ended = walk(contracts, liar.charge, liar, Challenger(witness, 0))
        assert isinstance(ended, Ended)


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_an_input_out_of_range_convicts_alike(contracts, name, data):
    table = data.draw(TABLES[name]())
    inputs = [out_of_range(edge) or data.draw(corners(edge)) for edge in table.inputs]
    witness = Witness.of_shard(table, 0, inputs)
    liar = Liar(witness, 0, lambda count: data.draw(st.integers(0, count - 1)))
    ended = walk(contracts, liar.charge, liar, Challenger(witness, 0))
    assert isinstance(ended, Ended) == (witness.undefined is not None)


def out_of_range(edge: EdgeType) -> bytes:
    """A tensor of values that the type holds and the edge does not; nothing when there are none."""
    least, greatest = edge.dtype.bounds
    if least == edge.low and edge.high == greatest:
        return b""
    value = edge.low - 1 if least < edge.low else edge.high + 1
    return np.full(edge.shape, value, edge.dtype.numpy).tobytes()


def test_a_network_is_walked_alike(contracts):
    table = small_network()
    witness = witness_of(table, drawn_inputs(table, np.random.default_rng(4)))
    generator = np.random.default_rng(9)

    def choose(count: int) -> int:
        return int(generator.integers(count))

    for index in range(len(table.rows)):
        edge = table.rows[index].output_type
        place = choose(edge.elements)
        true = int(witness.values[table.output_of(index)].reshape(-1)[place])
        wrong = true + (1 if true < edge.high else -1)
        liar = Liar(falsified(witness, index, place, wrong, hide=True), 0, choose)
        ended = walk(contracts, liar.charge, liar, Challenger(witness, 0))
        assert isinstance(ended, Ended), table.rows[index].opcode


def test_a_sum_whose_parts_have_parts_is_walked_alike(contracts):
    operands = MAX_PARTS * LEAF_OPERANDS + 1
    builder = TableBuilder([EdgeType(DType.INT8, (1, operands), -127, 127)])
    weights = Parameter(ParameterKind.WEIGHTS, np.ones((1, operands), np.int64))
    biases = Parameter(ParameterKind.BIASES, np.zeros(1, np.int64))
    table = builder.table([builder.add(Opcode.LINEAR, [0], (operands, 1), [weights, biases])])
    witness = witness_of(table, drawn_inputs(table, np.random.default_rng(6)))
    wrong = int(witness.values[table.output_of(0)][0, 0]) + 1
    liar = Liar(falsified(witness, 0, 0, wrong, hide=False), 0, lambda count: 0)
    challenger = Challenger(witness, 0)
    assert isinstance(walk(contracts, liar.charge, liar, challenger), Ended)


def test_no_field_of_a_defence_may_change(contracts):
    table = small_network()
    defender = Defender(witness_of(table, drawn_inputs(table, np.random.default_rng(4))), 0)
    state = Opened(defender.charge)
    move = defender.reply(state)
    assert isinstance(move, Defend)
    for changed in changed_defences(move):
        OnChain(contracts, defender.charge).refuses(state, changed)


@pytest.mark.parametrize(
    ("kind", "leaves", "reason"),
    [
        ("DEFEND", 0, "game: not three leaves"),
        ("PICK", 0, "game: no such choice"),
        ("SHOW", 0, "game: no node is asked for"),
        ("SHOW_ROW", 1, "game: no value is picked"),
        ("SHOW_LEAF", 1, "game: no leaf is picked"),
        ("CONTEST", 0, "game: not one leaf"),
        ("CONTEST", 1, "game: not the row in dispute"),
        ("STATE_PARTS", 1, "game: nothing is contested"),
        ("OTHER", 0, "game: no such move"),
    ],
)
def test_a_move_out_of_place_is_refused(contracts, kind, leaves, reason):
    kinds = ("DEFEND", "PICK", "SHOW", "SHOW_ROW", "SHOW_LEAF", "CONTEST", "STATE_PARTS")
    flag = 1 << kinds.index(kind) if kind in kinds else 0
    move: Any = (flag, [(b"", [])] * leaves, [], [], [], [], b"", [], 0, bytes(32))
    with pytest.raises(Revert, match=reason):
        contracts.game.play(contracts.game.opened(CHARGE.as_abi()), encode([MOVE_ABI], [move]))


def test_nothing_is_picked_before_anything_is_shown(contracts):
    (start,) = decode([POSITION_ABI], contracts.game.opened(CHARGE.as_abi()))
    asked = encode([POSITION_ABI], [(*start[:3], (1, 0, 0, [bytes(32)]), *start[4:])])
    pick = encode([MOVE_ABI], [(2, [], [], [], [], [], b"", [], 0, bytes(32))])
    with pytest.raises(Revert, match="game: nothing is shown"):
        contracts.game.play(asked, pick)


@pytest.mark.parametrize("cut", [0, 31, 32, 100, -32])
def test_a_cut_position_is_none(contracts, cut):
    start = contracts.game.opened(CHARGE.as_abi())
    with pytest.raises(Revert):
        contracts.game.play(
            start[:cut], encode([MOVE_ABI], [(2, [], [], [], [], [], b"", [], 0, bytes(32))])
        )


def test_bytes_that_are_no_move_are_refused():
    for data in (
        b"",
        bytes(64),
        encode([MOVE_ABI], [(3, [], [], [], [], [], b"", [], 0, bytes(32))]),
    ):
        with pytest.raises(IllegalMove):
            decoded_move(data)
