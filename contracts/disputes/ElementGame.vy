# pragma version ~=0.4.3
# pragma optimize codesize
# pragma evm-version prague
"""
@title Element Game
@license AGPL-3.0-only
@notice The rules of the element game; see `IElementGame` for what each move promises.
@dev No state, no owner, no calls; `view` because a pure function may not name a flag. The court
     keeps a position's hash and asks here what follows.
@custom:invariant 1. Every move leads where the Python rules lead, and no other is taken:
    tests/conformance/test_element_game.py::test_the_walk_is_that_of_the_python_rules
@custom:kill No switch. It is replaced with the court that asks it.
"""
from ..interfaces import IElementGame

implements: IElementGame

from ..lib import edge_type
from ..lib import element_claims
from ..lib import opened_leaves
from ..lib import operator_row
from ..lib import tensor_digest

SHARD: constant(uint256) = 255
STEP_LEVELS: constant(uint256) = 4
LARGEST_VALUE: constant(int256) = 2**63 - 1
MAX_HEIGHT: constant(uint256) = 40


@external
@view
def opened(charge: IElementGame.Charge) -> Bytes[2304]:
    """
    @notice Where every game begins; see `IElementGame`.
    """
    position: IElementGame.Position = empty(IElementGame.Position)
    position.phase = IElementGame.Phase.OPENED
    position.charge = charge
    return abi_encode(position)


@external
@view
def play(position: Bytes[2304], move: Bytes[16384]) -> (Bytes[2304], bool):
    """
    @notice The position after a move; see `IElementGame`.
    """
    stands: IElementGame.Position = abi_decode(position, IElementGame.Position)
    made: IElementGame.Move = abi_decode(move, IElementGame.Move)
    next: IElementGame.Position = stands
    if made.kind == IElementGame.MoveKind.DEFEND:
        assert stands.phase == IElementGame.Phase.OPENED, "game: not just opened"
        next.trace = self._trace(stands.charge, made)
        next.descent = self._top(element_claims.values(next.trace), made.nodes)
        next.phase = IElementGame.Phase.VALUES_SHOWN
    elif made.kind == IElementGame.MoveKind.PICK:
        next.descent = self._picked(stands.descent, made.choice)
        next.phase = self._asked(stands.phase, next.descent, len(stands.trace.inputs))
    elif made.kind == IElementGame.MoveKind.SHOW:
        next.phase = self._shown(stands.phase)
        assert self._merkle_root(made.nodes) == stands.descent.nodes[0], "game: other nodes"
        next.descent = self._below(stands.descent, made.nodes)
    elif made.kind == IElementGame.MoveKind.STATE_PARTS:
        assert stands.phase == IElementGame.Phase.PARTS_ASKED, "game: nothing is contested"
        opcode: uint256 = element_claims.leaf(self._row(stands.row, made)).opcode
        self._expect_parts(opcode, stands.claim, made.values)
        next.values = made.values
        next.phase = IElementGame.Phase.PARTS_STATED
    elif made.kind == IElementGame.MoveKind.SHOW_ROW:
        assert stands.phase == IElementGame.Phase.ROW_NAMED, "game: no value is picked"
        row: element_claims.Leaf = self._shown_row(stands, made)
        next.row = keccak256(concat(b"\x00", made.leaves[0].data))
        next.descent = self._top(self._leaves_of(row.output), made.nodes)
        next.phase = IElementGame.Phase.TENSOR_SHOWN
    elif made.kind == IElementGame.MoveKind.SHOW_LEAF:
        assert stands.phase == IElementGame.Phase.LEAF_NAMED, "game: no leaf is picked"
        row: element_claims.Leaf = element_claims.leaf(self._row(stands.row, made))
        self._expect_bytes(row.output, stands.descent, made.data)
        next.phase = IElementGame.Phase.LEAF_SHOWN
    else:
        assert made.kind == IElementGame.MoveKind.CONTEST, "game: no such move"
        row: Bytes[1856] = self._row(stands.row, made)
        next.claim = element_claims.claim(stands, row, made.data, made.choice)
        assert next.claim.stop - next.claim.first > 1, "game: one operand has no parts"
        next.values = []
        next.phase = IElementGame.Phase.PARTS_ASKED
    return abi_encode(next), self._is_defenders(next.phase)


@internal
@view
def _is_defenders(phase: IElementGame.Phase) -> bool:
    # No move leads back to a game that was just opened.
    asked: IElementGame.Phase = (
        IElementGame.Phase.VALUES_ASKED
        | IElementGame.Phase.ROW_NAMED
        | IElementGame.Phase.TENSOR_ASKED
        | IElementGame.Phase.LEAF_NAMED
        | IElementGame.Phase.PARTS_ASKED
    )
    return phase in asked


