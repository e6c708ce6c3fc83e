"""The contract's game goes where the Python rules go, and refuses what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.disputes.game import (
    Cause,
    Claimed,
    Ended,
    LeafNamed,
    Opened,
    PartsAsked,
    RowNamed,
    Side,
    State,
    TensorAsked,
    TensorShown,
    ValuesAsked,
    ValuesShown,
    step,
    to_move,
)
from nesa.models.disputes.moves import (
    BetterPlace,
    Contest,
    Convict,
    Defend,
    LeafProof,
    Move,
    Operands,
    Pick,
    Show,
    ShowLeaf,
    ShowRow,
    StateParts,
)
from nesa.models.disputes.parties import Challenger, Defender
from nesa.models.disputes.traces import Charge
from nesa.models.judging.questions import Question
from nesa.protocol.errors import InvalidInput
from tests.judging import Judges, drawn_inputs, witness_of
from tests.models.disputes.parties import Griefer, Liar, changed_defences, falsified
from tests.models.tables import TABLES, corners, small_network
from tests.revm import Revert, RevmChain

PHASES = (
    Opened,
    ValuesShown,
    ValuesAsked,
    RowNamed,
    TensorShown,
    TensorAsked,
    LeafNamed,
    Claimed,
    PartsAsked,
)


@pytest.fixture(scope="module")
def rules():
    return RevmChain().deploy("contracts/disputes/ElementGame")


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.deploy()


def opened(charge: Charge) -> tuple[Any, ...]:
    """The position before the first move."""
    facts = (
        charge.operators_root,
        charge.shard,
        charge.shards,
        charge.in_digest,
        charge.out_digest,
    )
    return (1, facts, (0, [], 0, 0, 0, bytes(32)), bytes(32), 0, 0, 0, [], (0, 0, 0, 0), [])


class OnChain:
    """A game in the contract; the judges answer for an accusation."""

    def __init__(self, rules: Any, judges: Judges, charge: Charge) -> None:
        self.rules, self.judges = rules, judges
        self.position: tuple[Any, ...] | None = opened(charge)
        self.row = LeafProof(b"", ())
        self.data = b""

    def play(self, move: Move) -> None:
        """The position after a move, None when the defender is convicted."""
        rules, position = self.rules, self.position
        match move:
            case Defend():
                proofs = [(p.data, p.path) for p in (move.last, move.shard, move.first)]
                rest = (move.inputs, move.outputs, move.siblings, move.nodes)
                self.position = rules.defend(position, (*proofs, *rest))
            case Pick(choice):
                self.position = rules.pick(position, choice)
            case Show(nodes):
                self.position = rules.show(position, nodes)
            case ShowRow(row, nodes):
                self.position = rules.show_row(position, (row.data, row.path), nodes)
                self.row = row
            case ShowLeaf(data):
                self.position = rules.show_leaf(position, self.row.data, data)
                self.data = data
            case Contest(claim):
                self.position = rules.contest(position, self.row.data, self.data, claim)
            case StateParts(values):
                self.position = rules.state_parts(position, self.row.data, values)
            case Convict():
                self._convict(move)

    def _convict(self, move: Convict) -> None:
        row = (self.row.data, self.row.path)
        shown = (self.data, move.claim, move.tensors, move.siblings)
        claim, asked = self.rules.accuse(self.position, row, *shown)
        element, first, stop, value = claim
        question = Question(*asked)
        assert question.element == element
        match move.evidence:
            case BetterPlace(place, opening):
                judge = self.judges.element.is_refuted
                is_wrong = judge(question.as_abi(), value, place, opening.as_abi())
            case Operands(openings):
                is_wrong = self.judges.evaluate(question, first, stop, openings) != value
        if not is_wrong:
            raise Revert(b"")
        self.position = None


def expect_same(state: State, position: tuple[Any, ...] | None) -> None:
    """Both games stand at the same place."""
    if isinstance(state, Ended):
        assert state == Ended(Side.CHALLENGER, Cause.FACT)
        assert position is None
        return
    assert position is not None
    phase, _, _, _, width, level, place, nodes, claim, values = position
    if phase == 1 << len(PHASES):  # parts are stated
        assert isinstance(state, Claimed)
        assert [one.value for one in state.claims] == list(values)
        return
    assert isinstance(state, PHASES[phase.bit_length() - 1])
    match state:
        case ValuesShown(nodes=shown) | TensorShown(nodes=shown):
            assert [node.digest for node in shown] == list(nodes)
            assert (shown[0].width, shown[0].level, shown[0].place) == (width, level, place)
        case ValuesAsked(node=node) | RowNamed(node=node) | TensorAsked(node=node):
            assert (node.width, node.level, node.place) == (width, level, place)
            assert [node.digest] == list(nodes)
        case PartsAsked(claim=wanted):
            assert (wanted.element, wanted.first, wanted.stop, wanted.value) == tuple(claim)
        case _:
            pass


def walk(rules, judges, charge, defender, challenger) -> State:
    """Both games side by side until the end, or until a side has no legal move."""
    state: State = Opened(charge)
    chain = OnChain(rules, judges, charge)
    while (side := to_move(state)) is not None:
        move = (defender if side is Side.DEFENDER else challenger).reply(state)
        if move is None:
            return state
        try:
            state = step(state, move)
        except InvalidInput:
            with pytest.raises(Revert):
                chain.play(move)
            return state
        chain.play(move)
        expect_same(state, chain.position)
    return state


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_the_walk_is_that_of_the_python_rules(rules, judges, name, data):
    table = data.draw(TABLES[name]())
    witness = witness_of(table, [data.draw(corners(edge)) for edge in table.inputs])

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    index = choose(len(table.rows))
    edge = table.rows[index].output_type
    griefer = Griefer(witness, 0, choose)
    defender = Defender(witness, 0)
    assert not isinstance(walk(rules, judges, defender.charge, defender, griefer), Ended)
    if edge.low < edge.high:
        place = choose(edge.elements)
        true = int(witness.values[table.output_of(index)].reshape(-1)[place])
        wrong = true + (1 if true < edge.high else -1)
        liar = Liar(falsified(witness, index, place, wrong, hide=False), 0, choose)
        ended = walk(rules, judges, liar.charge, liar, Challenger(witness, 0))
        assert isinstance(ended, Ended)


def test_a_network_is_walked_alike(rules, judges):
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
        ended = walk(rules, judges, liar.charge, liar, Challenger(witness, 0))
        assert isinstance(ended, Ended), table.rows[index].opcode


def test_no_field_of_a_defence_may_change(rules, judges):
    table = small_network()
    defender = Defender(witness_of(table, drawn_inputs(table, np.random.default_rng(4))), 0)
    move = defender.reply(Opened(defender.charge))
    assert isinstance(move, Defend)
    for changed in changed_defences(move):
        with pytest.raises(Revert):
            OnChain(rules, judges, defender.charge).play(changed)


def test_a_move_out_of_place_is_refused(rules):
    table = small_network()
    defender = Defender(witness_of(table, drawn_inputs(table, np.random.default_rng(4))), 0)
    start = opened(defender.charge)
    with pytest.raises(Revert, match="game: nothing is shown"):
        rules.pick((*start[:7], [bytes(32)], *start[8:]), 0)
    with pytest.raises(Revert, match="game: no such choice"):
        rules.pick(start, 0)
    with pytest.raises(Revert, match="game: no node is asked for"):
        rules.show(start, [bytes(32)])
    with pytest.raises(Revert, match="game: no value is picked"):
        rules.show_row(start, (b"", []), [bytes(32)])
    with pytest.raises(Revert, match="game: no leaf is picked"):
        rules.show_leaf(start, b"", b"")
    with pytest.raises(Revert, match="game: nothing is contested"):
        rules.state_parts(start, b"", [1])
    with pytest.raises(Revert, match="game: not the row in dispute"):
        rules.contest(start, b"", b"", 0)
