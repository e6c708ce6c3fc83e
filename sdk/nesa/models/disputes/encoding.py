"""Positions, moves and accusations as the contracts take them: ABI encodings of the structs of
`IElementGame` and `IConviction`.

The court keeps the hash of a position, so whoever moves brings the position along. Both sides make
it from the moves that they saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, assert_never

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from nesa.models.disputes.descent import Node
from nesa.models.disputes.game import (
    Claimed,
    Ended,
    LeafNamed,
    Opened,
    PartsAsked,
    RowNamed,
    State,
    TensorAsked,
    TensorShown,
    ValuesAsked,
    ValuesShown,
    step,
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
from nesa.models.disputes.traces import Charge, Claim, NamedRow, Trace
from nesa.models.judging import Opening
from nesa.protocol.digests import leaf_hash
from nesa.protocol.errors import IllegalMove
from nesa.protocol.ids import ZERO_DIGEST

_Struct: TypeAlias = tuple[Any, ...]

# Flags of `IElementGame`, one bit each in the order of the interface.
_PHASES: Final = (
    "OPENED",
    "VALUES_SHOWN",
    "VALUES_ASKED",
    "ROW_NAMED",
    "TENSOR_SHOWN",
    "TENSOR_ASKED",
    "LEAF_NAMED",
    "LEAF_SHOWN",
    "PARTS_ASKED",
    "PARTS_STATED",
)
_DEFEND, _PICK, _SHOW, _SHOW_ROW, _SHOW_LEAF, _CONTEST, _STATE_PARTS = (1 << k for k in range(7))

_PROOF: Final = "(bytes,bytes32[])"
_TRACE: Final = "(uint256,uint256[],uint256,uint256,uint256,bytes32)"
_CHARGE: Final = "(bytes32,uint256,uint256,bytes32,bytes32)"
_DESCENT: Final = "(uint256,uint256,uint256,bytes32[])"
_CLAIM: Final = "(uint256,uint256,uint256,int256)"
_OPENING: Final = "(uint256[],uint256[],bytes32[],bytes32[])"
POSITION_ABI: Final = f"(uint256,{_CHARGE},{_TRACE},{_DESCENT},bytes32,{_CLAIM},int256[])"
MOVE_ABI: Final = (
    f"(uint256,{_PROOF}[],bytes32[],bytes32[],bytes32[],bytes32[],bytes,int256[],uint256,bytes32)"
)
ACCUSATION_ABI: Final = f"(uint256,{_PROOF},bytes,bytes32[],bytes32[],uint256,{_OPENING}[])"

_NO_TRACE: Final = (0, (), 0, 0, 0, bytes(32))
_NO_DESCENT: Final = (0, 0, 0, ())
_NO_CLAIM: Final = (0, 0, 0, 0)


def encoded_position(charge: Charge, state: State) -> bytes:
    """Where a game stands, as `IElementGame.Position`.

    Raises:
        IllegalMove: the game has ended, and no contract keeps that.
    """
    return encode([POSITION_ABI], [_position_of(charge, state)])


def encoded_move(state: State, move: Move) -> bytes:
    """A move out of `state`, as `IElementGame.Move`; `encoded_accusation` for a `Convict`.

    Raises:
        IllegalMove: not a move that a game takes in this state.
    """
    return encode([MOVE_ABI], [_move_of(state, move)])


def encoded_accusation(state: Claimed, move: Convict) -> bytes:
    """A conviction, as `IConviction.Accusation`."""
    place, openings = _evidence(move.evidence)
    row = (state.row.proof.data, state.row.proof.path)
    shown = [opening.as_abi() for opening in openings]
    fields = (move.claim, row, state.leaf.data, move.tensors, move.siblings, place, shown)
    return encode([ACCUSATION_ABI], [fields])


def decoded_move(data: bytes) -> Move:
    """The move that an `IElementGame.Move` states.

    Raises:
        IllegalMove: it is none.
    """
    try:
        (fields,) = decode([MOVE_ABI], data)
    except (DecodingError, OverflowError) as error:
        raise IllegalMove(f"{len(data)} bytes that are no move") from error
    return _as_move(*fields)


def state_after(charge: Charge, moves: Sequence[bytes]) -> State:
    """Where a game stands after moves that a court announced, in their order.

    Raises:
        IllegalMove, InvalidOpening: a move that no court would have taken.
    """
    state: State = Opened(charge)
    for move in moves:
        state = step(state, decoded_move(move))
    return state


def _position_of(charge: Charge, state: State) -> _Struct:
    match state:
        case Opened():
            return _position("OPENED", charge)
        case ValuesShown(trace, nodes):
            return _position("VALUES_SHOWN", charge, trace, nodes)
        case ValuesAsked(trace, node):
            return _position("VALUES_ASKED", charge, trace, (node,))
        case RowNamed(trace, node):
            return _position("ROW_NAMED", charge, trace, (node,))
        case TensorShown(trace, row, nodes):
            return _position("TENSOR_SHOWN", charge, trace, nodes, row)
        case TensorAsked(trace, row, node):
            return _position("TENSOR_ASKED", charge, trace, (node,), row)
        case LeafNamed(trace, row, node):
            return _position("LEAF_NAMED", charge, trace, (node,), row)
        case Claimed(trace, row, leaf, None, _):
            return _position("LEAF_SHOWN", charge, trace, (leaf.node,), row)
        case Claimed(trace, row, leaf, contested, claims):
            values = tuple(claim.value for claim in claims)
            return _position("PARTS_STATED", charge, trace, (leaf.node,), row, contested, values)
        case PartsAsked(trace, row, leaf, claim):
            return _position("PARTS_ASKED", charge, trace, (leaf.node,), row, claim)
        case Ended():
            raise IllegalMove("the game has ended")
    assert_never(state)


def _move_of(state: State, move: Move) -> _Struct:
    match move, state:
        case Defend() as defence, Opened():
            proofs = (defence.last, defence.shard, defence.first)
            ends = (defence.inputs, defence.outputs, defence.siblings)
            blind = defence.blind or ZERO_DIGEST
            return _move(_DEFEND, proofs, *ends, nodes=defence.nodes, blind=blind)
        case Pick(choice), _:
            return _move(_PICK, choice=choice)
        case Show(nodes), _:
            return _move(_SHOW, nodes=nodes)
        case ShowRow(row, nodes), _:
            return _move(_SHOW_ROW, (row,), nodes=nodes)
        case ShowLeaf(data), LeafNamed(row=named):
            return _move(_SHOW_LEAF, (_pathless(named),), data=data)
        case Contest(choice), Claimed(row=named, leaf=leaf):
            return _move(_CONTEST, (_pathless(named),), data=leaf.data, choice=choice)
        case StateParts(values), PartsAsked(row=named):
            return _move(_STATE_PARTS, (_pathless(named),), values=values)
        case _:
            raise IllegalMove(f"{type(move).__name__} is no move of {type(state).__name__}")


def _as_move(
    kind: int,
    leaves: Sequence[tuple[bytes, Sequence[bytes]]],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    siblings: Sequence[bytes],
    nodes: Sequence[bytes],
    data: bytes,
    values: Sequence[int],
    choice: int,
    blind: bytes,
) -> Move:
    proofs = [LeafProof(leaf, tuple(path)) for leaf, path in leaves]
    match kind, proofs:
        case 1, (last, shard, first):
            ends = (tuple(inputs), tuple(outputs), tuple(siblings), tuple(nodes))
            return Defend(last, shard, first, *ends, None if blind == ZERO_DIGEST else blind)
        case 2, _:
            return Pick(choice)
        case 4, _:
            return Show(tuple(nodes))
        case 8, (row,):
            return ShowRow(row, tuple(nodes))
        case 16, _:
            return ShowLeaf(data)
        case 32, _:
            return Contest(choice)
        case 64, _:
            return StateParts(tuple(values))
        case _:
            raise IllegalMove(f"kind {kind} with {len(proofs)} leaves is no move")


def _position(
    phase: str,
    charge: Charge,
    trace: Trace | None = None,
    nodes: Sequence[Node] = (),
    row: NamedRow | None = None,
    claim: Claim | None = None,
    values: Sequence[int] = (),
) -> _Struct:
    return (
        1 << _PHASES.index(phase),
        charge.as_abi(),
        _NO_TRACE if trace is None else _trace(trace),
        _descent(nodes) if nodes else _NO_DESCENT,
        bytes(32) if row is None else leaf_hash(row.proof.data),
        _NO_CLAIM if claim is None else (claim.element, claim.first, claim.stop, claim.value),
        tuple(values),
    )


def _trace(trace: Trace) -> _Struct:
    return (trace.leaves, trace.inputs, trace.first, trace.end, trace.base, trace.root)


def _descent(nodes: Sequence[Node]) -> _Struct:
    first = nodes[0]
    return (first.width, first.level, first.place, tuple(node.digest for node in nodes))


def _move(
    kind: int,
    leaves: Sequence[LeafProof] = (),
    inputs: Sequence[bytes] = (),
    outputs: Sequence[bytes] = (),
    siblings: Sequence[bytes] = (),
    nodes: Sequence[bytes] = (),
    data: bytes = b"",
    values: Sequence[int] = (),
    choice: int = 0,
    blind: bytes = ZERO_DIGEST,
) -> _Struct:
    proofs = [(leaf.data, leaf.path) for leaf in leaves]
    return (kind, proofs, inputs, outputs, siblings, nodes, data, values, choice, blind)


def _pathless(row: NamedRow) -> LeafProof:
    return LeafProof(row.proof.data, ())


def _evidence(evidence: Operands | BetterPlace) -> tuple[int, Sequence[Opening]]:
    match evidence:
        case BetterPlace(place, opening):
            return place, (opening,)
        case Operands(openings):
            return 0, openings
    assert_never(evidence)
