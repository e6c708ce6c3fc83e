"""One game of a dispute: a defender commits to all values of a shard, a challenger finds the wrong
one, and one element of it is computed; docs/disputes.md.

`play` is the whole law. It knows no chain and no clock but the seconds that it is given, and it
refuses a move that the court would refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeAlias, TypeVar, assert_never

from nesa.models.disputes.descent import Node, below_node, below_top
from nesa.models.disputes.moves import (
    BetterPlace,
    ChallengerMove,
    Contest,
    Convict,
    Defend,
    DefenderMove,
    Move,
    Operands,
    Pick,
    Show,
    ShowLeaf,
    ShowRow,
    StateParts,
)
from nesa.models.disputes.traces import (
    Charge,
    Claim,
    NamedRow,
    Trace,
    claims_in,
    named_row,
    parts_of,
    trace_of,
    tree_width,
)
from nesa.models.judging import Question, evaluate, is_refuted
from nesa.models.judging.verdicts import extent_of
from nesa.models.opcodes.operands import Fold
from nesa.protocol.digests import leaf_hash, merkle_root
from nesa.protocol.errors import IllegalMove

MOST_MOVES: Final = 26
"""Of a shard of 65,536 values, tensors of 16 MiB and sums of 65,536 operands."""


class Side(Enum):
    """Who plays."""

    DEFENDER = "defender"
    CHALLENGER = "challenger"

    @property
    def other(self) -> Side:
        """The opponent."""
        return Side.CHALLENGER if self is Side.DEFENDER else Side.DEFENDER


class Cause(Enum):
    """Why a game is over."""

    FACT = "fact"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Opened:
    """The defender has to commit to all values."""

    charge: Charge


@dataclass(frozen=True, slots=True)
class ValuesShown:
    """The challenger picks among nodes above the values."""

    trace: Trace
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ValuesAsked:
    """The defender shows what lies below a node above the values."""

    trace: Trace
    node: Node


@dataclass(frozen=True, slots=True)
class RowNamed:
    """The defender shows the row that writes a value, and the top of the value's tree."""

    trace: Trace
    node: Node


@dataclass(frozen=True, slots=True)
class TensorShown:
    """The challenger picks among nodes of the value's tree."""

    trace: Trace
    row: NamedRow
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class TensorAsked:
    """The defender shows what lies below a node of the value's tree."""

    trace: Trace
    row: NamedRow
    node: Node


@dataclass(frozen=True, slots=True)
class LeafNamed:
    """The defender shows the bytes of a leaf of the value."""

    trace: Trace
    row: NamedRow
    node: Node


@dataclass(frozen=True, slots=True)
class ShownLeaf:
    """A leaf of the value in dispute, and its bytes."""

    node: Node
    data: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """The challenger contests one of the claims, or shows that it is wrong.

    They are the elements of the leaf, or the parts of `contested`.
    """

    trace: Trace
    row: NamedRow
    leaf: ShownLeaf
    contested: Claim | None
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class PartsAsked:
    """The defender says what the parts of a claim are worth."""

    trace: Trace
    row: NamedRow
    leaf: ShownLeaf
    claim: Claim


@dataclass(frozen=True, slots=True)
class Ended:
    """Nobody moves any more."""

    winner: Side
    cause: Cause


Asked: TypeAlias = Opened | ValuesAsked | RowNamed | TensorAsked | LeafNamed | PartsAsked
"""The defender is to move."""

Shown: TypeAlias = ValuesShown | TensorShown | Claimed
"""The challenger is to move."""

State: TypeAlias = Asked | Shown | Ended

_Shown = TypeVar("_Shown")


@dataclass(frozen=True, slots=True)
class Game:
    """Where a game stands, after how many moves, and until when the next one has to come.

    `deadline` is in seconds of the chain's clock; each move has `move_seconds`.
    """

    state: State
    moves: int
    deadline: int
    move_seconds: int


def start(charge: Charge, defence_ends: int, move_seconds: int) -> Game:
    """A game that waits for a defence until `defence_ends`."""
    return Game(Opened(charge), 0, defence_ends, move_seconds)


def to_move(state: State) -> Side | None:
    """Whose turn it is, None at the end."""
    match state:
        case Opened() | ValuesAsked() | RowNamed() | TensorAsked() | LeafNamed() | PartsAsked():
            return Side.DEFENDER
        case ValuesShown() | TensorShown() | Claimed():
            return Side.CHALLENGER
        case Ended():
            return None
    assert_never(state)


def play(game: Game, side: Side, move: Move, now: int) -> Game:
    """The game after a move.

    Raises:
        IllegalMove: not this side's turn, too late, or a move that is not allowed here.
        InvalidOpening: what is opened is not what was committed to.
    """
    if to_move(game.state) is not side:
        raise IllegalMove(f"the {side.value} is not to move")
    if now > game.deadline:
        raise IllegalMove("the time for this move is over")
    state = step(game.state, move)
    return replace(game, state=state, moves=game.moves + 1, deadline=now + game.move_seconds)