# === Defender ===


@internal
@pure
def _trace(
    charge: IElementGame.Charge, move: IElementGame.Move
) -> IElementGame.Trace:
    # What a defence commits to, bound to the shard, its input and its output.
    assert len(move.leaves) == 3, "game: not three leaves"
    last: element_claims.Leaf = element_claims.leaf(move.leaves[0].data)
    # Only the last leaf has all of its siblings on the left, so only its index is right here.
    leaves: uint256 = last.index + 1
    element_claims.expect_leaf(charge.operators_root, leaves, last.index, move.leaves[0])
    shard: element_claims.Leaf = element_claims.leaf(move.leaves[1].data)
    element_claims.expect_leaf(charge.operators_root, leaves, shard.index, move.leaves[1])
    assert shard.opcode == SHARD, "game: not a shard"
    assert shard.index + charge.shards == leaves + charge.shard, "game: another shard"
    row: element_claims.Leaf = element_claims.leaf(move.leaves[2].data)
    element_claims.expect_leaf(charge.operators_root, leaves, row.index, move.leaves[2])
    first: uint256 = convert(shard.attributes[0], uint256)
    assert row.opcode != SHARD and row.index == first, "game: not the first row"
    assert tensor_digest.edges_digest(move.inputs) == charge.in_digest, "game: other input"
    assert self._out_digest(move) == charge.out_digest, "game: other output"

    trace: IElementGame.Trace = IElementGame.Trace(
        leaves=leaves,
        inputs=[],
        first=first,
        end=convert(shard.attributes[1], uint256),
        base=row.written,
        root=self._merkle_root(move.nodes),
    )
    for number: uint32 in shard.inputs:
        trace.inputs.append(convert(number, uint256))
    self._expect_ends(trace, shard, move)
    return trace


@internal
@pure
def _out_digest(move: IElementGame.Move) -> bytes32:
    # What was signed of the outputs. No digest of an open query has the form of a blinded one.
    plain: bytes32 = tensor_digest.edges_digest(move.outputs)
    return plain if move.blind == empty(bytes32) else tensor_digest.blinded(plain, move.blind)


@internal
@pure
def _expect_ends(
    trace: IElementGame.Trace, shard: element_claims.Leaf, move: IElementGame.Move
):
    # Inputs and outputs of the shard are committed to; an output may be an input.
    assert len(move.inputs) == len(trace.inputs), "game: wrong number of inputs"
    outputs: uint256 = len(shard.attributes) - 2
    assert len(move.outputs) == outputs, "game: wrong number of outputs"
    numbers: DynArray[uint256, element_claims.MAX_SHOWN] = []
    digests: DynArray[bytes32, element_claims.MAX_SHOWN] = []
    for i: uint256 in range(len(trace.inputs), bound=4):
        numbers.append(trace.inputs[i])
        digests.append(move.inputs[i])
    for i: uint256 in range(outputs, bound=4):
        numbers.append(convert(shard.attributes[i + 2], uint256))
        digests.append(move.outputs[i])
    element_claims.expect_values(trace, numbers, digests, move.siblings)


@internal
@view
def _shown(phase: IElementGame.Phase) -> IElementGame.Phase:
    if phase == IElementGame.Phase.VALUES_ASKED:
        return IElementGame.Phase.VALUES_SHOWN
    assert phase == IElementGame.Phase.TENSOR_ASKED, "game: no node is asked for"
    return IElementGame.Phase.TENSOR_SHOWN


@internal
@view
def _shown_row(
    position: IElementGame.Position, move: IElementGame.Move
) -> element_claims.Leaf:
    # The row that writes the value picked, whose tree has the nodes shown.
    shown: IElementGame.LeafProof = self._only_leaf(move)
    trace: IElementGame.Trace = position.trace
    row: element_claims.Leaf = element_claims.leaf(shown.data)
    root: bytes32 = position.charge.operators_root
    element_claims.expect_leaf(root, trace.leaves, row.index, shown)
    index: uint256 = trace.first + position.descent.place - len(trace.inputs)
    assert row.index == index, "game: another row"
    tree: bytes32 = self._merkle_root(move.nodes)
    digest: bytes32 = keccak256(concat(tensor_digest.TENSOR_DOMAIN, row.output, tree))
    assert digest == position.descent.nodes[0], "game: tree of another value"
    return row


@internal
@pure
def _row(leaf_hash: bytes32, move: IElementGame.Move) -> Bytes[1856]:
    # The row in dispute, which the move brings along.
    row: Bytes[1856] = self._only_leaf(move).data
    element_claims.expect_row(leaf_hash, row)
    return row


