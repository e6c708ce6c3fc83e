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
    # Nothing below takes a whole move: each copy would be paid for in memory.
    if self._brings_row(made.kind):
        assert len(made.leaves) == 1, "game: not one leaf"
    next: IElementGame.Position = stands
    if made.kind == IElementGame.MoveKind.DEFEND:
        assert stands.phase == IElementGame.Phase.OPENED, "game: not just opened"
        ends: DynArray[uint256, element_claims.MAX_SHOWN] = []
        next.trace, ends = self._trace(stands.charge, made.leaves)
        self._expect_signed(stands.charge, made.inputs, made.outputs, made.blind)
        next.trace.root = self._merkle_root(made.nodes)
        self._expect_ends(next.trace, ends, made.inputs, made.outputs, made.siblings)
        width: uint256 = element_claims.values(next.trace)
        next.descent = self._top(width, made.nodes)
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
        row: element_claims.Leaf = self._row(stands.row, made.leaves[0].data)
        self._expect_parts(row.opcode, stands.claim, made.values)
        next.values = made.values
        next.phase = IElementGame.Phase.PARTS_STATED
    elif made.kind == IElementGame.MoveKind.SHOW_ROW:
        assert stands.phase == IElementGame.Phase.ROW_NAMED, "game: no value is picked"
        row: element_claims.Leaf = self._shown_row(stands, made.leaves[0], made.nodes)
        next.row = element_claims.leaf_hash(made.leaves[0].data)
        width: uint256 = self._leaves_of(row.output)
        next.descent = self._top(width, made.nodes)
        next.phase = IElementGame.Phase.TENSOR_SHOWN
    elif made.kind == IElementGame.MoveKind.SHOW_LEAF:
        assert stands.phase == IElementGame.Phase.LEAF_NAMED, "game: no leaf is picked"
        row: element_claims.Leaf = self._row(stands.row, made.leaves[0].data)
        self._expect_bytes(row.output, stands.descent, made.data)
        next.phase = IElementGame.Phase.LEAF_SHOWN
    else:
        assert made.kind == IElementGame.MoveKind.CONTEST, "game: no such move"
        next.claim = element_claims.claim(stands, made.leaves[0].data, made.data, made.choice)
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


@internal
@view
def _brings_row(kind: IElementGame.MoveKind) -> bool:
    bringing: IElementGame.MoveKind = (
        IElementGame.MoveKind.SHOW_ROW
        | IElementGame.MoveKind.SHOW_LEAF
        | IElementGame.MoveKind.CONTEST
        | IElementGame.MoveKind.STATE_PARTS
    )
    return kind in bringing


# === Defender ===


@internal
@pure
def _expect_signed(
    charge: IElementGame.Charge,
    inputs: DynArray[bytes32, 4],
    outputs: DynArray[bytes32, 4],
    blind: bytes32,
):
    # A defence is of what was signed. No digest of an open query has the form of a blinded one.
    assert tensor_digest.edges_digest(inputs) == charge.in_digest, "game: other input"
    signed: bytes32 = tensor_digest.edges_digest(outputs)
    if blind != empty(bytes32):
        signed = tensor_digest.blinded(signed, blind)
    assert signed == charge.out_digest, "game: other output"


@internal
@pure
def _trace(
    charge: IElementGame.Charge, proofs: DynArray[IElementGame.LeafProof, 3]
) -> (IElementGame.Trace, DynArray[uint256, element_claims.MAX_SHOWN]):
    # What a defence commits to but for its root, bound to the shard; and the numbers of the shard's
    # inputs and outputs.
    assert len(proofs) == 3, "game: not three leaves"
    last: element_claims.Leaf = element_claims.leaf(proofs[0].data)
    # Only the last leaf has all of its siblings on the left, so only its index is right here.
    leaves: uint256 = last.index + 1
    element_claims.expect_leaf(charge.operators_root, leaves, last.index, proofs[0])
    shard: element_claims.Leaf = element_claims.leaf(proofs[1].data)
    element_claims.expect_leaf(charge.operators_root, leaves, shard.index, proofs[1])
    assert shard.opcode == SHARD, "game: not a shard"
    assert shard.index + charge.shards == leaves + charge.shard, "game: another shard"
    row: element_claims.Leaf = element_claims.leaf(proofs[2].data)
    element_claims.expect_leaf(charge.operators_root, leaves, row.index, proofs[2])
    first: uint256 = convert(shard.attributes[0], uint256)
    assert row.opcode != SHARD and row.index == first, "game: not the first row"

    trace: IElementGame.Trace = IElementGame.Trace(
        leaves=leaves,
        inputs=[],
        first=first,
        end=convert(shard.attributes[1], uint256),
        base=row.written,
        root=empty(bytes32),
    )
    ends: DynArray[uint256, element_claims.MAX_SHOWN] = []
    for number: uint32 in shard.inputs:
        trace.inputs.append(convert(number, uint256))
        ends.append(convert(number, uint256))
    for i: uint256 in range(2, len(shard.attributes), bound=12):
        ends.append(convert(shard.attributes[i], uint256))
    return trace, ends


@internal
@pure
def _expect_ends(
    trace: IElementGame.Trace,
    ends: DynArray[uint256, element_claims.MAX_SHOWN],
    inputs: DynArray[bytes32, 4],
    outputs: DynArray[bytes32, 4],
    siblings: DynArray[bytes32, 128],
):
    # Inputs and outputs of the shard are committed to; an output may be an input.
    assert len(inputs) == len(trace.inputs), "game: wrong number of inputs"
    assert len(inputs) + len(outputs) == len(ends), "game: wrong number of outputs"
    digests: DynArray[bytes32, element_claims.MAX_SHOWN] = []
    for digest: bytes32 in inputs:
        digests.append(digest)
    for digest: bytes32 in outputs:
        digests.append(digest)
    element_claims.expect_values(trace, ends, digests, siblings)


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
    position: IElementGame.Position,
    shown: IElementGame.LeafProof,
    nodes: DynArray[bytes32, 16],
) -> element_claims.Leaf:
    # The row that writes the value picked, whose tree has the nodes shown.
    trace: IElementGame.Trace = position.trace
    row: element_claims.Leaf = element_claims.leaf(shown.data)
    root: bytes32 = position.charge.operators_root
    element_claims.expect_leaf(root, trace.leaves, row.index, shown)
    index: uint256 = trace.first + position.descent.place - len(trace.inputs)
    assert row.index == index, "game: another row"
    tree: bytes32 = self._merkle_root(nodes)
    digest: bytes32 = keccak256(concat(tensor_digest.TENSOR_DOMAIN, row.output, tree))
    assert digest == position.descent.nodes[0], "game: tree of another value"
    return row


@internal
@pure
def _row(leaf_hash: bytes32, data: Bytes[1856]) -> element_claims.Leaf:
    # The row in dispute, which the move brings along.
    element_claims.expect_row(leaf_hash, data)
    return element_claims.leaf(data)


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