def expire(game: Game, now: int) -> Game:
    """The game after whoever was to move has let its time pass.

    Raises:
        IllegalMove: it has ended, or there is time left.
    """
    late = to_move(game.state)
    if late is None or now <= game.deadline:
        raise IllegalMove("nobody is late")
    return replace(game, state=Ended(late.other, Cause.TIME))


def step(state: State, move: Move) -> State:
    """The state after a move, without any clock.

    Raises:
        IllegalMove: the move is not allowed here.
        InvalidOpening: what is opened is not what was committed to.
    """
    match move:
        case Pick() | Contest() | Convict():
            return _challenge(state, move)
        case Defend() | Show() | ShowRow() | ShowLeaf() | StateParts():
            return _defend(state, move)
    assert_never(move)


# === Defender ===


def _defend(state: State, move: DefenderMove) -> State:
    match state, move:
        case Opened(charge), Defend() as defence:
            trace = trace_of(charge, defence)
            return ValuesShown(trace, below_top(trace.width, defence.nodes)[1])
        case ValuesAsked(trace, node), Show(nodes):
            return ValuesShown(trace, below_node(node, nodes))
        case RowNamed(trace, node), ShowRow() as shown:
            return _show_row(trace, node, shown)
        case TensorAsked(trace, row, node), Show(nodes):
            return TensorShown(trace, row, below_node(node, nodes))
        case LeafNamed(trace, row, node), ShowLeaf(data):
            return _show_leaf(trace, row, node, data)
        case PartsAsked(trace, row, leaf, claim), StateParts(values):
            return Claimed(trace, row, leaf, claim, parts_of(claim, fold_of(row), values))
        case _:
            raise _not_allowed(state, move)


def _show_row(trace: Trace, node: Node, move: ShowRow) -> State:
    if not move.nodes:
        raise IllegalMove("no nodes of the value are shown")
    root = merkle_root(move.nodes)
    row = named_row(trace, node.place, node.digest, move.row, root)
    return TensorShown(trace, row, below_top(tree_width(row), move.nodes)[1])


def _show_leaf(trace: Trace, row: NamedRow, node: Node, data: bytes) -> State:
    claims = claims_in(row, node.place, data, extent_of(row.facts.row)[1])
    if leaf_hash(data) != node.digest:
        raise IllegalMove("these are other bytes than were committed to")
    return Claimed(trace, row, ShownLeaf(node, data), None, claims)


# === Challenger ===


def _challenge(state: State, move: ChallengerMove) -> State:
    match state, move:
        case ValuesShown(trace, nodes), Pick(choice):
            node = _chosen(nodes, choice)
            if node.leaves.stop <= len(trace.inputs):
                raise IllegalMove("the inputs of a shard are given")
            return ValuesAsked(trace, node) if node.level else RowNamed(trace, node)
        case TensorShown(trace, row, nodes), Pick(choice):
            node = _chosen(nodes, choice)
            return TensorAsked(trace, row, node) if node.level else LeafNamed(trace, row, node)
        case Claimed(trace, row, leaf, _, claims), Contest(claim):
            contested = _chosen(claims, claim)
            if contested.stop - contested.first == 1:
                raise IllegalMove("one operand has no parts")
            return PartsAsked(trace, row, leaf, contested)
        case Claimed(trace, row, _, _, claims), Convict(claim) as conviction:
            _expect_wrong(trace, row, _chosen(claims, claim), conviction)
            return Ended(Side.CHALLENGER, Cause.FACT)
        case _:
            raise _not_allowed(state, move)


def _expect_wrong(trace: Trace, row: NamedRow, claim: Claim, move: Convict) -> None:
    trace.expect(row.leaf.inputs, move.tensors, move.siblings)
    question = Question(
        trace.charge.operators_root,
        trace.leaves,
        row.proof.data,
        row.proof.path,
        claim.element,
        move.tensors,
    )
    if not _is_wrong(question, row, claim, move.evidence):
        raise IllegalMove(f"element {claim.element} is what was claimed")


def _is_wrong(
    question: Question, row: NamedRow, claim: Claim, evidence: Operands | BetterPlace
) -> bool:
    match evidence:
        case BetterPlace(place, opening):
            return is_refuted(question, claim.value, place, opening)
        case Operands(openings):
            return evaluate(question, claim.first, claim.stop, openings) != claim.value
    assert_never(evidence)


def fold_of(row: NamedRow) -> Fold:
    """How the parts of an element of the row make it."""
    return extent_of(row.facts.row)[0]


def _chosen(shown: tuple[_Shown, ...], choice: int) -> _Shown:
    if not 0 <= choice < len(shown):
        raise IllegalMove(f"there is no choice {choice} of {len(shown)}")
    return shown[choice]


def _not_allowed(state: State, move: Move) -> IllegalMove:
    return IllegalMove(f"{type(move).__name__} is no answer to {type(state).__name__}")