@internal
@pure
def _only_leaf(move: IElementGame.Move) -> IElementGame.LeafProof:
    assert len(move.leaves) == 1, "game: not one leaf"
    return move.leaves[0]


@internal
@pure
def _expect_bytes(edge: bytes32, picked: IElementGame.Descent, data: Bytes[256]):
    length: uint256 = min(256, edge_type.byte_length(edge) - 256 * picked.place)
    assert len(data) == length, "game: wrong length of a leaf"
    assert keccak256(concat(b"\x00", data)) == picked.nodes[0], "game: other bytes"


@internal
@pure
def _expect_parts(
    opcode: uint256,
    claim: IElementGame.Claim,
    values: DynArray[int256, element_claims.MAX_SHOWN],
):
    # Every part has a value, and together they make the claim.
    is_largest: bool = operator_row.is_largest(opcode)
    assert is_largest or operator_row.is_sum(opcode), "game: has no parts"
    size: uint256 = element_claims.part_size(claim)
    count: uint256 = (claim.stop - claim.first + size - 1) // size
    assert len(values) == count, "game: wrong number of parts"
    total: int256 = 0
    for i: uint256 in range(count, bound=element_claims.MAX_SHOWN):
        assert abs(values[i]) <= LARGEST_VALUE, "game: too large a part"
        if i == 0 or (is_largest and values[i] > total):
            total = values[i]
        elif not is_largest:
            total += values[i]
    assert total == claim.value, "game: parts make another value"


# === Challenger ===


@internal
@pure
def _picked(descent: IElementGame.Descent, choice: uint256) -> IElementGame.Descent:
    assert choice < len(descent.nodes), "game: no such choice"
    return IElementGame.Descent(
        width=descent.width,
        level=descent.level,
        place=descent.place + choice,
        nodes=[descent.nodes[choice]],
    )


@internal
@view
def _asked(
    phase: IElementGame.Phase, picked: IElementGame.Descent, inputs: uint256
) -> IElementGame.Phase:
    # What the defender has to show once a node is picked: nodes below it, or the leaf that it is.
    if phase == IElementGame.Phase.VALUES_SHOWN:
        behind: uint256 = min((picked.place + 1) << picked.level, picked.width)
        assert behind > inputs, "game: inputs are given"
        if picked.level == 0:
            return IElementGame.Phase.ROW_NAMED
        return IElementGame.Phase.VALUES_ASKED
    assert phase == IElementGame.Phase.TENSOR_SHOWN, "game: nothing is shown"
    if picked.level == 0:
        return IElementGame.Phase.LEAF_NAMED
    return IElementGame.Phase.TENSOR_ASKED


# === Trees ===


@internal
@pure
def _leaves_of(edge: bytes32) -> uint256:
    return (edge_type.byte_length(edge) + 255) // 256


@internal
@pure
def _top(width: uint256, nodes: DynArray[bytes32, 16]) -> IElementGame.Descent:
    # The root of a tree is asked for, and the first nodes below it are shown.
    root: IElementGame.Descent = IElementGame.Descent(width=width, level=0, place=0, nodes=[])
    for _: uint256 in range(MAX_HEIGHT):
        if (width - 1) >> root.level == 0:
            break
        root.level += 1
    return self._below(root, nodes)


@internal
@pure
def _below(
    asked: IElementGame.Descent, nodes: DynArray[bytes32, 16]
) -> IElementGame.Descent:
    # As many nodes as lie up to four levels below the one that was asked for; a leaf shows itself.
    levels: uint256 = min(asked.level, STEP_LEVELS)
    level: uint256 = asked.level - levels
    place: uint256 = asked.place << levels
    row_width: uint256 = ((asked.width - 1) >> level) + 1
    count: uint256 = min(place + (1 << levels), row_width) - place
    assert len(nodes) == count, "game: wrong number of nodes"
    return IElementGame.Descent(width=asked.width, level=level, place=place, nodes=nodes)


@internal
@pure
def _merkle_root(nodes: DynArray[bytes32, 16]) -> bytes32:
    level: DynArray[bytes32, 16] = nodes
    width: uint256 = len(nodes)
    assert width != 0, "game: no nodes"
    for _: uint256 in range(STEP_LEVELS):
        if width == 1:
            break
        for i: uint256 in range(width // 2, bound=8):
            level[i] = keccak256(concat(b"\x01", level[2 * i], level[2 * i + 1]))
        if width % 2 == 1:
            level[width // 2] = level[width - 1]
        width = (width + 1) // 2
    return level[0]
